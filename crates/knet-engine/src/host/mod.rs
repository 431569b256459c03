//! One host: its links, which of them messages take, and the state for receiving its messages.
//!
//! It uses the room of links below it, and knows neither the engine nor other hosts.

use std::net::SocketAddr;

use knet_wire::{HostId, LinkId};

use crate::config::{LinkPath, Policy, SocketId};
use crate::link::{Link, same_machine};
use crate::stats::{DropStats, LinkStats};
use crate::timers::Deadline;

mod dedup;
mod defrag;
pub use defrag::ReassembledMessage;
pub(crate) use defrag::{BufferPool, DropReason, Outcome};
mod reached;
mod receive_state;
use receive_state::ReceiveState;
mod restart_detection;

/// A host that was added.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: Option<String>,
    /// Which host of its engine it is, counted in the order in which they were added.
    pub(crate) incarnation: u32,
    pub(crate) policy: Policy,
    pub(crate) reachable: bool,
    pub(crate) receive: ReceiveState,
    /// When its oldest incomplete message expires.
    pub(crate) reassembly: Deadline,
    /// Its counters, without those of its links.
    pub(crate) stats: HostStats,
    links: [Option<Box<Link>>; LinkId::COUNT as usize],
}

impl Host {
    pub(crate) fn new(incarnation: u32) -> Self {
        Self {
            name: None,
            incarnation,
            policy: Policy::default(),
            reachable: false,
            receive: ReceiveState::default(),
            reassembly: Deadline::default(),
            stats: HostStats::default(),
            links: [const { None }; LinkId::COUNT as usize],
        }
    }

