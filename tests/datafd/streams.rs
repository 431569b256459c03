//! Streams have no message boundaries: each read is a packet, and a packet is written whole.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::descriptors::{clear_flags, stream_pair, tcp_pair};
use knet_tests::wait::{DEADLINE, read, receive, until};
use kronosnet::{DatafdProblem, MAX_MESSAGE, Verdict};
use nix::sys::socket::sockopt::SndBuf;
use nix::sys::socket::{MsgFlags, recv, send, setsockopt};

#[test]
fn stream_reads_become_packets_of_at_most_65536_bytes() {
    let cluster = Cluster::pair();
    let (given, mut far) = stream_pair();
    cluster.bring(1, &given, 0);
    let to = cluster.create(2, 0);
    let sent = message(300_000, 1);
    let writer = {
        let sent = sent.clone();
        thread::spawn(move || far.write_all(&sent).map(|()| far))
    };
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let packet = receive(&to);
        assert!((1..=MAX_MESSAGE).contains(&packet.len()), "{} bytes", packet.len());
        received.extend(packet);
    }
    assert!(received == sent);
    writer.join().unwrap().unwrap();
}

#[test]
fn stream_to_stream_carries_the_same_bytes() {
    let cluster = Cluster::pair();
    let (one, mut far_one) = stream_pair();
    let (two, far_two) = stream_pair();
    cluster.bring(1, &one, 0);
    cluster.bring(2, &two, 0);
    for round in 0..50 {
        let sent = message(1 + round * 400, round);
        far_one.write_all(&sent).unwrap();
        let mut received = Vec::new();
        while received.len() < sent.len() {
            received.extend(read(&far_two));
        }
        assert!(received == sent);
    }
}

/// The flag belongs to the open file, which the application still has. A byte of urgent data makes
/// the stream readable, but a read does not return it.
#[test]
fn stream_that_is_made_blocking_again_blocks_nothing() {
    let (unix, tcp) = (stream_pair(), tcp_pair());
    let ends: [(OwnedFd, OwnedFd); 2] =
        [(unix.0.into(), unix.1.into()), (tcp.0.into(), tcp.1.into())];
    for (given, far) in ends {
        let cluster = Cluster::pair();
        cluster.bring(1, &given, 0);
        let (from, to) = (cluster.create(1, 1), cluster.create(2, 1));
        clear_flags(&given);
        assert_eq!(send(far.as_raw_fd(), b"!", MsgFlags::MSG_OOB), Ok(1));
        for number in 0..20 {
            nix::unistd::write(&from, &message(100, number)).unwrap();
            assert_eq!(receive(&to), message(100, number));
        }
        let handle = cluster.handle(1).clone();
        let (done, over) = crossbeam_channel::bounded(1);
        // If it blocks, only its thread is stuck.
        thread::spawn(move || {
            handle.set_forwarding(false).unwrap();
            drop((from, handle, cluster));
            done.send(()).unwrap();
        });
        over.recv_timeout(DEADLINE).expect("a flush and dropping the handle end");
    }
}

/// Returns a message that contains its length and its number, so that a stream of them can be
/// parsed.
fn framed(index: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + length);
    bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
    bytes.extend(index.to_be_bytes());
    bytes.extend(message(length, index as usize));
    bytes
}

/// Parses a stream of framed messages and returns their numbers.
fn unframe(mut bytes: &[u8]) -> Vec<u32> {
    let mut indices = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let (length, index) = (word(0) as usize, word(4));
        let whole = framed(index, length);
        assert!(bytes.starts_with(&whole), "message {index} is not whole");
        indices.push(index);
        bytes = &bytes[whole.len()..];
    }
    indices
}

/// Returns the number of unread bytes.
fn unread(far: &UnixStream) -> u64 {
    let mut buffer = vec![0; 1 << 20];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(far.as_raw_fd(), &mut buffer, flags).unwrap() as u64
}

/// Makes host 2, with a stream on channel 0 that holds little and that nothing reads, and host 1,
/// which has sent it more messages than it holds.
fn stuck() -> (Cluster, UnixStream, kronosnet::Datafd) {
    let cluster = Cluster::pair();
    let (given, far) = stream_pair();
    setsockopt(&given, SndBuf, &4096).unwrap();
    cluster.bring(2, &given, 0);
    let from = cluster.create(1, 0);
    for index in 0..MESSAGES {
        from.send(&framed(index, LENGTH)).unwrap();
    }
    until("all are written or dropped", || {
        let stats = cluster.handle(2).channel_stats(channel(0));
        stats.rx_messages + stats.rx_dropped_full == u64::from(MESSAGES)
    });
    (cluster, far, from)
}

const MESSAGES: u32 = 100;
/// More than the kernel accepts or refuses as one, and more than the socket's buffer holds, so that
/// a message is written only in part.
const LENGTH: usize = 20_001;

