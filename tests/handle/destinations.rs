//! Destinations of messages among three and more hosts (`docs/protocol.md`, "Sending").

use std::collections::HashSet;

use knet_tests::cluster::{Cluster, channel, message, wait_up};
use knet_tests::wait::{is_readable, next_like, receive};
use kronosnet::{Datafd, Direction, Error, FilterMessage, HostId, NotSent, Verdict};

/// Makes hosts with a datafd each. Their filters send a message to the hosts whose ids are its
/// bytes, or to everybody if it begins with 0.
fn addressed(hosts: u16) -> (Cluster, Vec<Datafd>) {
    let cluster = Cluster::new(hosts, 1);
    let datafds = (1..=hosts).map(|at| cluster.create(at, 0)).collect();
    for at in 1..=hosts {
        cluster.handle(at).set_filter(by_first_bytes).unwrap();
    }
    (cluster, datafds)
}

fn by_first_bytes(message: &mut FilterMessage<'_>) -> Verdict {
    if message.direction() == Direction::Rx || message.payload()[0] == 0 {
        return Verdict::Broadcast;
    }
    for byte in message.payload().to_vec() {
        message.add_destination(HostId::new(byte.into()));
    }
    Verdict::Destinations
}

fn ids(hosts: impl Iterator<Item = HostId>) -> Vec<u16> {
    hosts.map(HostId::get).collect()
}

/// Asserts that exactly these hosts have received the message: the others are sent another one,
/// which is the first that they receive.
fn got_by(datafds: &[Datafd], from: usize, sent: &[u8], hosts: &[usize]) {
    for &host in hosts {
        assert_eq!(receive(&datafds[host - 1]), sent);
    }
    datafds[from - 1].send(&[0, 99]).unwrap();
    for (index, datafd) in datafds.iter().enumerate() {
        if index + 1 != from {
            assert_eq!(receive(datafd), [0, 99], "host {} received something else", index + 1);
        }
    }
}

#[test]
fn without_a_filter_messages_go_to_all_hosts() {
    let cluster = Cluster::new(4, 1);
    let datafds: Vec<_> = (1..=4).map(|at| cluster.create(at, 0)).collect();
    for round in 0..10 {
        for (index, from) in datafds.iter().enumerate() {
            let bytes = message(2000, round * 10 + index);
            assert_eq!(from.send(&bytes).unwrap().hosts, 3);
            for to in datafds.iter().filter(|to| to.number() != from.number()) {
                assert_eq!(receive(to), bytes);
            }
            assert!(!is_readable(from), "the sender itself receives nothing");
        }
    }
}

#[test]
fn a_filter_selects_one_host_or_several() {
    let (_cluster, datafds) = addressed(4);
    for (sent, hosts) in [
        (&[2][..], &[2][..]),
        (&[3], &[3]),
        (&[4, 2], &[2, 4]),
        (&[2, 3, 4], &[2, 3, 4]),
        (&[0, 0], &[2, 3, 4]),
    ] {
        assert_eq!(datafds[0].send(sent).unwrap().hosts, hosts.len());
        got_by(&datafds, 1, sent, hosts);
        // The same for a message that is written.
        nix::unistd::write(&datafds[0], sent).unwrap();
        for &host in hosts {
            assert_eq!(receive(&datafds[host - 1]), sent);
        }
    }
}

#[test]
fn a_host_that_is_listed_twice_gets_the_message_once() {
    let (cluster, datafds) = addressed(3);
    assert_eq!(datafds[0].send(&[2, 2, 2]).unwrap().hosts, 1);
    assert_eq!(cluster.link(1, 2, 0).status().unwrap().stats.tx_data_packets, 1);
    got_by(&datafds, 1, &[2, 2, 2], &[2]);
}

