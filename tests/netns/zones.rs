//! Link-local addresses, whose zones are interfaces by name. An interface that is made again has
//! another index.

use std::net::SocketAddr;

use knet_tests::cluster::{QUICK, let_everybody_in, link_id};
use knet_tests::namespace::Namespace;
use knet_tests::wait::until;
use kronosnet::{HostId, InterfaceName, Link, LinkConfig, ZonedAddr};

use crate::member::Member;
use crate::traffic::Traffic;

/// Two hosts with a cable between their interfaces, which have link-local addresses.
struct Pair {
    namespaces: [Namespace; 2],
    members: [Member; 2],
}

const INTERFACES: [&str; 2] = ["one", "two"];
const ADDRESSES: [&str; 2] = ["fe80::1", "fe80::2"];

impl Pair {
    fn new() -> Self {
        let pair = Self {
            namespaces: [Namespace::new(), Namespace::new()],
            members: [Member::new(1), Member::new(2)],
        };
        pair.connect();
        pair
    }

    fn connect(&self) {
        let [one, two] = &self.namespaces;
        one.connect(INTERFACES[0], two, INTERFACES[1]);
        for ((namespace, interface), address) in
            [one, two].into_iter().zip(INTERFACES).zip(ADDRESSES)
        {
            namespace.add_address(interface, address.parse().unwrap(), 64);
        }
    }

    /// Removes both interfaces and makes them again, with other indexes.
    fn make_again(&self) {
        let before = self.indexes();
        self.namespaces[0].ip(&format!("link del {}", INTERFACES[0]));
        // Takes the index, if the kernel would use it again.
        self.namespaces.iter().for_each(|namespace| namespace.ip("link add type bridge"));
        self.connect();
        let after = self.indexes();
        assert!(before.iter().zip(&after).all(|(before, after)| before != after), "{after:?}");
    }

    fn indexes(&self) -> Vec<u32> {
        let interfaces = self.namespaces.iter().zip(INTERFACES);
        let index = |name: &str| name.parse::<InterfaceName>().unwrap().index().unwrap();
        interfaces.map(|(namespace, name)| namespace.enter(|| index(name))).collect()
    }

    /// Adds a link of host `at`, whose settings are made in its namespace.
    fn add_link(&self, at: usize, config: impl FnOnce() -> LinkConfig + Send) -> Link {
        let handle = &self.members[at].handle;
        let host = handle.add_host(HostId::new(2 - at as u16)).unwrap();
        self.namespaces[at].enter(|| {
            let config = LinkConfig { ping_timers: QUICK, pong_count: 1, ..config() };
            let dynamic = config.remote().is_none();
            let link = host.add_link(link_id(0), config).unwrap();
            if dynamic {
                let_everybody_in(&link);
            }
            link.enable().unwrap();
            link
        })
    }

    /// Removes and makes the interfaces under traffic, again and again.
    fn assert_survives(&self, links: [&Link; 2]) {
        let up = || links.iter().all(|link| link.status().unwrap().state.is_up());
        until("both ends are up", up);
        let mut traffic = Traffic::new(&self.members, 3000);
        for _ in 0..3 {
            (0..50).for_each(|_| traffic.round());
            self.make_again();
            let pongs = || links.map(|link| link.status().unwrap().stats.rx_pong_packets);
            let before = pongs();
            let passes = || before.iter().zip(pongs()).all(|(before, now)| now > before + 2);
            until("packets pass again", || {
                traffic.round_with_losses(|_, _| true);
                up() && passes()
            });
        }
    }
}

/// Returns the address of a host's end, as it names it: its own, or that of the other host.
fn zoned(at: usize, whose: usize) -> ZonedAddr {
    format!("[{}%{}]:5405", ADDRESSES[whose], INTERFACES[at]).parse().unwrap()
}

#[test]
fn a_link_survives_interfaces_that_are_made_again() {
    let pair = Pair::new();
    let ends = [0, 1].map(|at| {
        pair.add_link(at, || LinkConfig::udp_zoned(zoned(at, at), zoned(at, 1 - at)).unwrap())
    });
    pair.assert_survives([&ends[0], &ends[1]]);
    let scopes: Vec<_> = ends
        .iter()
        .map(|link| match (link.local_addr().unwrap(), link.remote_addr().unwrap().unwrap()) {
            (SocketAddr::V6(local), SocketAddr::V6(remote)) => {
                [local.scope_id(), remote.scope_id()]
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<_> = pair.indexes().into_iter().map(|index| [index; 2]).collect();
    assert_eq!(scopes, expected);
    assert_eq!(ends[0].config().unwrap().zones.local, Some(INTERFACES[0].parse().unwrap()));
}

/// One end is bound to all addresses and knows the other's zone; the other one is a dynamic link.
#[test]
fn links_of_other_kinds_survive_interfaces_that_are_made_again() {
    let pair = Pair::new();
    let all: ZonedAddr = SocketAddr::from(([0; 16], 5405)).into();
    let one = pair.add_link(0, || LinkConfig::udp_zoned(all, zoned(0, 1)).unwrap());
    let two = pair.add_link(1, || LinkConfig::udp_dynamic_zoned(zoned(1, 1)).unwrap());
    pair.assert_survives([&one, &two]);
}
