//! A host that goes away and comes back with the same addresses.

use std::net::SocketAddr;

use knet_tests::cluster::{QUICK, exactly, message, stats, wait_until_reachable, watch};
use knet_tests::wait::{next_like, receive, until};
use kronosnet::{Datafd, DatafdSource, Handle, HostId, LocalSocket, Policy};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

struct Node {
    handle: Handle,
    datafd: Datafd,
}

fn node(id: u16) -> Node {
    let handle = Handle::new(HostId::new(id)).unwrap();
    // Opening a stream once enables the events.
    let _ = handle.datafd_events();
    let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
    handle.set_forwarding(true).unwrap();
    Node { handle, datafd }
}

/// Makes host 2, with links from these addresses.
fn second(local: &[SocketAddr], remote: &[SocketAddr]) -> Node {
    let two = node(2);
    for (link, (&local, &remote)) in (0..).zip(local.iter().zip(remote)) {
        watch(&two.handle, 1, link, local, remote, QUICK);
    }
    two
}

/// Makes two hosts, of which the second restarts a few times under a policy.
fn survives_restarts(links: u8, policy: Policy) {
    let one = node(1);
    let elsewhere = node(9);
    let bind = |node: &Node| -> Vec<LocalSocket> {
        (0..links).map(|_| node.handle.bind(ANY.into()).unwrap()).collect()
    };
    let addresses = |ends: &[LocalSocket]| ends.iter().map(LocalSocket::addr).collect::<Vec<_>>();
    let (here, there) = (bind(&one), bind(&elsewhere));
    let (local, remote) = (addresses(&here), addresses(&there));
    // Now the ports are known, and free.
    drop((there, elsewhere));
    for (link, (&local, &remote)) in (0..).zip(local.iter().zip(&remote)) {
        watch(&one.handle, 2, link, local, remote, QUICK);
    }
    one.handle.host(HostId::new(2)).unwrap().set_policy(policy).unwrap();

    for life in 0..4 {
        let two = second(&remote, &local);
        two.handle.host(HostId::new(1)).unwrap().set_policy(policy).unwrap();
        wait_until_reachable(&two.handle, &one.handle);
        let hosts = one.handle.host_events();
        // Each process numbers its messages from 1; they must not count as duplicates of its
        // predecessor's.
        for number in 0..20 {
            let bytes = message(600, life * 1000 + number);
            two.datafd.send(&bytes).unwrap();
            assert_eq!(receive(&one.datafd), bytes, "life {life}");
            one.datafd.send(&bytes).unwrap();
            assert_eq!(receive(&two.datafd), bytes, "life {life}");
        }
        assert_eq!(stats(&two.handle, 0).rx_messages, 20);
        drop(two);
        next_like(&hosts, |event| !event.reachable);
    }
    assert_eq!(stats(&one.handle, 0).rx_messages, 4 * 20, "none arrived twice");
}

#[test]
fn messages_flow_again_after_a_restart() {
    survives_restarts(1, Policy::Passive);
}

#[test]
fn messages_flow_again_after_a_restart_with_every_link_in_use() {
    survives_restarts(2, Policy::Active);
}

/// Starts the new process before a ping to the old one is refused. The sequence numbers in its
/// pings reveal the restart: they are lower than before, provided that a ping of the old process
/// carried them.
#[test]
fn a_quick_restart_is_detected_by_its_pings() {
    let one = node(1);
    let here = one.handle.bind(ANY.into()).unwrap();
    let two = node(2);
    let there = two.handle.bind(ANY.into()).unwrap();
    let (local, remote) = (here.addr(), there.addr());
    drop((two, there));
    let link = watch(&one.handle, 2, 0, local, remote, QUICK);
    let pings = || link.status().unwrap().stats.rx_ping_packets;
    for life in 0..10 {
        let two = second(&[remote], &[local]);
        wait_until_reachable(&two.handle, &one.handle);
        for number in 0..10 {
            let bytes = message(600, life * 1000 + number);
            two.datafd.send(&bytes).unwrap();
            assert_eq!(receive(&one.datafd), bytes, "life {life}");
        }
        let before = pings();
        until("a ping with the number of the last message", || pings() > before);
    }
}
