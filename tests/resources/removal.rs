//! Datafds that are added and removed a thousand times while other channels carry traffic.

use std::os::fd::AsFd;

use knet_tests::cluster::{Cluster, channel, exactly, message};
use knet_tests::descriptors::{datagram_pair, stream_pair};
use knet_tests::flow::during_traffic;
use knet_tests::process::{open_fds, watched_sources};
use knet_tests::wait::{receive, until};
use kronosnet::{ChannelRequest, DatafdSource};

use crate::alone;

#[test]
fn adding_and_removing_a_thousand_times_under_traffic_loses_and_leaks_nothing() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let flowing: Vec<_> =
        (0..2).map(|number| (cluster.create(1, number), cluster.create(2, number))).collect();
    let before = open_fds();
    during_traffic(&flowing, 1200, || {
        for round in 0..1000 {
            add_and_remove(&cluster, round);
        }
    });
    assert!(cluster.problems(1).is_empty() && cluster.problems(2).is_empty());
    assert_eq!(open_fds(), before);
}

/// Adds and removes a datafd at each host, in one of four ways, with a message in transit.
fn add_and_remove(cluster: &Cluster, round: usize) {
    let at = 1 + u16::try_from(round % 2).unwrap();
    let number = 2 + u8::try_from(round % 30).unwrap();
    let there = cluster.handle(3 - at).add_datafd(DatafdSource::Create, exactly(number)).unwrap();
    match round % 4 {
        0 => {
            let (given, far) = datagram_pair();
            let datafd = cluster.bring(at, &given, number);
            far.send(b"on its way").unwrap();
            datafd.remove().unwrap();
        }
        1 => {
            let (given, far) = stream_pair();
            cluster.bring(at, &given, number);
            there.send(b"on its way").unwrap();
            cluster.handle(at).remove_datafd(&given).unwrap();
            drop(far);
        }
        2 => {
            let datafd = cluster.create(at, number);
            nix::unistd::write(&datafd, b"on its way").unwrap();
            assert_eq!(receive(&there), b"on its way");
            datafd.remove().unwrap();
        }
        _ => {
            let (given, _far) = datagram_pair();
            let source = DatafdSource::Fd(given.as_fd());
            let datafd = cluster.handle(at).add_datafd(source, ChannelRequest::Any).unwrap();
            datafd.send(b"on its way").unwrap();
            datafd.remove().unwrap();
        }
    }
    there.remove().unwrap();
}

#[test]
fn a_removed_stream_is_in_no_poller_although_a_message_was_half_written() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let from = cluster.create(1, 0);
    let before = watched_sources();
    // The other end stays open, so the kernel would go on watching it.
    let (given, _far) = stream_pair();
    let brought = cluster.bring(2, &given, 0);
    let there = || cluster.handle(2).channel_stats(channel(0));
    until("nothing more fits", || {
        let _ = from.send(&message(65_536, 0));
        there().rx_dropped_full > 0
    });
    assert!(watched_sources() >= before + 2, "for reading, and for the rest of a message");
    brought.remove().unwrap();
    assert_eq!(watched_sources(), before);
}
