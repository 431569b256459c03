//! Hosts with several addresses, whose links are bound to all of them. The peer accepts packets from
//! the one address that it knows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use knet_tests::cluster::{QUICK, let_everybody_in, link_id, watch};
use knet_tests::lan::{Family, Lan, address, interface};
use knet_tests::wait::until;
use kronosnet::{DownReason, HostId, Link, LinkConfig, LinkState};

use crate::member::{Member, PORT};
use crate::traffic::Traffic;

/// All addresses of a machine.
fn all(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The two addresses of host 1. Which one the kernel chooses is its secret.
fn addresses(family: Family) -> [IpAddr; 2] {
    [address(family, 1, 0), address(family, 99, 0)]
}

fn at(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, PORT)
}

/// Builds two hosts, the first of which has two addresses on one interface.
fn network(family: Family) -> (Lan, [Member; 2]) {
    let lan = Lan::new(2, 1);
    lan.host(1).add_address(&interface(0), addresses(family)[1], family.prefix());
    (lan, [Member::new(1), Member::new(2)])
}

/// Waits until both ends are up and have found the whole path, from `known` on host 1. Then messages
/// of many packets pass both ways.
fn assert_works(links: [&Link; 2], members: &[Member], known: IpAddr) {
    let works = |link: &Link| {
        let status = link.status().unwrap();
        status.state.is_up() && status.path_mtu == Some(1500)
    };
    until("both ends are up with the whole path", || links.iter().all(|link| works(link)));
    let status = links[0].status().unwrap();
    assert_eq!(status.own_address, Some(known));
    assert_eq!(links[1].status().unwrap().remote, Some(at(known)));
    assert_eq!(links[1].status().unwrap().own_address, None, "its socket has one address");
    let mut traffic = Traffic::new(members, 30_000);
    for _ in 0..100 {
        traffic.round();
    }
    assert_eq!(status.stats.down_count, 0);
}

fn static_links(family: Family) {
    for known in addresses(family) {
        let (lan, members) = network(family);
        let peer = address(family, 2, 0);
        let connect = |host: u16, handle, local, remote| {
            lan.host(host).enter(|| watch(handle, 3 - host, 0, local, remote, QUICK))
        };
        let one = connect(1, &members[0].handle, at(all(family)), at(peer));
        let two = connect(2, &members[1].handle, at(peer), at(known));
        assert_works([&one, &two], &members, known);
    }
}

#[test]
fn answers_leave_from_the_address_that_was_spoken_to() {
    static_links(Family::V4);
}

#[test]
fn ipv6_answers_leave_from_the_address_that_was_spoken_to() {
    static_links(Family::V6);
}

fn dynamic_links(family: Family) {
    for known in addresses(family) {
        let (lan, members) = network(family);
        let host = members[0].handle.add_host(HostId::new(2)).unwrap();
        let config = LinkConfig::udp_dynamic(at(all(family)));
        let one = lan.host(1).enter(|| host.add_link(link_id(0), config)).unwrap();
        let_everybody_in(&one);
        one.set_ping_timers(QUICK).unwrap();
        one.set_pong_count(1).unwrap();
        one.enable().unwrap();
        let (peer, handle) = (address(family, 2, 0), &members[1].handle);
        let two = lan.host(2).enter(|| watch(handle, 1, 0, at(peer), at(known), QUICK));
        assert_works([&one, &two], &members, known);
    }
}

#[test]
fn a_dynamic_link_answers_from_the_address_that_was_spoken_to() {
    dynamic_links(Family::V4);
}

#[test]
fn an_ipv6_dynamic_link_answers_from_the_address_that_was_spoken_to() {
    dynamic_links(Family::V6);
}

/// Two links of one socket, to peers that know different addresses.
#[test]
fn each_peer_of_a_socket_has_its_own_address() {
    let family = Family::V4;
    let lan = Lan::new(3, 1);
    lan.host(1).add_address(&interface(0), addresses(family)[1], family.prefix());
    let members: Vec<_> = (1..=3).map(Member::new).collect();
    let pairs: Vec<_> = [(2, addresses(family)[0]), (3, addresses(family)[1])]
        .into_iter()
        .map(|(peer, known)| {
            let remote = at(address(family, peer, 0));
            let one = lan
                .host(1)
                .enter(|| watch(&members[0].handle, peer, 0, at(all(family)), remote, QUICK));
            let handle = &members[usize::from(peer) - 1].handle;
            let other = lan.host(peer).enter(|| watch(handle, 1, 0, remote, at(known), QUICK));
            (one, other, known)
        })
        .collect();
    let between = |one: &Member, two: u16| {
        let two = address(family, two, 0);
        (one.id(), at(address(family, one.id(), 0)), at(two))
    };
    for (member, peer) in [(&members[1], 3), (&members[2], 2)] {
        let (host, local, remote) = between(member, peer);
        let _ = lan.host(host).enter(|| watch(&member.handle, peer, 0, local, remote, QUICK));
    }
    let others = |member: &Member| {
        let hosts = member.handle.hosts();
        hosts.into_iter().all(|host| member.handle.host(host).unwrap().is_reachable().unwrap())
    };
    until("all hosts are reachable", || members.iter().all(others));
    let mut traffic = Traffic::new(&members, 3000);
    for _ in 0..100 {
        traffic.round();
    }
    for (one, other, known) in &pairs {
        assert_eq!(one.status().unwrap().own_address, Some(*known));
        assert!(other.status().unwrap().state.is_up());
    }
}

/// Takes the known address of host 1 away, and waits until its end is down because of that. Other packets
/// still leave, from the other address, which the peer does not accept.
fn assert_reports_a_lost_address(all_addresses: bool) {
    let family = Family::V4;
    let (lan, members) = network(family);
    let (peer, known) = (address(family, 2, 0), addresses(family)[1]);
    let connect = |host: u16, local, remote| {
        let handle = &members[usize::from(host) - 1].handle;
        lan.host(host).enter(|| watch(handle, 3 - host, 0, at(local), at(remote), QUICK))
    };
    let one = connect(1, if all_addresses { all(family) } else { known }, peer);
    let two = connect(2, peer, known);
    let are_up = || [&one, &two].iter().all(|link| link.status().unwrap().state.is_up());
    until("both ends are up", are_up);
    lan.host(1).ip(&format!("address del {known}/{} dev {}", family.prefix(), interface(0)));
    let lost = LinkState::Down(DownReason::OwnAddressLost { address: known });
    let state = || one.status().unwrap().state;
    until("the link is down", || !state().is_up());
    assert_eq!(state(), lost);
    let pings = || {
        let stats = one.status().unwrap().stats;
        stats.tx_ping_packets + stats.tx_ping_errors
    };
    let before = pings();
    until("more pings were tried", || pings() > before + 2);
    assert_eq!(state(), lost, "it is still lost");

    lan.host(1).add_address(&interface(0), known, family.prefix());
    until("both ends are up again", are_up);
}

#[test]
fn a_link_reports_that_its_own_address_is_lost() {
    assert_reports_a_lost_address(true);
}

#[test]
fn a_link_with_a_socket_of_one_address_reports_that_it_is_lost() {
    assert_reports_a_lost_address(false);
}
