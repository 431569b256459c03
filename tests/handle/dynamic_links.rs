//! Links that learn the address of their peer from its packets, on real sockets (`docs/protocol.md`,
//! "Dynamic links").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use knet_tests::cluster::{QUICK, channel, link_id, node, wait_up, watch};
use knet_tests::wait::{next, next_message, until};
use kronosnet::{
    AclAction, AclEntry, Datafd, DownReason, Error, Handle, HostId, Link, LinkConfig, LinkEnds,
    LinkError, LinkKind, LinkState,
};
use nix::libc::EINVAL;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Adds host 1's link to host 2, which may be anywhere on this machine.
fn waiting(handle: &Handle, ip: IpAddr) -> Link {
    let host = handle.add_host(HostId::new(2)).unwrap();
    let config = LinkConfig::udp_dynamic(SocketAddr::new(ip, 0));
    let link = host.add_link(link_id(0), config).unwrap();
    link.set_ping_timers(QUICK).unwrap();
    link.set_pong_count(1).unwrap();
    let (first, last) = match ip {
        IpAddr::V4(_) => ([127, 0, 0, 1].into(), [127, 255, 255, 254].into()),
        IpAddr::V6(_) => (ip, ip),
    };
    link.add_acl_entry(AclEntry::range(AclAction::Accept, first, last).unwrap()).unwrap();
    link.enable().unwrap();
    link
}

/// Sends until a message arrives: the links of both ends have to be up for one to.
fn until_received(from: &Datafd, to: &Datafd, message: &[u8]) {
    until("a message arrives", || {
        // No host may be reachable yet.
        let _ = from.send(message);
        let mut buffer = [0; 64];
        matches!(to.recv(&mut buffer), Ok(length) if buffer[..length] == *message)
    });
}

/// Moves the peer from one address to the next. Each time it is found, and messages pass both ways.
fn follow(here: IpAddr, places: &[SocketAddr]) {
    let ((one, at_one), (two, at_two)) = (node(1), node(2));
    let link = waiting(&one, here);
    let local = link.local_addr().unwrap();
    let mut last = None;
    for (move_number, &place) in places.iter().enumerate() {
        let end = two.bind(place).unwrap();
        assert_ne!(last.replace(end.addr()), Some(end.addr()));
        let moved = watch(&two, 1, 0, end.addr(), local, QUICK);
        until("the peer is found", || {
            let status = link.status().unwrap();
            status.peer_known && status.remote == Some(end.addr())
        });
        wait_up(&link);
        wait_up(&moved);
        let (there, back) = (format!("to {move_number}"), format!("from {move_number}"));
        until_received(&at_one, &at_two, there.as_bytes());
        until_received(&at_two, &at_one, back.as_bytes());
        moved.disable().unwrap();
        moved.clear().unwrap();
    }
}

#[test]
fn a_peer_is_found_and_followed_to_other_addresses() {
    let places = [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]];
    follow(HERE, &places.map(|ip| SocketAddr::from((ip, 0))));
}

#[test]
fn two_machines_with_one_host_id_are_reported_with_both_addresses() {
    let (one, _at_one) = node(1);
    let moves = one.address_events();
    let link = waiting(&one, HERE);
    let local = link.local_addr().unwrap();
    let machines = [2, 3].map(|last| {
        let (machine, datafd) = node(2);
        let end = machine.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        let addr = end.addr();
        let link = watch(&machine, 1, 0, addr, local, QUICK);
        (addr, machine, datafd, end, link)
    });
    let contested = std::iter::from_fn(|| Some(next(&moves))).find(|event| event.contested);
    let contested = contested.unwrap();
    assert_eq!((contested.host, contested.link), (HostId::new(2), link_id(0)));
    let mut places = [contested.from, contested.to];
    places.sort();
    assert_eq!(places, [machines[0].0, machines[1].0]);
    assert!(link.status().unwrap().stats.moves >= 2);
}

#[test]
fn a_peer_that_changes_only_its_port_is_followed() {
    follow(HERE, &[SocketAddr::new(HERE, 0); 3]);
}

#[test]
fn a_peer_is_followed_over_ipv6() {
    let here = Ipv6Addr::LOCALHOST.into();
    follow(here, &[SocketAddr::new(here, 0); 3]);
}

#[test]
fn the_status_shows_whether_the_peer_was_found() {
    let (one, _datafd) = node(1);
    let link = waiting(&one, HERE);
    let local = link.local_addr().unwrap();
    let status = link.status().unwrap();
    assert_eq!((status.kind, status.peer_known), (LinkKind::Dynamic, false));
    assert_eq!(status.state, LinkState::Down(DownReason::NoPeerYet));
    assert_eq!(link.remote_addr().unwrap(), None);
    assert_eq!(link.config().unwrap().ends, LinkEnds::UdpDynamic { local });
    assert_eq!(
        (link.config().unwrap().local(), link.config().unwrap().remote()),
        (Some(local), None)
    );
    let error = one.host(HostId::new(2)).unwrap().wait_until_reachable(std::time::Duration::ZERO);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("no packet from the peer yet"), "{text}");

    let (two, at_two) = node(2);
    let end = two.bind(SocketAddr::new(HERE, 0)).unwrap();
    watch(&two, 1, 0, end.addr(), local, QUICK);
    wait_up(&link);
    assert_eq!(link.remote_addr().unwrap(), Some(end.addr()));
    assert!(link.status().unwrap().peer_known);
    // The address that was found is not a setting.
    assert_eq!(link.config().unwrap().ends, LinkEnds::UdpDynamic { local });
    one.send(channel(0), b"hello").unwrap();
    assert_eq!(next_message(&at_two, |_| true), b"hello");

    link.disable().unwrap();
    assert!(!link.status().unwrap().peer_known);
    assert_eq!(link.remote_addr().unwrap(), Some(end.addr()), "its last address");
}

#[test]
fn a_dynamic_link_shares_its_local_address_with_dynamic_links_only() {
    let (one, _datafd) = node(1);
    let link = waiting(&one, HERE);
    let local = link.local_addr().unwrap();
    let three = one.add_host(HostId::new(3)).unwrap();
    let fixed = LinkConfig::udp(local, (HERE, 9).into());
    let error = three.add_link(link_id(0), fixed).unwrap_err();
    let named = matches!(error, Error::Link(LinkError::SharedSocket { host, link })
        if (host, link) == (HostId::new(2), link_id(0)));
    assert!(named, "{error}");
    assert_eq!(error.errno(), EINVAL);
    assert!(three.links().unwrap().is_empty());
    three.add_link(link_id(0), LinkConfig::udp_dynamic(local)).unwrap();

    let fixed =
        three.add_link(link_id(1), LinkConfig::udp(([127, 0, 0, 2], 0).into(), (HERE, 9).into()));
    let dynamic = LinkConfig::udp_dynamic(fixed.unwrap().local_addr().unwrap());
    let error = three.add_link(link_id(2), dynamic).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::SharedSocket { .. })), "{error}");
}
