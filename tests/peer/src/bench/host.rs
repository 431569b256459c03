//! A measured host: a handle of libknet with a datafd for each lane and links to the other host.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::Context;
use knet_bench::{Endpoint, Lane, Mode, Plan};
use kronosnet::{Channel, ChannelRequest, HostId, LinkId, PingTimers};
use libknet_peer::libknet::{CallError, Datafd, Handle, Host, Library, Link};

use crate::args::BenchArgs;
use crate::bench::policy;
use crate::cat::{Unreachable, Usage};

/// One of the two hosts. Its fields are dropped in the reverse order of their creation.
#[derive(Debug)]
pub(super) struct BenchHost {
    data: Datafd,
    credits: Datafd,
    links: Vec<Link>,
    peer: Host,
    handle: Handle,
    timers: PingTimers,
}

impl BenchHost {
    /// Makes one host without a peer.
    pub(super) fn alone(library: &'static Library, plan: &Plan) -> anyhow::Result<Self> {
        if plan.links > 0 {
            let text = "an idle handle with links has its peer in another process: use --role";
            return Err(Usage(text.to_owned()).into());
        }
        Ok(Self::new(library, plan, HostId::new(1), HostId::new(2))?)
    }

    /// Makes two hosts in this process, linked over loopback.
    pub(super) fn pair(library: &'static Library, plan: &Plan) -> anyhow::Result<(Self, Self)> {
        if plan.links == 0 {
            return Err(Usage("--links 0: messages need a link".to_owned()).into());
        }
        let (one, two) = (HostId::new(1), HostId::new(2));
        let mut near = Self::new(library, plan, one, two)?;
        let mut far = Self::new(library, plan, two, one)?;
        for id in LinkId::ALL.into_iter().take(plan.links.into()) {
            let (here, there) = free_addresses().context("looking for free ports")?;
            near.add_link(id, here, there)?;
            far.add_link(id, there, here)?;
        }
        for host in [&near, &far] {
            host.wait_until_ready(PATIENCE)?;
        }
        Ok((near, far))
    }

    /// Makes one host, linked to one in another process.
    pub(super) fn connect(library: &'static Library, args: &BenchArgs) -> anyhow::Result<Self> {
        let own = args.id.context("--role needs --id")?;
        let peer = args.peers.first().context("--role needs --peer")?.host;
        if peer == own || args.peers.iter().any(|link| link.host != peer) {
            let text = "--peer: exactly one other host is measured, all links lead to it";
            return Err(Usage(text.to_owned()).into());
        }
        let mut host = Self::new(library, &args.plan, own, peer)?;
        for (path, id) in args.peers.iter().zip(LinkId::ALL) {
            host.add_link(id, path.local, path.remote)?;
        }
        host.wait_until_ready(args.wait)?;
        Ok(host)
    }

    fn new(
        library: &'static Library,
        plan: &Plan,
        own: HostId,
        peer: HostId,
    ) -> Result<Self, CallError> {
        let handle = Handle::new(library, own)?;
        let data = handle.add_datafd(ChannelRequest::Exact(Channel::ALL[0]))?;
        let credits = handle.add_datafd(ChannelRequest::Exact(Channel::ALL[1]))?;
        handle.set_forwarding(true)?;
        let peer = handle.add_host(peer)?;
        peer.set_policy(policy(plan))?;
        let timers = if plan.mode == Mode::Idle { PingTimers::default() } else { QUICK };
        Ok(Self { data, credits, links: Vec::new(), peer, handle, timers })
    }

    fn add_link(
        &mut self,
        id: LinkId,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(), CallError> {
        let link = self.peer.add_link(id, local, Some(remote))?;
        link.set_ping_timers(self.timers)?;
        link.set_pong_count(1)?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Waits until all links are up and have found their MTU.
    fn wait_until_ready(&self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        self.peer.wait_reachable(patience).map_err(|error| Unreachable(error.to_string()))?;
        while !self.is_ready()? {
            if Instant::now() >= deadline {
                let text = "not all links came up and found their MTU";
                return Err(Unreachable(text.to_owned()).into());
            }
            // libknet does not report links that come up; they are polled, and at once if the host
            // becomes unreachable.
            let _ = self.peer.wait_unreachable(Duration::from_millis(20));
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool, CallError> {
        let found = self.handle.data_mtu()?;
        for link in &self.links {
            let status = link.status()?;
            if !status.connected || status.overhead == 0 || status.mtu < found {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Endpoint for BenchHost {
    fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
        match lane {
            Lane::Data => self.data.as_fd(),
            Lane::Credits => self.credits.as_fd(),
        }
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        self.data.send(message).map(|_| ()).map_err(io::Error::other)
    }
}

/// Returns two unused addresses. Another process may take one before libknet does; then libknet
/// returns an error.
fn free_addresses() -> io::Result<(SocketAddr, SocketAddr)> {
    let (one, two) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    Ok((one.local_addr()?, two.local_addr()?))
}

/// The timers of `knet bench`.
const QUICK: PingTimers = PingTimers {
    interval: Duration::from_millis(200),
    timeout: Duration::from_secs(10),
    precision: 2048,
};
/// The time that two hosts in this process may take to reach each other.
const PATIENCE: Duration = Duration::from_secs(60);
