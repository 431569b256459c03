//! Routes: an immutable snapshot of the reachable hosts and their usable links.
//!
//! The engine makes a new snapshot when reachability, links, policy or MTU change. Senders hold the
//! latest one and need no lock to read it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use knet_wire::{HostId, LinkId};

use crate::config::{LinkPath, PacketTag, Policy};
use crate::stats::LinkCounters;

/// The reachable hosts and their usable links. Returned by
/// [`Engine::poll_routes`](crate::Engine::poll_routes).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
///
/// let routes = engine.poll_routes().expect("a loopback link is up at once");
/// let route = routes.get(host).expect("reachable");
/// let links: Vec<_> = route.links_of_next_message().map(|(_, link)| link.link).collect();
/// assert_eq!(links, [link]);
/// assert!(engine.poll_routes().is_none(), "no change since");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    hosts: Vec<Arc<HostRoute>>,
    unreachable: Vec<HostId>,
}

impl Routes {
    /// Iterates over all reachable hosts, in ascending order: the destinations of a broadcast.
    pub fn hosts(&self) -> impl Iterator<Item = &HostRoute> {
        self.hosts.iter().map(Arc::as_ref)
    }

    /// Returns how many hosts are reachable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Returns `true` if no host is reachable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Returns the known hosts that are not reachable, in ascending order.
    #[must_use]
    pub fn unreachable(&self) -> &[HostId] {
        &self.unreachable
    }

    /// Returns the index of a host in [`Routes::hosts`] if it is reachable.
    #[must_use]
    pub fn position(&self, host: HostId) -> Option<usize> {
        self.hosts.binary_search_by_key(&host, |route| route.host).ok()
    }

    /// Returns the route to the host at this index.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&HostRoute> {
        self.hosts.get(place).map(Arc::as_ref)
    }

    /// Returns the route to a host if it is reachable.
    #[must_use]
    pub fn get(&self, host: HostId) -> Option<&HostRoute> {
        self.at(self.position(host)?)
    }
}

/// The route to one reachable host, part of [`Routes`].
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
/// let routes = engine.poll_routes().expect("a new host");
/// let route = routes.at(0).expect("reachable");
/// assert_eq!((route.host(), route.links().len()), (host, 1));
/// assert_eq!(route.data_mtu(), 65_536); // a loopback link does not fragment
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HostRoute {
    host: HostId,
    policy: Policy,
    data_mtu: usize,
    links: Vec<LinkRoute>,
    /// Messages sent so far, for [`Policy::RoundRobin`].
    turn: AtomicUsize,
}

impl HostRoute {
    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Returns how many bytes of payload a packet to this host can carry: as many as the narrowest
    /// of its usable links takes.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.data_mtu
    }

    /// Returns the links in use: one under [`Policy::Passive`], otherwise all usable ones.
    #[must_use]
    pub fn links(&self) -> &[LinkRoute] {
        &self.links
    }

    /// Returns the links for the next message and all its fragments, each with its index in
    /// [`HostRoute::links`]. Call it once per message: under [`Policy::RoundRobin`] every call
    /// moves to the next link.
    pub fn links_of_next_message(&self) -> impl Iterator<Item = (usize, &LinkRoute)> {
        let places = match self.policy {
            Policy::Passive => 0..self.links.len().min(1),
            Policy::Active => 0..self.links.len(),
            Policy::RoundRobin => {
                match self.turn.fetch_add(1, Relaxed).checked_rem(self.links.len()) {
                    Some(place) => place..place + 1,
                    None => 0..0,
                }
            }
        };
        places.filter_map(|place| Some((place, self.links.get(place)?)))
    }
}

/// A link in use, part of [`HostRoute`].
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
/// # let routes = engine.poll_routes().expect("a new host");
/// use knet_engine::PacketKind;
///
/// let route = &routes.at(0).expect("reachable").links()[0];
/// assert!(route.path.is_none(), "a loopback link has no socket");
/// route.counters.record_sent(PacketKind::Data, 1, 5);
/// assert_eq!(engine.link_status(now, host, link)?.stats.tx_data_bytes, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkRoute {
    /// Which of the host's links.
    pub link: LinkId,
    /// The socket to send from, and the destination; `None` for a loopback link, whose messages the
    /// driver delivers itself.
    pub path: Option<LinkPath>,
    /// The own address to send from, or `None` if the kernel chooses.
    pub source: Option<IpAddr>,
    /// The tag that the driver set for the link.
    pub tag: PacketTag,
    /// How many bytes of payload a packet on this link can carry.
    pub data_mtu: usize,
    /// Counters for the packets that are sent.
    pub counters: Arc<LinkCounters>,
}

