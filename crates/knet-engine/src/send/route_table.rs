//! The routes as the engine edits them.

use std::collections::BTreeMap;
use std::sync::Arc;

use knet_wire::HostId;

use super::routes::{HostRoute, LinkRoute, Routes};
use crate::config::Policy;

/// The routes to all hosts, and what follows from all of them.
///
/// A change costs a copy of one section of [`Routes`] and of the list of sections, so 1000 hosts that
/// come up one after the other cost little more each than 10.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: Routes,
    changed: bool,
    /// How many hosts have which least data MTU of links over UDP.
    mtus: BTreeMap<usize, usize>,
}

impl RouteTable {
    /// Adds a host that is not reachable yet.
    pub(crate) fn add_host(&mut self, host: HostId) {
        self.replace(host, None);
    }

    /// Removes a host.
    pub(crate) fn remove_host(&mut self, host: HostId) {
        self.changed = true;
        let before = self.routes.remove(host);
        self.uncount(before.as_deref());
    }

    /// Replaces the route to a host, which is unreachable if there are no links.
    pub(crate) fn set(&mut self, host: HostId, policy: Policy, links: Vec<LinkRoute>) {
        self.replace(host, HostRoute::new(host, policy, links).map(Arc::new));
    }

    pub(crate) fn get(&self, host: HostId) -> Option<&HostRoute> {
        self.routes.get(host)
    }

    /// Returns the smallest data MTU of all links in use, without loopback links.
    pub(crate) fn least_mtu(&self) -> Option<usize> {
        self.mtus.first_key_value().map(|(&mtu, _)| mtu)
    }

    /// Returns a new snapshot if something changed since the last one.
    pub(crate) fn take_changed(&mut self) -> Option<Routes> {
        std::mem::take(&mut self.changed).then(|| self.routes.clone())
    }

    fn replace(&mut self, host: HostId, route: Option<Arc<HostRoute>>) {
        self.changed = true;
        if let Some(mtu) = route.as_ref().and_then(|route| route.least_udp_mtu()) {
            *self.mtus.entry(mtu).or_default() += 1;
        }
        let before = self.routes.insert(host, route);
        self.uncount(before.as_deref());
    }

    /// Takes the MTU of a route that is no longer in use out of the count.
    fn uncount(&mut self, route: Option<&HostRoute>) {
        let Some(mtu) = route.and_then(HostRoute::least_udp_mtu) else { return };
        if let Some(count) = self.mtus.get_mut(&mtu) {
            *count -= 1;
            if *count == 0 {
                self.mtus.remove(&mtu);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use knet_wire::LinkId;
    use proptest::prelude::*;

    use super::*;
    use crate::config::{LinkPath, PacketTag, SocketId};

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
        assert!(table.take_changed().is_none());
        for host in [7, 3, 5].map(HostId::new) {
            table.add_host(host);
        }
        table.set(HostId::new(7), Policy::Active, vec![link(0, 500), link(1, 400)]);
        table.set(HostId::new(3), Policy::Passive, vec![link(0, 600)]);
        let routes = table.take_changed().unwrap();
        assert!(table.take_changed().is_none());
        assert_eq!(routes.unreachable().collect::<Vec<_>>(), [HostId::new(5)]);

        let ids: Vec<_> = routes.hosts().map(|route| route.host().get()).collect();
        assert_eq!(ids, [3, 7]);
        assert_eq!(routes.get(HostId::new(7)).unwrap().data_mtu(), 400);
        assert!(routes.get(HostId::new(4)).is_none());
        assert_eq!(table.least_mtu(), Some(400));

        table.set(HostId::new(7), Policy::Active, vec![]);
        let without = table.take_changed().unwrap();
        assert_eq!((without.len(), without.unreachable().count()), (1, 2));
        assert_eq!(routes.len(), 2, "an old snapshot stays as it was");
    }

    #[test]
    fn a_change_leaves_the_routes_to_other_hosts_and_their_turns() {
        let mut table = RouteTable::default();
        let (host, other) = (HostId::new(2), HostId::new(3));
        table.set(host, Policy::RoundRobin, vec![link(0, 500), link(1, 500)]);
        let before = table.take_changed().unwrap();
        assert_eq!(sent_on(before.get(host).unwrap(), 1), [[0]]);

        table.set(other, Policy::Passive, vec![link(0, 500)]);
        let after = table.take_changed().unwrap();
        assert_eq!(sent_on(after.get(host).unwrap(), 1), [[1]]);
    }

    /// A change of a host: added or unreachable, reachable with this MTU, or removed.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Unreachable,
        Reachable(usize),
        Removed,
    }

    fn changes() -> impl Strategy<Value = Vec<(u16, Change)>> {
        // Neighbours in one section, and hosts far from them.
        let host = prop_oneof![0_u16..200, any::<u16>()];
        let change = prop_oneof![
            Just(Change::Unreachable),
            (500_usize..505).prop_map(Change::Reachable),
            Just(Change::Removed),
        ];
        proptest::collection::vec((host, change), 1..60)
    }

    proptest! {
        #[test]
        fn the_table_matches_a_map(changes in changes()) {
            let mut table = RouteTable::default();
            let mut reachable = BTreeMap::new();
            let mut unreachable = BTreeSet::new();
            for (host, change) in changes {
                let host = HostId::new(host);
                reachable.remove(&host);
                unreachable.remove(&host);
                match change {
                    Change::Unreachable => {
                        unreachable.insert(host);
                        table.set(host, Policy::Passive, vec![]);
                    }
                    Change::Reachable(mtu) => {
                        reachable.insert(host, mtu);
                        table.set(host, Policy::Passive, vec![link(0, mtu)]);
                    }
                    Change::Removed => table.remove_host(host),
                }
                let routes = table.take_changed().expect("a change");
                prop_assert_eq!(table.least_mtu(), reachable.values().min().copied());
                let listed: Vec<_> = routes.hosts().map(|route| (route.host(), route.data_mtu())).collect();
                let expected: Vec<_> = reachable.iter().map(|(&host, &mtu)| (host, mtu)).collect();
                prop_assert_eq!(&listed, &expected);
                prop_assert_eq!(routes.len(), expected.len());
                prop_assert_eq!(routes.is_empty(), expected.is_empty());
                prop_assert!(routes.unreachable().eq(unreachable.iter().copied()));
                for (place, &(host, mtu)) in expected.iter().enumerate() {
                    prop_assert_eq!(routes.position(host), Some(place));
                    prop_assert_eq!(routes.at(place).map(HostRoute::host), Some(host));
                    prop_assert_eq!(routes.get(host).map(HostRoute::data_mtu), Some(mtu));
                    prop_assert!(!routes.is_unreachable(host));
                }
                prop_assert!(routes.at(expected.len()).is_none());
                for &host in &unreachable {
                    prop_assert!(routes.is_unreachable(host));
                    prop_assert!(routes.get(host).is_none());
                }
            }
        }
    }
}
