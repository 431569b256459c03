//! Row 5: a message has 1 to 65536 bytes.

use std::os::fd::AsFd;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::descriptors::{datagram_pair, grow_buffers, seqpacket_pair};
use knet_tests::wait::{next, read, receive};
use kronosnet::{Datafd, DatafdEvent, DatafdProblem, Direction, Error, MAX_MESSAGE};
use nix::errno::Errno;

#[test]
fn row_05_send_refuses_empty_messages_and_more_than_65536_bytes() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for length in [0, MAX_MESSAGE + 1, 10 * MAX_MESSAGE] {
        let error = from.send(&message(length, 0)).unwrap_err();
        assert!(
            matches!(error, Error::MessageSize { length: given } if given == length),
            "{error}"
        );
        assert_eq!(error.errno(), nix::libc::EINVAL);
    }
    // The length is checked first.
    let error = cluster.handle(1).send(channel(9), &[]).unwrap_err();
    assert!(matches!(error, Error::MessageSize { .. }), "{error}");

    let error = to.recv(&mut []).unwrap_err();
    assert!(matches!(error, Error::EmptyBuffer), "{error}");
    assert_eq!(error.errno(), nix::libc::EINVAL);
}

#[test]
fn row_05_65536_bytes_are_sent_and_received_whole() {
    let cluster = Cluster::pair();
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    for (seed, (from, to)) in [(&one, &two), (&two, &one)].into_iter().enumerate() {
        let longest = message(MAX_MESSAGE, seed);
        from.send(&longest).unwrap();
        assert!(receive(to) == longest, "sent by a call");
        let longest = message(MAX_MESSAGE, 100 + seed);
        assert_eq!(nix::unistd::write(from, &longest), Ok(MAX_MESSAGE));
        assert!(receive(to) == longest, "written to the datafd");
    }
}

#[test]
fn row_05_65536_bytes_go_through_the_callers_fd() {
    let cluster = Cluster::pair();
    for (number, (given, far)) in (0..).zip([seqpacket_pair(), datagram_pair()]) {
        grow_buffers(&given);
        grow_buffers(&far);
        cluster.bring(1, &given, number);
        let there = cluster.create(2, number);
        let longest = message(MAX_MESSAGE, 1);
        far.send(&longest).unwrap();
        assert!(receive(&there) == longest, "read from the fd");
        there.send(&longest).unwrap();
        assert!(read(&far) == longest, "written to the fd");
    }
}

/// Writes messages to a datafd, some of them too long, and checks that exactly these are lost.
fn too_long_is_dropped(cluster: &Cluster, number: u8, write: impl AsFd, to: &Datafd) {
    let at = channel(number);
    let datafd = cluster.handle(1).datafd_status(at).unwrap().number;
    for (seed, length) in [MAX_MESSAGE + 1, 100_000, 2 * MAX_MESSAGE].into_iter().enumerate() {
        let fine = message(MAX_MESSAGE, seed);
        for bytes in [&message(length, 7), &fine] {
            assert_eq!(nix::unistd::write(&write, bytes), Ok(bytes.len()));
        }
        let event = next(cluster.problems(1));
        let DatafdEvent { channel, direction, problem, .. } = event;
        assert_eq!((channel, event.datafd, direction), (at, datafd, Direction::Tx));
        assert_eq!(problem, DatafdProblem::MessageTooLong);
        assert_eq!(problem.errno(), nix::libc::EMSGSIZE);
        // Neither truncated nor split, and the channel still works.
        assert!(receive(to) == fine);
    }
    let stats = cluster.stats(1, number);
    assert!(cluster.problems(1).is_empty(), "each is reported once");
    assert_eq!((stats.tx_too_long, stats.tx_messages), (3, 3));
}

#[test]
fn row_05_a_longer_message_written_to_the_datafd_is_dropped_and_reported() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 3), cluster.create(2, 3));
    too_long_is_dropped(&cluster, 3, &from, &to);
}

#[test]
fn row_05_a_longer_message_written_to_the_callers_fd_is_dropped_and_reported() {
    for (given, far) in [seqpacket_pair(), datagram_pair()] {
        let cluster = Cluster::pair();
        grow_buffers(&far);
        cluster.bring(1, &given, 1);
        let to = cluster.create(2, 1);
        too_long_is_dropped(&cluster, 1, &far, &to);
    }
}

#[test]
fn row_05_a_message_that_does_not_fit_the_buffer_is_an_error() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    from.send(b"four").unwrap();
    from.send(b"next").unwrap();
    knet_tests::wait::readable(&to);
    let error = to.recv(&mut [0; 3]).unwrap_err();
    assert!(matches!(error, Error::BufferTooSmall { buffer: 3, .. }), "{error}");
    assert_eq!(error.errno(), nix::libc::EMSGSIZE);
    assert_eq!(receive(&to), b"next");
    let error = to.recv(&mut [0; 3]).unwrap_err();
    assert_eq!(Errno::from_raw(error.errno()), Errno::EAGAIN);
}
