//! The forwarding switch (`docs/protocol.md`, "Forwarding").

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use knet_tests::cluster::{Cluster, channel, message};
use knet_tests::wait::{receive, until};
use kronosnet::{Error, Handle, HostId};

#[test]
fn forwarding_is_off_at_first() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    assert!(!handle.forwarding());
    for on in [false, true, true, false, false] {
        handle.set_forwarding(on).unwrap();
        assert_eq!(handle.forwarding(), on);
    }
}

/// Does what libknet's tests do: sends, switches off at once, then checks.
#[test]
fn switching_off_sends_what_was_written_before() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for round in 0..20 {
        let longest = message(65_536, round);
        assert_eq!(nix::unistd::write(&from, &longest), Ok(65_536));
        cluster.handle(1).set_forwarding(false).unwrap();
        assert!(receive(&to) == longest);
        cluster.handle(1).set_forwarding(true).unwrap();
    }
}

#[test]
fn switching_off_sends_what_was_written_to_every_datafd() {
    let cluster = Cluster::pair();
    let here: Vec<_> = (0..8).map(|number| cluster.create(1, number)).collect();
    let there: Vec<_> = (0..8).map(|number| cluster.create(2, number)).collect();
    // More than one batch each.
    for (number, from) in here.iter().enumerate() {
        for seed in 0..100 {
            let bytes = message(50, number * 100 + seed);
            assert_eq!(nix::unistd::write(from, &bytes), Ok(50));
        }
    }
    cluster.handle(1).set_forwarding(false).unwrap();
    for (number, to) in there.iter().enumerate() {
        for seed in 0..100 {
            assert_eq!(receive(to), message(50, number * 100 + seed));
        }
    }
}

#[test]
fn switching_off_delivers_what_has_arrived() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    // A message that was sent is in the socket of the other host.
    for number in 0..200 {
        from.send(&message(300, number)).unwrap();
    }
    cluster.handle(2).set_forwarding(false).unwrap();
    let stats = cluster.handle(2).channel_stats(channel(0));
    assert_eq!((stats.rx_messages, stats.rx_forwarding_off), (200, 0));
    for number in 0..200 {
        assert_eq!(receive(&to), message(300, number));
    }
}

#[test]
fn nothing_is_sent_or_delivered_while_it_is_off() {
    let cluster = Cluster::pair();
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    cluster.handle(2).set_forwarding(false).unwrap();
    one.send(b"not delivered").unwrap();
    let there = || cluster.handle(2).channel_stats(channel(0));
    until("the message is dropped on arrival", || there().rx_forwarding_off == 1);
    let error = two.send(b"not sent").unwrap_err();
    assert!(matches!(error, Error::ForwardingOff), "{error}");
    assert_eq!(error.errno(), nix::libc::ECANCELED);

    // Links are still monitored.
    let link = cluster.link(2, 1, 0);
    let pongs = link.status().unwrap().stats.rx_pong_packets;
    until("pongs go on", || link.status().unwrap().stats.rx_pong_packets > pongs + 3);
    assert!(cluster.peer(2, 1).is_reachable().unwrap());

    cluster.handle(2).set_forwarding(true).unwrap();
    one.send(b"delivered").unwrap();
    assert_eq!(receive(&two), b"delivered");
    two.send(b"sent").unwrap();
    assert_eq!(receive(&one), b"sent");
}

#[test]
fn switching_off_ends_although_writers_never_stop() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                // It is full now and then, which is fine.
                let _ = nix::unistd::write(&from, b"another");
            }
        });
        for _ in 0..3 {
            cluster.handle(1).set_forwarding(false).unwrap();
            cluster.handle(1).set_forwarding(true).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    drop(to);
}