    pub(crate) fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.index())?.as_deref()
    }

    pub(crate) fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.index())?.as_deref_mut()
    }

    /// Returns the slot of a link, configured or not.
    pub(crate) fn slot(&mut self, id: LinkId) -> &mut Option<Box<Link>> {
        // A link id is always below COUNT, which is the array's length.
        &mut self.links[id.index()]
    }

    /// Iterates over the configured links in ascending order.
    pub(crate) fn links(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        LinkId::ALL.into_iter().filter_map(|id| Some((id, self.link(id)?)))
    }

    pub(crate) fn links_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.links.iter_mut().filter_map(|link| link.as_deref_mut())
    }

    /// Returns its counters, including those of its links.
    pub(crate) fn read_stats(&self) -> HostStats {
        let mut stats = self.stats;
        for (_, link) in self.links() {
            stats.links += &link.counters.read();
        }
        stats
    }

    /// Counts the messages that were discarded before they were complete, here and in `drops`.
    pub(crate) fn count_incomplete(&mut self, drops: &mut DropStats) {
        let incomplete = self.receive.reassembler.take_incomplete();
        self.stats.rx_incomplete += incomplete;
        drops.incomplete += incomplete;
    }

    /// Resets its counters and those of its links.
    pub(crate) fn clear_stats(&mut self) {
        self.stats = HostStats::default();
        for link in self.links.iter_mut().flatten() {
            link.clear_stats();
        }
    }

    /// Returns the link on which a data packet from this address came: the one with this socket and
    /// address, else the first with this socket and IP address, else the first with this IP
    /// address.
    ///
    /// libknet compares the IP address only, so it credits the lower one of two links to an
    /// address.
    pub(crate) fn link_of_data(&self, socket: SocketId, source: SocketAddr) -> Option<LinkId> {
        let rank = |link: &Link| {
            let from_there = |path: &LinkPath| same_machine(path.remote, source);
            let Some(path) = link.peer.path().filter(from_there) else {
                return 0;
            };
            match (path.socket == socket, path.remote.port() == source.port()) {
                (true, true) => 3,
                (true, false) => 2,
                (false, _) => 1,
            }
        };
        let mut best = None;
        for (id, link) in self.links() {
            let rank = rank(link);
            if rank > best.map_or(0, |(best, _)| best) {
                best = Some((rank, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// Returns the links that messages take now, by the host's policy.
    pub(crate) fn active_links(&self) -> Vec<(LinkId, &Link)> {
        let usable = self.links().filter(|(_, link)| link.is_usable());
        match self.policy {
            // The first of the highest priority: `max_by_key` would give the last.
            Policy::Passive => usable
                .reduce(|best, next| if next.1.priority > best.1.priority { next } else { best })
                .into_iter()
                .collect(),
            Policy::Active | Policy::RoundRobin => usable.collect(),
        }
    }
}

/// A host's settings, state and counters at one moment. Returned by
/// [`Engine::host_status`](crate::Engine::host_status).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig};
/// # use knet_wire::HostId;
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(Instant::now(), &config);
/// engine.add_host(HostId::new(2))?;
/// let status = engine.host_status(HostId::new(2))?;
/// assert_eq!(status.name, "2");
/// assert!(!status.reachable && status.data_mtu.is_none());
/// # Ok::<(), knet_engine::HostError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostStatus {
    /// Its id.
    pub host: HostId,
    /// Its name; by default its id in decimal.
    pub name: String,
    /// Which of its links messages take.
    pub policy: Policy,
    /// `true` if at least one link is up.
    pub reachable: bool,
    /// How many bytes of payload a packet to it can carry; `None` while it is not reachable.
    pub data_mtu: Option<usize>,
    /// The links that messages take now.
    pub active_links: Vec<LinkId>,
    /// Its counters.
    pub stats: HostStats,
}

/// Counters of a host, part of [`HostStatus`].
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
/// assert_eq!(engine.host_status(host)?.stats.up_count, 1);
/// engine.clear_host_stats(host)?;
/// assert_eq!(engine.host_status(host)?.stats.up_count, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostStats {
    /// Complete messages received from it. A message counts once, however many duplicates and
    /// fragments of it arrived.
    pub rx_messages: u64,
    /// Duplicates of its messages or fragments.
    pub rx_duplicates: u64,
    /// Messages of it that were discarded before they were complete.
    pub rx_incomplete: u64,
    /// How often it became reachable.
    pub up_count: u64,
    /// How often it became unreachable.
    pub down_count: u64,
    /// The sum of the counters of its configured links.
    pub links: LinkStats,
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::LinkPath;

    fn host(links: &[(u8, &str)]) -> Host {
        let mut host = Host::new(1);
        for (n, (socket, remote)) in links.iter().enumerate() {
            let path =
                LinkPath { socket: SocketId(u64::from(*socket)), remote: remote.parse().unwrap() };
            *host.slot(LinkId::ALL[n]) = Some(Box::new(Link::new(Instant::now(), path.into())));
        }
        host
    }

    fn link_of(host: &Host, socket: u64, source: &str) -> Option<u8> {
        host.link_of_data(SocketId(socket), source.parse().unwrap()).map(LinkId::get)
    }

    #[test]
    fn data_is_credited_to_the_link_that_it_came_on() {
        let host = host(&[(1, "10.0.0.1:5"), (2, "10.0.0.1:6"), (2, "10.0.0.2:6")]);
        assert_eq!(link_of(&host, 1, "10.0.0.1:5"), Some(0));
        assert_eq!(link_of(&host, 2, "10.0.0.1:6"), Some(1));
        assert_eq!(link_of(&host, 2, "10.0.0.1:7"), Some(1), "the port may differ");
        assert_eq!(link_of(&host, 9, "10.0.0.1:5"), Some(0), "so may the socket");
        assert_eq!(link_of(&host, 9, "10.0.0.2:5"), Some(2));
        assert_eq!(link_of(&host, 1, "10.0.0.3:5"), None);
        assert_eq!(link_of(&host, 1, "[::1]:5"), None);
    }

    #[test]
    fn passive_takes_the_lowest_link_of_the_highest_priority() {
        let mut host = host(&[(1, "10.0.0.1:5"), (1, "10.0.0.2:5"), (1, "10.0.0.3:5")]);
        for (n, priority) in [1, 5, 5].into_iter().enumerate() {
            let link = host.link_mut(LinkId::ALL[n]).unwrap();
            link.priority = priority;
            link.enable(Instant::now());
            link.bring_up(Instant::now());
        }
        let ids = |host: &Host| -> Vec<u8> {
            host.active_links().iter().map(|(id, _)| id.get()).collect()
        };
        assert_eq!(ids(&host), [1]);
        host.policy = Policy::Active;
        assert_eq!(ids(&host), [0, 1, 2]);
        host.link_mut(LinkId::ALL[1]).unwrap().disable(Instant::now());
        assert_eq!(ids(&host), [0, 2]);
        host.policy = Policy::Passive;
        assert_eq!(ids(&host), [2]);
    }
}
