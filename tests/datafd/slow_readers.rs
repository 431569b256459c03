//! Slow readers: they lose whole messages, get events, and delay nothing else.

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::descriptors::datagram_pair;
use knet_tests::wait::{is_readable, next, read, receive, until};
use kronosnet::{Datafd, DatafdProblem, Direction};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;

/// Makes host 2 with a datagram pair on channel 0 whose far end holds few messages, and the datafd
/// of host 1.
fn slow() -> (Cluster, UnixDatagram, Datafd) {
    let cluster = Cluster::pair();
    let (given, far) = datagram_pair();
    setsockopt(&given, SndBuf, &4096).unwrap();
    cluster.bring(2, &given, 0);
    let from = cluster.create(1, 0);
    (cluster, far, from)
}

/// Waits until host 2 has delivered or dropped this many messages of channel 0, and returns how
/// many it dropped.
fn settled(cluster: &Cluster, messages: u64) -> u64 {
    let stats = || cluster.handle(2).channel_stats(channel(0));
    until("all are delivered or dropped", || {
        stats().rx_messages + stats().rx_dropped_full == messages
    });
    stats().rx_dropped_full
}

#[test]
fn slow_reader_loses_whole_messages_and_learns_how_many() {
    let (cluster, far, from) = slow();
    for seed in 0..100 {
        from.send(&message(1000, seed)).unwrap();
    }
    let dropped = settled(&cluster, 100);
    assert!(dropped > 0);
    let mut reported = 0;
    while reported < dropped {
        let event = next(cluster.problems(2));
        assert_eq!((event.channel, event.direction), (channel(0), Direction::Rx));
        assert_eq!(event.problem.errno(), nix::libc::EAGAIN);
        let DatafdProblem::Full { messages } = event.problem else { panic!("{event:?}") };
        reported += messages;
    }
    assert_eq!(reported, dropped);

    // The messages that fit are whole, and the first ones.
    for seed in 0..100 - usize::try_from(dropped).unwrap() {
        assert_eq!(read(&far), message(1000, seed));
    }
    assert!(!is_readable(&far));
    from.send(b"there is room again").unwrap();
    assert_eq!(read(&far), b"there is room again");
}

#[test]
fn slow_reader_gets_at_most_one_event_per_100_ms() {
    let (cluster, _far, from) = slow();
    let start = Instant::now();
    let (mut sent, mut reported, mut events) = (0, 0, 0_u32);
    while events < 4 {
        // Not too fast: messages that overflow the link's socket are lost before they are counted.
        from.send(b"another").unwrap();
        sent += 1;
        settled(&cluster, sent);
        for notification in cluster.problems(2).try_iter() {
            let DatafdProblem::Full { messages } = notification.event.problem else {
                panic!("{notification:?}")
            };
            events += 1;
            reported += messages;
        }
    }
    let most = start.elapsed().as_millis() / 100 + 1;
    assert!(u128::from(events) <= most, "{events} events, at most {most} are allowed");

    let dropped = cluster.handle(2).channel_stats(channel(0)).rx_dropped_full;
    while reported < dropped {
        let DatafdProblem::Full { messages } = next(cluster.problems(2)).problem else { panic!() };
        reported += messages;
    }
    assert_eq!(reported, dropped, "the last ones are reported too");
}

#[test]
fn slow_reader_of_a_created_pair_loses_whole_messages() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let mut sent = 0;
    // The pair holds some megabytes.
    while cluster.problems(2).is_empty() {
        from.send(&message(60_000, sent)).unwrap();
        sent += 1;
        settled(&cluster, sent as u64);
    }
    let fitted = usize::try_from(cluster.handle(2).channel_stats(channel(0)).rx_messages).unwrap();
    let event = next(cluster.problems(2));
    assert_eq!((event.datafd, event.problem.errno()), (to.number(), nix::libc::EAGAIN));
    for seed in 0..fitted {
        assert!(receive(&to) == message(60_000, seed), "message {seed} of {fitted}");
    }
    assert!(!is_readable(&to));
}

#[test]
fn stuck_reader_on_one_channel_does_not_delay_another() {
    let (cluster, _far, stuck) = slow();
    let (from, to) = (cluster.create(1, 1), cluster.create(2, 1));
    for seed in 0..50 {
        stuck.send(&message(1000, seed)).unwrap();
    }
    assert!(settled(&cluster, 50) > 0);
    for seed in 0..300 {
        nix::unistd::write(&stuck, b"nobody reads this").unwrap();
        nix::unistd::write(&from, &message(500, seed)).unwrap();
        assert_eq!(receive(&to), message(500, seed));
        nix::unistd::write(&to, &message(500, seed)).unwrap();
        assert_eq!(receive(&from), message(500, seed));
    }
}

#[test]
fn slow_reader_that_catches_up_loses_no_further_message() {
    let (cluster, far, from) = slow();
    for seed in 0..40 {
        from.send(&message(100, seed)).unwrap();
    }
    let dropped = settled(&cluster, 40);
    while is_readable(&far) {
        read(&far);
    }
    let mut seen = HashSet::new();
    for seed in 0..250 {
        from.send(&message(100, seed)).unwrap();
        seen.insert(read(&far));
    }
    assert_eq!(seen.len(), 250);
    let stats = cluster.handle(2).channel_stats(channel(0));
    assert_eq!(stats.rx_dropped_full, dropped);
}