#[test]
fn stream_packets_are_written_whole() {
    let (cluster, mut far, from) = stuck();
    let stats = cluster.handle(2).channel_stats(channel(0));
    assert!(stats.rx_dropped_full > 0 && stats.rx_messages > 0, "{stats:?}");
    assert!(unread(&far) < stats.rx_bytes, "a message was written in part");

    // The rest of the packet is written as soon as there is room.
    let mut received = vec![0; usize::try_from(stats.rx_bytes).unwrap()];
    far.read_exact(&mut received).unwrap();
    let expected: Vec<_> = (0..u32::try_from(stats.rx_messages).unwrap()).collect();
    assert_eq!(unframe(&received), expected, "the first ones whole, and nothing of the others");

    // The next one follows it.
    for index in 1000..1020 {
        from.send(&framed(index, LENGTH)).unwrap();
        let mut next = vec![0; 8 + LENGTH];
        far.read_exact(&mut next).unwrap();
        assert_eq!(unframe(&next), [index]);
    }
}

/// Makes room while the next packet arrives, before the rest of the previous one has been written.
#[test]
fn stream_packets_wait_for_the_rest_of_the_previous_one() {
    let (cluster, mut far, from) = stuck();
    let (other, there) = (cluster.create(1, 1), cluster.create(2, 1));
    let (enter, entered) = crossbeam_channel::unbounded();
    let (leave, left) = crossbeam_channel::bounded::<()>(0);
    cluster
        .handle(2)
        .set_filter(move |message| {
            if message.payload() == b"wait here" {
                enter.send(()).unwrap();
                let _ = left.recv_timeout(DEADLINE);
            }
            Verdict::Broadcast
        })
        .unwrap();
    other.send(b"wait here").unwrap();
    entered.recv_timeout(DEADLINE).unwrap();
    from.send(&framed(MESSAGES, LENGTH)).unwrap();
    let mut received = vec![0; usize::try_from(unread(&far)).unwrap()];
    far.read_exact(&mut received).unwrap();
    drop(leave);
    assert_eq!(receive(&there), b"wait here");

    // Whether it fits depends on the kernel. If it does, it arrives whole, behind the previous one.
    until("it is written or dropped", || {
        let stats = cluster.handle(2).channel_stats(channel(0));
        stats.rx_messages + stats.rx_dropped_full == u64::from(MESSAGES) + 1
    });
    let stats = cluster.handle(2).channel_stats(channel(0));
    let mut rest = vec![0; usize::try_from(stats.rx_bytes).unwrap() - received.len()];
    far.read_exact(&mut rest).unwrap();
    received.extend(rest);
    let indices = unframe(&received);
    assert_eq!(indices.len() as u64, stats.rx_messages);
    assert!(indices.is_sorted(), "{indices:?}");
}

#[test]
fn stream_packets_longer_than_the_buffer_are_written_whole() {
    let cluster = Cluster::pair();
    let (given, mut far) = stream_pair();
    setsockopt(&given, SndBuf, &4096).unwrap();
    cluster.bring(2, &given, 0);
    let from = cluster.create(1, 0);
    for index in 0..20 {
        from.send(&framed(index, MAX_MESSAGE - 8)).unwrap();
        let mut received = vec![0; MAX_MESSAGE];
        far.read_exact(&mut received).unwrap();
        assert_eq!(unframe(&received), [index]);
    }
    assert_eq!(cluster.stats(2, 0).rx_messages, 20);
}

#[test]
fn stream_losses_are_counted_and_reported() {
    let (cluster, _far, _from) = stuck();
    let dropped = cluster.handle(2).channel_stats(channel(0)).rx_dropped_full;
    let mut reported = 0;
    while reported < dropped {
        match knet_tests::wait::next(cluster.problems(2)).problem {
            DatafdProblem::Full { messages } => reported += messages,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reported, dropped);
}

#[test]
fn stream_that_is_stuck_does_not_delay_other_channels() {
    let (cluster, far, from) = stuck();
    let (other, there) = (cluster.create(1, 1), cluster.create(2, 1));
    for number in 0..200 {
        from.send(&framed(2000, LENGTH)).unwrap();
        other.send(&message(100, number)).unwrap();
        assert_eq!(receive(&there), message(100, number));
        there.send(&message(100, number)).unwrap();
        assert_eq!(receive(&other), message(100, number));
    }
    drop(far);
}

#[test]
fn stream_that_is_removed_in_the_middle_of_a_packet_leaves_nothing_behind() {
    let (cluster, far, from) = stuck();
    let given = cluster.handle(2).datafd_status(channel(0)).unwrap().number;
    cluster.handle(2).remove_datafd(given).unwrap();
    let there = cluster.create(2, 0);
    from.send(b"to the next").unwrap();
    assert_eq!(receive(&there), b"to the next");
    drop(far);
}
