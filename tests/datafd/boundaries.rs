//! Message boundaries: one write at one end is one read at the other.

use std::os::fd::AsFd;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::descriptors::{datagram_pair, grow_buffers, seqpacket_pair};
use knet_tests::wait::{read, receive};
use kronosnet::DatafdState;
use nix::sys::socket::{MsgFlags, send};
use std::os::fd::AsRawFd;

/// Around the longest payload of one packet over IPv4 (522 bytes), and the extremes.
const LENGTHS: [usize; 9] = [1, 2, 521, 522, 523, 1044, 1045, 4096, 65536];

/// Writes messages without a pause and expects each of them whole at the other host.
fn kept_from(cluster: &Cluster, number: u8, far: impl AsFd) {
    let to = cluster.create(2, number);
    for (seed, length) in LENGTHS.into_iter().enumerate() {
        assert_eq!(nix::unistd::write(&far, &message(length, seed)), Ok(length));
    }
    for (seed, length) in LENGTHS.into_iter().enumerate() {
        assert!(receive(&to) == message(length, seed), "message of {length} bytes");
    }
}

/// Sends messages without a pause and expects each of them whole from the descriptor.
fn kept_to(cluster: &Cluster, number: u8, far: impl AsFd) {
    let from = cluster.create(1, number);
    for (seed, length) in LENGTHS.into_iter().enumerate() {
        from.send(&message(length, seed)).unwrap();
    }
    for (seed, length) in LENGTHS.into_iter().enumerate() {
        assert!(read(&far) == message(length, seed), "message of {length} bytes");
    }
}

#[test]
fn boundaries_are_kept_by_created_pairs() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 1));
    kept_from(&cluster, 0, &from);
    kept_to(&cluster, 1, &to);
}

#[test]
fn boundaries_are_kept_by_seqpackets_and_datagrams() {
    for (given, far) in [seqpacket_pair(), datagram_pair()] {
        grow_buffers(&given);
        grow_buffers(&far);
        let cluster = Cluster::pair();
        let datafd = cluster.bring(1, &given, 0);
        kept_from(&cluster, 0, &far);
        datafd.remove().unwrap();
        cluster.bring(2, &given, 1);
        kept_to(&cluster, 1, &far);
    }
}

#[test]
fn boundaries_hold_for_a_thousand_messages_in_order() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for round in 0..20 {
        for number in 0..50 {
            let bytes = message(1 + number * 3, round * 50 + number);
            assert_eq!(nix::unistd::write(&from, &bytes), Ok(bytes.len()));
        }
        for number in 0..50 {
            assert_eq!(receive(&to), message(1 + number * 3, round * 50 + number));
        }
    }
}

/// Sends an empty message, then one with a payload.
fn empty_is_not_the_end(cluster: &Cluster, number: u8, far: impl AsFd) {
    let to = cluster.create(2, number);
    for _ in 0..3 {
        assert_eq!(send(far.as_fd().as_raw_fd(), &[], MsgFlags::empty()), Ok(0));
        assert_eq!(nix::unistd::write(&far, b"something"), Ok(9));
        assert_eq!(receive(&to), b"something");
    }
    let status = cluster.handle(1).datafd_status(channel(number)).unwrap();
    assert_eq!(status.state, DatafdState::Active);
    assert_eq!(cluster.stats(1, number).tx_messages, 3);
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn boundaries_an_empty_datagram_is_not_end_of_file() {
    let cluster = Cluster::pair();
    let (given, far) = datagram_pair();
    cluster.bring(1, &given, 3);
    empty_is_not_the_end(&cluster, 3, &far);
    let (given, far) = knet_tests::descriptors::udp_pair();
    cluster.bring(1, &given, 4);
    empty_is_not_the_end(&cluster, 4, &far);
}

#[test]
fn boundaries_an_empty_seqpacket_message_is_not_end_of_file() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    cluster.bring(1, &given, 3);
    empty_is_not_the_end(&cluster, 3, &far);
    let datafd = cluster.create(1, 4);
    empty_is_not_the_end(&cluster, 4, &datafd);
}
