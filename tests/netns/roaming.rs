//! A peer that moves to another address while messages flow.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::{QUICK, let_everybody_in, link_id, watch};
use knet_tests::lan::{Family, Lan, address, interface};
use knet_tests::wait::DEADLINE;
use kronosnet::{HostId, Link, LinkConfig, PingTimers};

use crate::member::{Member, PORT};
use crate::traffic::Traffic;

/// A timeout so long that no stalling machine takes a link down.
const TIMERS: PingTimers = PingTimers { timeout: Duration::from_secs(60), ..QUICK };

/// Adds host 1's link to host 2, wherever that is.
fn dynamic_link(lan: &Lan, member: &Member, family: Family) -> Link {
    let host = member.handle.add_host(HostId::new(2)).unwrap();
    let config = LinkConfig::udp_dynamic(SocketAddr::new(address(family, 1, 0), PORT));
    let link = lan.host(1).enter(|| host.add_link(link_id(0), config)).unwrap();
    let_everybody_in(&link);
    link.set_ping_timers(TIMERS).unwrap();
    link.set_pong_count(1).unwrap();
    link.enable().unwrap();
    link
}

/// Returns the wildcard address.
fn any(family: Family) -> IpAddr {
    match family {
        Family::V4 => [0; 4].into(),
        Family::V6 => [0; 16].into(),
    }
}

/// Replaces the address of host 2 under traffic.
fn follow(family: Family) {
    let lan = Lan::new(2, 1);
    let members = [Member::new(1), Member::new(2)];
    let link = dynamic_link(&lan, &members[0], family);
    let peer = SocketAddr::new(address(family, 1, 0), PORT);
    let local = SocketAddr::new(any(family), PORT);
    let back = lan.host(2).enter(|| watch(&members[1].handle, 1, 0, local, peer, TIMERS));
    let mut traffic = Traffic::new(&members, 3000);
    let mut from = None;
    // Addresses that no other host has, and the first one again.
    for number in [2, 77, 78, 2] {
        let place = address(family, number, 0);
        let found = || {
            let seen = link.status().unwrap().remote;
            let up = [&link, &back].iter().all(|link| link.status().unwrap().state.is_up());
            up && seen == Some(SocketAddr::new(place, PORT))
        };
        let give_up = Instant::now() + DEADLINE;
        thread::scope(|scope| {
            let moved = scope.spawn(|| from.replace(place).map(|from| renumber(&lan, from, place)));
            while !moved.is_finished() || !found() {
                assert!(Instant::now() < give_up, "{place}: {:?}", link.status());
                traffic.round_with_losses(|_, _| true);
            }
        });
        for _ in 0..100 {
            traffic.round();
        }
    }
}

fn renumber(lan: &Lan, from: IpAddr, to: IpAddr) {
    let host = lan.host(2);
    let prefix = if from.is_ipv4() { Family::V4 } else { Family::V6 }.prefix();
    host.ip(&format!("address del {from}/{prefix} dev {}", interface(0)));
    host.add_address(&interface(0), to, prefix);
}

#[test]
fn a_peer_that_gets_another_address_is_followed() {
    follow(Family::V4);
}

#[test]
fn an_ipv6_peer_that_gets_another_address_is_followed() {
    follow(Family::V6);
}
