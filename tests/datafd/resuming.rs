//! Rule 3: a datafd that failed is not read, and there is a way back.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use knet_tests::cluster::{Cluster, channel};
use knet_tests::descriptors::{seqpacket_pair, stream_pair, udp_pair};
use knet_tests::wait::{next, read, receive};
use kronosnet::{DatafdProblem, DatafdState, Error};
use nix::libc::ECONNREFUSED;

/// A connected UDP socket, and another at its far end that is not connected to it: the kernel refuses what is
/// sent there, and no other test can take the port.
fn one_sided() -> (UdpSocket, UdpSocket) {
    let (given, far) = udp_pair();
    far.connect("127.0.0.1:9").unwrap();
    (given, far)
}

fn state(cluster: &Cluster) -> DatafdState {
    cluster.handle(1).datafd_status(channel(0)).unwrap().state
}

#[test]
fn row_03_a_refused_udp_socket_is_read_again_once_its_far_end_is_there() {
    let cluster = Cluster::pair();
    let (given, far) = one_sided();
    let datafd = cluster.bring(1, &given, 0);
    let there = cluster.create(2, 0);
    there.send(b"for nobody yet").unwrap();
    let event = next(cluster.problems(1));
    let refused = DatafdProblem::ReadFailed { errno: ECONNREFUSED, passing: true };
    assert_eq!((event.id, event.problem), (datafd.id(), refused));
    assert_eq!(state(&cluster), DatafdState::Disabled);

    far.connect(given.local_addr().unwrap()).unwrap();
    far.send(b"written meanwhile").unwrap();
    datafd.resume().unwrap();
    assert_eq!(state(&cluster), DatafdState::Active);
    assert_eq!(receive(&there), b"written meanwhile");
    there.send(b"and back").unwrap();
    assert_eq!(read(&far), b"and back");
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn row_03_a_resumed_datafd_may_fail_again_and_is_reported_again() {
    let cluster = Cluster::pair();
    let (given, _far) = one_sided();
    cluster.bring(1, &given, 0);
    let there = cluster.create(2, 0);
    for _ in 0..3 {
        there.send(b"for nobody").unwrap();
        let event = next(cluster.problems(1));
        assert!(matches!(event.problem, DatafdProblem::ReadFailed { passing: true, .. }));
        assert!(cluster.problems(1).is_empty(), "once per occurrence");
        cluster.handle(1).resume_datafd(given.as_raw_fd()).unwrap();
    }
}

#[test]
fn row_03_an_end_stays_an_end() {
    let cluster = Cluster::pair();
    let (given, far) = stream_pair();
    let datafd = cluster.bring(1, &given, 0);
    drop(far);
    for _ in 0..3 {
        assert_eq!(next(cluster.problems(1)).problem, DatafdProblem::EndOfFile);
        assert_eq!(state(&cluster), DatafdState::Disabled);
        datafd.resume().unwrap();
    }
}

#[test]
fn an_active_datafd_stays_active_and_a_removed_one_removed() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    let datafd = cluster.bring(1, &given, 0);
    let there = cluster.create(2, 0);
    datafd.resume().unwrap();
    far.send(b"once").unwrap();
    far.send(b"each").unwrap();
    assert_eq!([receive(&there), receive(&there)], [&b"once"[..], b"each"]);

    datafd.clone().remove().unwrap();
    let successor = cluster.bring(1, &given, 0);
    let error = datafd.resume().unwrap_err();
    assert!(matches!(error, Error::UnknownDatafd { .. }), "{error}");
    successor.resume().unwrap();
}