#[test]
fn unknown_and_unreachable_hosts_are_skipped() {
    let (cluster, datafds) = addressed(3);
    let events = cluster.handle(1).host_events();
    cluster.link(1, 3, 0).disable().unwrap();
    next_like(&events, |event| event.host == HostId::new(3) && !event.reachable);
    // 3 is not reachable, 77 was never added, 1 is ourselves.
    let report = datafds[0].send(&[3, 77, 1, 2]).unwrap();
    assert_eq!((report.hosts, ids(report.delivered())), (1, vec![2]));
    let mut reasons: Vec<_> = report.failures().map(|f| (f.host.get(), f.reason)).collect();
    reasons.sort_unstable_by_key(|&(host, _)| host);
    let (unknown, down) = (NotSent::Unknown, NotSent::Unreachable);
    assert_eq!(reasons, [(1, unknown), (3, down), (77, unknown)]);
    assert_eq!(receive(&datafds[1]), [3, 77, 1, 2]);
    // For a message to all hosts, each of them is reported.
    let report = datafds[0].send(&[0]).unwrap();
    assert_eq!(ids(report.delivered()), [2]);
    let reasons: Vec<_> = report.failures().map(|f| (f.host.get(), f.reason)).collect();
    assert_eq!(reasons, [(3, down)]);
    assert_eq!(receive(&datafds[1]), [0]);
    let nobody = |error: Error| {
        assert_eq!(error.errno(), nix::libc::EHOSTDOWN);
        let Error::NoReachableHost { mut failures } = error else { panic!("{error}") };
        failures.sort_unstable_by_key(|failure| failure.host);
        failures.iter().map(|f| (f.host.get(), f.reason)).collect::<Vec<_>>()
    };
    for (named, reasons) in [
        (&[3][..], &[(3, down)][..]),
        (&[77], &[(77, unknown)]),
        (&[1], &[(1, unknown)]),
        (&[3, 77, 1], &[(1, unknown), (3, down), (77, unknown)]),
    ] {
        assert_eq!(nobody(datafds[0].send(named).unwrap_err()), reasons);
    }
    cluster.link(1, 2, 0).disable().unwrap();
    next_like(&events, |event| event.host == HostId::new(2) && !event.reachable);
    let error = datafds[0].send(&[0]).unwrap_err();
    assert!(error.to_string().contains("host 2: none of its links is up"), "{error}");
    assert_eq!(nobody(error), [(2, down), (3, down)]);
    assert_eq!(cluster.handle(1).channel_stats(channel(0)).tx_no_destination, 5);

    cluster.link(1, 3, 0).enable().unwrap();
    wait_up(&cluster.link(1, 3, 0));
    assert_eq!(datafds[0].send(&[3]).unwrap().hosts, 1);
    assert_eq!(receive(&datafds[2]), [3]);
}

#[test]
fn one_host_that_is_gone_does_not_affect_the_others() {
    let cluster = Cluster::new(3, 1);
    let datafds: Vec<_> = (1..=3).map(|at| cluster.create(at, 0)).collect();
    let mut seen = HashSet::new();
    for number in 0..300 {
        if number == 100 {
            // Its socket is closed; from now on the kernel refuses packets to it.
            cluster.link(2, 1, 0).disable().unwrap();
            cluster.link(2, 1, 0).clear().unwrap();
        }
        let bytes = message(900, number);
        datafds[0].send(&bytes).unwrap();
        assert_eq!(receive(&datafds[2]), bytes);
        seen.insert(bytes);
    }
    assert_eq!(seen.len(), 300);
}

#[test]
fn a_removed_host_gets_nothing() {
    let cluster = Cluster::new(3, 1);
    let datafds: Vec<_> = (1..=3).map(|at| cluster.create(at, 0)).collect();
    let link = cluster.link(1, 3, 0);
    link.disable().unwrap();
    link.clear().unwrap();
    cluster.handle(1).remove_host(HostId::new(3)).unwrap();
    assert_eq!(datafds[0].send(b"to one").unwrap().hosts, 1);
    assert_eq!(receive(&datafds[1]), b"to one");
    // And its own messages are no longer accepted.
    datafds[2].send(b"from a stranger").unwrap();
    assert_eq!(receive(&datafds[1]), b"from a stranger");
    datafds[1].send(b"from a friend").unwrap();
    assert_eq!(receive(&datafds[0]), b"from a friend");
}
