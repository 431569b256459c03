//! Events of single links in a large cluster. None may cost more the more links there are.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result};
use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
use knet_wire::{HostId, LinkId};

/// A host with many peers, each with eight links that are enabled.
pub(crate) struct Cluster {
    now: Instant,
    engine: Engine,
    links: Vec<(HostId, LinkId)>,
}

impl Cluster {
    /// Creates a host with 2000 peers.
    pub(crate) fn large() -> Result<Self> {
        Self::new(2000)
    }

    /// Creates a host and adds so many peers, with all their links.
    pub(crate) fn new(peers: u16) -> Result<Self> {
        let now = Instant::now();
        let engine = Engine::new(now, &EngineConfig { host: HostId::new(0), cookie_key: [7; 16] });
        let mut cluster = Self { now, engine, links: Vec::new() };
        for host in (1..=peers).map(HostId::new) {
            cluster.engine.add_host(host)?;
            for link in LinkId::ALL {
                let path = LinkPath { socket: socket(link), remote: address(host, link) };
                cluster.engine.add_link(now, host, link, path)?;
                cluster.engine.set_link_enabled(now, host, link, true)?;
                cluster.links.push((host, link));
                cluster.drain();
            }
        }
        Ok(cluster)
    }

    /// Calls `event` so many times, each time for a link of another host.
    pub(crate) fn repeat(
        mut self,
        count: u64,
        event: fn(&mut Self, HostId, LinkId) -> Result<()>,
    ) -> Result<()> {
        for at in 0..count {
            // Neighbours in this order are far apart in the tables.
            let at = usize::try_from(at)?.wrapping_mul(7919) % self.links.len();
            let &(host, link) = self.links.get(at).context("a link")?;
            event(&mut self, host, link)?;
            self.drain();
        }
        Ok(())
    }

    /// Handles an ICMP message that a link's address is unreachable.
    pub(crate) fn icmp_error(&mut self, host: HostId, link: LinkId) -> Result<()> {
        let remote = address(host, link);
        self.engine.handle_transport_error(self.now, socket(link), remote, nix::libc::EHOSTUNREACH);
        Ok(())
    }

    /// Handles an ICMP message that a packet was too long.
    pub(crate) fn mtu_suggestion(&mut self, host: HostId, link: LinkId) -> Result<()> {
        let remote = address(host, link).ip();
        self.engine.handle_mtu_suggestion(self.now, socket(link), remote, 1400);
        Ok(())
    }

    /// Changes the route to a host.
    pub(crate) fn link_change(&mut self, host: HostId, link: LinkId) -> Result<()> {
        for enabled in [false, true] {
            self.engine.set_link_enabled(self.now, host, link, enabled)?;
            self.drain();
        }
        Ok(())
    }

    /// Takes all that a driver takes after each call.
    fn drain(&mut self) {
        let _ = self.engine.poll_routes();
        while self.engine.poll_event().is_some() {}
        while self.engine.poll_transmit().is_some() {}
    }
}

fn socket(link: LinkId) -> SocketId {
    SocketId(u64::from(link.get()))
}

fn address(host: HostId, link: LinkId) -> SocketAddr {
    let [high, low] = host.get().to_be_bytes();
    ([10, link.get(), high, low], 5405).into()
}
