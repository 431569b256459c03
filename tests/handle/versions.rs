//! Links over IPv6, which behave as those over IPv4.

use std::net::{Ipv6Addr, UdpSocket};

use knet_tests::cluster::{Cluster, message};
use knet_tests::skip::skip;
use knet_tests::wait::{next_like, receive};
use kronosnet::{DownReason, LinkState};

/// Returns `true` if this machine supports IPv6.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn ipv6_links_carry_messages_of_every_size() {
    if !has_ipv6() {
        return skip("needs IPv6 on the loopback interface");
    }
    let cluster = Cluster::on(Ipv6Addr::LOCALHOST.into(), 2, 2);
    assert!(cluster.link(1, 2, 0).local_addr().unwrap().is_ipv6());
    // The minimum MTU of IPv6 is 1280, the headers take 74.
    assert_eq!(cluster.handle(1).data_mtu(), 1206);
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    for length in [1, 1206, 1207, 10_000, 65_536] {
        for (from, to) in [(&one, &two), (&two, &one)] {
            from.send(&message(length, 3)).unwrap();
            assert!(receive(to) == message(length, 3), "{length} bytes");
        }
    }
}

#[test]
fn ipv6_peers_that_the_kernel_reports_as_gone_are_down_at_once() {
    if !has_ipv6() {
        return skip("needs IPv6 on the loopback interface");
    }
    let cluster = Cluster::on(Ipv6Addr::LOCALHOST.into(), 2, 1);
    let links = cluster.handle(1).link_events();
    cluster.link(2, 1, 0).disable().unwrap();
    cluster.link(2, 1, 0).clear().unwrap();
    let event = next_like(&links, |event| !event.state.is_up());
    let refused = DownReason::TransportError { errno: nix::libc::ECONNREFUSED };
    assert_eq!(event.state, LinkState::Down(refused));
}
