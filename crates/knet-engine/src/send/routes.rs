//! Where data goes: an immutable picture of the reachable hosts and their usable links.
//!
//! The engine makes a new picture when reachability, links, policy or MTU change; those who send
//! hold the last one and need no lock to read it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use knet_wire::{HostId, LinkId};

use crate::config::{LinkPath, PacketTag, Policy};
use crate::stats::LinkCounters;

/// The reachable hosts, in order of their ids.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    hosts: Vec<Arc<HostRoute>>,
    unreachable: Vec<HostId>,
}

impl Routes {
    /// All reachable hosts: the targets of a broadcast.
    pub fn hosts(&self) -> impl Iterator<Item = &HostRoute> {
        self.hosts.iter().map(Arc::as_ref)
    }

    /// How many hosts are reachable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether nobody is reachable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The hosts that were added and cannot be reached, in order of their ids.
    #[must_use]
    pub fn unreachable(&self) -> &[HostId] {
        &self.unreachable
    }

    /// The place of a host in [`Routes::hosts`], if it is reachable.
    #[must_use]
    pub fn position(&self, host: HostId) -> Option<usize> {
        self.hosts.binary_search_by_key(&host, |route| route.host).ok()
    }

    /// The route to the host at this place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&HostRoute> {
        self.hosts.get(place).map(Arc::as_ref)
    }

    /// The route to one host, if it is reachable.
    #[must_use]
    pub fn get(&self, host: HostId) -> Option<&HostRoute> {
        self.at(self.position(host)?)
    }
}

/// How to reach one host.
#[derive(Debug)]
pub struct HostRoute {
    host: HostId,
    policy: Policy,
    data_mtu: usize,
    links: Vec<LinkRoute>,
    /// Messages sent so far, for taking turns.
    turn: AtomicUsize,
}

impl HostRoute {
    /// The host.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The most payload bytes a packet to this host may carry: what the narrowest of its usable
    /// links takes.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.data_mtu
    }

    /// The usable links: one with the passive policy, all of them with the others.
    #[must_use]
    pub fn links(&self) -> &[LinkRoute] {
        &self.links
    }

    /// The links that the next message has to be sent on, with all its fragments
    /// (`spec/engine.md` 6.2), each with its place in [`HostRoute::links`]. Each call is a message:
    /// round robin moves on by one.
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

/// One usable link of a host.
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkRoute {
    /// Which of the host's links.
    pub link: LinkId,
    /// Which socket sends, and where to; `None` for a loopback link, whose messages are delivered
    /// here.
    pub path: Option<LinkPath>,
    /// How the driver wants its packets treated.
    pub tag: PacketTag,
    /// The most payload bytes a packet on this link may carry.
    pub data_mtu: usize,
    /// Where to count what was sent.
    pub counters: Arc<LinkCounters>,
}

/// The routes as the engine edits them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    hosts: BTreeMap<HostId, Arc<HostRoute>>,
    changed: bool,
}

impl RouteTable {
    /// Replaces the route to a host; no links, no route.
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

    /// The smallest data MTU of all links in use that carry packets.
    pub(crate) fn least_mtu(&self) -> Option<usize> {
        let links = self.hosts.values().flat_map(|route| &route.links);
        links.filter(|link| link.path.is_some()).map(|link| link.data_mtu).min()
    }

    /// A host was added or removed.
    pub(crate) fn hosts_changed(&mut self) {
        self.changed = true;
    }

    /// A picture to send by, if it is not the one handed out last. `known` are all hosts, in order.
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
    fn a_picture_is_handed_out_once_for_each_change() {
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
        assert_eq!(routes.len(), 2, "an old picture stays as it was");
    }
}
