//! `send` takes the same path as a write to the datafd.

use std::sync::Arc;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::descriptors::{datagram_pair, stream_pair};
use knet_tests::wait::{is_readable, receive};
use kronosnet::{Error, Verdict};

#[test]
fn send_takes_the_same_path_as_a_write_to_a_created_datafd() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 6), cluster.create(2, 6));
    let report = from.send(b"by a call").unwrap();
    assert_eq!(report.hosts, 1);
    assert_eq!(receive(&to), b"by a call");
    nix::unistd::write(&from, b"by a write").unwrap();
    assert_eq!(receive(&to), b"by a write");
    cluster.handle(1).send(channel(6), b"by the handle").unwrap();
    assert_eq!(receive(&to), b"by the handle");

    let stats = cluster.stats(1, 6);
    assert_eq!((stats.tx_messages, stats.tx_bytes), (3, 9 + 10 + 13));
    assert_eq!(cluster.stats(2, 6).rx_bytes, 9 + 10 + 13);
}

#[test]
fn send_on_the_callers_fd_reaches_the_other_host() {
    let cluster = Cluster::pair();
    let to = cluster.create(2, 6);
    let (datagram, far_datagram) = datagram_pair();
    let (stream, far_stream) = stream_pair();

    let datafd = cluster.bring(1, &datagram, 6);
    datafd.send(&message(65536, 1)).unwrap();
    assert!(receive(&to) == message(65536, 1));
    assert!(!is_readable(&far_datagram), "nothing comes back to the application");
    datafd.remove().unwrap();

    let datafd = cluster.bring(1, &stream, 6);
    datafd.send(&message(65536, 2)).unwrap();
    assert!(receive(&to) == message(65536, 2));
    assert!(!is_readable(&far_stream), "nothing comes back to the application");
}

#[test]
fn send_calls_the_filter_as_a_write_does() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 6), cluster.create(2, 6));
    let (report, reports) = crossbeam_channel::unbounded();
    cluster
        .handle(1)
        .set_filter(move |message| {
            let bytes = message.payload().to_vec();
            let seen = (message.direction(), message.channel(), message.own(), message.source());
            report.send((bytes, seen)).unwrap();
            if message.payload() == b"no" { Verdict::Reject } else { Verdict::Broadcast }
        })
        .unwrap();
    from.send(b"yes").unwrap();
    assert_eq!(receive(&to), b"yes");
    nix::unistd::write(&from, b"yes").unwrap();
    assert_eq!(receive(&to), b"yes");
    let seen: Vec<_> = reports.try_iter().collect();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], seen[1]);

    assert!(matches!(from.send(b"no"), Err(Error::FilterRejected)));
    nix::unistd::write(&from, b"no").unwrap();
    let stats = cluster.stats(1, 6);
    assert_eq!((stats.tx_filter_rejected, stats.tx_messages), (2, 2));
}

#[test]
fn send_and_write_are_dropped_alike_while_forwarding_is_off() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 6), cluster.create(2, 6));
    let handle = cluster.handle(1);
    handle.set_forwarding(false).unwrap();
    assert!(matches!(from.send(b"by a call"), Err(Error::ForwardingOff)));
    nix::unistd::write(&from, b"by a write").unwrap();
    // It is read and dropped, not kept until forwarding is on again.
    knet_tests::wait::until("the write is dropped", || {
        handle.channel_stats(channel(6)).tx_forwarding_off == 2
    });
    handle.set_forwarding(true).unwrap();
    from.send(b"now").unwrap();
    assert_eq!(receive(&to), b"now");
}

#[test]
fn send_on_a_datafd_at_end_of_file_still_reaches_the_other_host() {
    let cluster = Cluster::pair();
    let to = cluster.create(2, 6);
    let (given, far) = stream_pair();
    let datafd = cluster.bring(1, &given, 6);
    drop(far);
    knet_tests::wait::next(cluster.problems(1));
    datafd.send(b"still").unwrap();
    assert_eq!(receive(&to), b"still");
}

#[test]
fn send_from_many_threads_neither_loses_nor_mixes_messages() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 100;
    let cluster = Cluster::pair();
    let (from, to) = (Arc::new(cluster.create(1, 6)), cluster.create(2, 6));
    let mut seen = std::thread::scope(|scope| {
        let (done, next) = crossbeam_channel::bounded::<()>(THREADS);
        for thread in 0..THREADS {
            let (from, done) = (from.clone(), done.clone());
            scope.spawn(move || {
                for number in 0..MESSAGES {
                    // Several packets per message, so that those of different threads interleave.
                    from.send(&message(2000, thread * MESSAGES + number)).unwrap();
                    done.send(()).unwrap();
                }
            });
        }
        let mut seen = Vec::new();
        for _ in 0..THREADS * MESSAGES {
            seen.push(receive(&to));
            // Permits one more message: there are never more in transit than the sockets hold.
            next.recv().unwrap();
        }
        seen
    });
    seen.sort();
    let mut sent: Vec<_> = (0..THREADS * MESSAGES).map(|seed| message(2000, seed)).collect();
    sent.sort();
    assert!(seen == sent);
}