/// The routes as the engine edits them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    hosts: BTreeMap<HostId, Arc<HostRoute>>,
    changed: bool,
}

impl RouteTable {
    /// Replaces the route to a host, or removes it if there are no links.
    pub(crate) fn set(&mut self, host: HostId, policy: Policy, links: Vec<LinkRoute>) {
        self.changed = true;
        let Some(data_mtu) = links.iter().map(|link| link.data_mtu).min() else {
            self.hosts.remove(&host);
            return;
        };
        let route = HostRoute { host, policy, data_mtu, links, turn: AtomicUsize::new(0) };
        self.hosts.insert(host, Arc::new(route));
    }

    pub(crate) fn get(&self, host: HostId) -> Option<&HostRoute> {
        self.hosts.get(&host).map(Arc::as_ref)
    }

    /// Returns the smallest data MTU of all links in use, without loopback links.
    pub(crate) fn least_mtu(&self) -> Option<usize> {
        let links = self.hosts.values().flat_map(|route| &route.links);
        links.filter(|link| link.path.is_some()).map(|link| link.data_mtu).min()
    }

    /// Notes that a host was added or removed.
    pub(crate) fn hosts_changed(&mut self) {
        self.changed = true;
    }

    /// Returns a new snapshot if something changed since the last one. `known` are all hosts in
    /// ascending order.
    pub(crate) fn take_changed(&mut self, known: impl Iterator<Item = HostId>) -> Option<Routes> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        Some(Routes {
            hosts: self.hosts.values().cloned().collect(),
            unreachable: known.filter(|host| !self.hosts.contains_key(host)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SocketId;

    fn link(id: u8, data_mtu: usize) -> LinkRoute {
        LinkRoute {
            link: LinkId::new(id).unwrap(),
            path: Some(LinkPath { socket: SocketId(0), remote: ([127, 0, 0, 1], 1).into() }),
            source: None,
            tag: PacketTag::default(),
            data_mtu,
            counters: Arc::default(),
        }
    }

    fn sent_on(route: &HostRoute, messages: usize) -> Vec<Vec<u8>> {
        let ids = || route.links_of_next_message().map(|(_, link)| link.link.get()).collect();
        (0..messages).map(|_| ids()).collect()
    }

    #[test]
    fn each_policy_takes_the_links_it_promises() {
        let mut table = RouteTable::default();
        let host = HostId::new(2);
        let all = || vec![link(0, 500), link(1, 400), link(2, 600)];

        table.set(host, Policy::Active, all());
        assert_eq!(sent_on(table.get(host).unwrap(), 2), [[0, 1, 2], [0, 1, 2]]);
        table.set(host, Policy::RoundRobin, all());
        let rounds = sent_on(table.get(host).unwrap(), 6);
        assert_eq!(rounds, [[0], [1], [2], [0], [1], [2]]);
        table.set(host, Policy::Passive, vec![link(1, 400)]);
        assert_eq!(sent_on(table.get(host).unwrap(), 2), [[1], [1]]);
    }

    #[test]
    fn a_snapshot_is_returned_once_per_change() {
        let mut table = RouteTable::default();
        let known = || [3, 5, 7].map(HostId::new).into_iter();
        assert!(table.take_changed(known()).is_none());
        table.set(HostId::new(7), Policy::Active, vec![link(0, 500), link(1, 400)]);
        table.set(HostId::new(3), Policy::Passive, vec![link(0, 600)]);
        let routes = table.take_changed(known()).unwrap();
        assert!(table.take_changed(known()).is_none());
        assert_eq!(routes.unreachable(), [HostId::new(5)]);

        let ids: Vec<_> = routes.hosts().map(|route| route.host().get()).collect();
        assert_eq!(ids, [3, 7]);
        assert_eq!(routes.get(HostId::new(7)).unwrap().data_mtu(), 400);
        assert!(routes.get(HostId::new(4)).is_none());
        assert_eq!(table.least_mtu(), Some(400));

        table.set(HostId::new(7), Policy::Active, vec![]);
        let without = table.take_changed(known()).unwrap();
        assert_eq!((without.len(), without.unreachable().len()), (1, 2));
        assert_eq!(routes.len(), 2, "an old snapshot stays as it was");
    }
}
