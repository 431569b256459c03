//! The UDP sockets of links: shared by links with the same address, closed with the last of them.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

use knet_tests::cluster::{QUICK, exactly, link_id, wait_until_reachable, watch};
use knet_tests::wait::receive;
use kronosnet::{DatafdSource, Error, Handle, HostId, LinkConfig};
use nix::libc::EADDRINUSE;

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

fn handle(id: u16) -> Handle {
    Handle::new(HostId::new(id)).unwrap()
}

fn is_taken(addr: SocketAddr) -> bool {
    match UdpSocket::bind(addr) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(EADDRINUSE));
            true
        }
    }
}

#[test]
fn an_address_in_use_is_an_error() {
    let handle = handle(1);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let host = handle.add_host(HostId::new(2)).unwrap();
    let errors = [
        handle.bind(addr).unwrap_err(),
        host.add_link(link_id(0), LinkConfig::udp(addr, addr)).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Bind(_)), "{error}");
        assert_eq!(error.errno(), EADDRINUSE);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
    }
    assert!(host.links().unwrap().is_empty());
    drop(taken);
    handle.bind(addr).unwrap();
}

/// Binds an address that this machine does not have yet (`IP_FREEBIND`), as when its network is
/// slow to start.
#[test]
fn an_address_that_is_not_there_yet_may_be_used() {
    let handle = handle(1);
    let socket = handle.bind("203.0.113.77:0".parse().unwrap()).unwrap();
    assert_ne!(socket.addr().port(), 0);
}

#[test]
fn a_local_socket_holds_its_address_until_it_is_dropped() {
    let handle = handle(1);
    let socket = handle.bind(ANY.into()).unwrap();
    let addr = socket.addr();
    assert!(is_taken(addr));
    let same = handle.bind(addr).unwrap();
    assert_eq!(same.addr(), addr);
    drop(socket);
    assert!(is_taken(addr), "the other local socket still holds it");
    drop(same);
    assert!(!is_taken(addr), "closed at once");
}

#[test]
fn local_sockets_with_port_0_have_a_port_each() {
    let handle = handle(1);
    let ends: Vec<_> = (0..4).map(|_| handle.bind(ANY.into()).unwrap()).collect();
    let ports: BTreeSet<_> = ends.iter().map(|end| end.addr().port()).collect();
    assert_eq!(ports.len(), 4);
    // Links that request port 0 request the same address, as in libknet.
    let host = handle.add_host(HostId::new(2)).unwrap();
    let remote = ([127, 0, 0, 1], 9).into();
    let links = [0, 1]
        .map(|number| host.add_link(link_id(number), LinkConfig::udp(ANY.into(), remote)).unwrap());
    let [one, two] = links.map(|link| link.local_addr().unwrap());
    assert_eq!(one, two);
    assert!(!ports.contains(&one.port()));
}

#[test]
fn links_with_the_same_address_share_a_socket() {
    let handle = handle(1);
    let socket = handle.bind(ANY.into()).unwrap();
    let addr = socket.addr();
    let remote = ([127, 0, 0, 1], 9).into();
    let mut links = Vec::new();
    for peer in 2..5 {
        let host = handle.add_host(HostId::new(peer)).unwrap();
        for number in 0..2 {
            links.push(host.add_link(link_id(number), LinkConfig::udp(addr, remote)).unwrap());
        }
    }
    drop(socket);
    for link in links {
        assert!(is_taken(addr));
        assert_eq!(link.local_addr().unwrap(), addr);
        link.clear().unwrap();
    }
    assert!(!is_taken(addr), "closed with the last");
}

#[test]
fn a_rejected_link_leaves_no_socket_behind() {
    let handle = handle(1);
    let socket = handle.bind(ANY.into()).unwrap();
    let addr = socket.addr();
    drop(socket);
    let host = handle.add_host(HostId::new(2)).unwrap();
    host.add_link(link_id(0), LinkConfig::udp(ANY.into(), addr)).unwrap();
    host.add_link(link_id(0), LinkConfig::udp(addr, addr)).unwrap_err();
    assert!(!is_taken(addr));
}

#[test]
fn the_address_is_free_again_when_the_handle_is_gone() {
    let handle = handle(1);
    let socket = handle.bind(ANY.into()).unwrap();
    let addr = socket.addr();
    watch(&handle, 2, 0, addr, ([127, 0, 0, 1], 9).into(), QUICK);
    drop(socket);
    assert!(is_taken(addr));
    drop(handle);
    assert!(!is_taken(addr));
}

/// Uses one socket per host for everything: the usual set-up of a cluster.
#[test]
fn a_shared_socket_carries_the_links_to_all_hosts() {
    let handles = [handle(1), handle(2), handle(3)];
    let ends: Vec<_> = handles.iter().map(|handle| handle.bind(ANY.into()).unwrap()).collect();
    for (at, handle) in handles.iter().enumerate() {
        for (peer, end) in ends.iter().enumerate().filter(|&(peer, _)| peer != at) {
            let peer = u16::try_from(peer + 1).unwrap();
            watch(handle, peer, 0, ends[at].addr(), end.addr(), QUICK);
        }
        let _ = handle.datafd_events();
        handle.set_forwarding(true).unwrap();
    }
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        wait_until_reachable(&handles[one], &handles[two]);
    }
    let add = |handle: &Handle| handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
    let datafds: Vec<_> = handles.iter().map(add).collect();
    for from in &datafds {
        assert_eq!(from.send(b"to the two others").unwrap().hosts, 2);
        for to in datafds.iter().filter(|to| to.number() != from.number()) {
            assert_eq!(receive(to), b"to the two others");
        }
    }
}
