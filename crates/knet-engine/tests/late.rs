//! Packets that arrive thousands of messages late.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{Policy, forced_ping_due};
use knet_wire::{LinkId, Ping, SequenceNumber};
use pair::{A, B, HOSTS, LINK, Pair, number};

/// A ping as host `A` would send it on this link.
fn ping(link: LinkId, sequence: SequenceNumber, timed: bool) -> Vec<u8> {
    Ping { link, cookie: [0; 16], sequence, timed }.encode_ping(HOSTS[A]).to_vec()
}

/// Lets `count` messages of `A` arrive over the first link. Returns the copies for the second link.
fn arrive_on_the_first_link(pair: &mut Pair, count: usize) -> Vec<Vec<u8>> {
    let mut late = Vec::new();
    for n in 0..count {
        for (link, packet) in pair.packets(A, &n.to_le_bytes()) {
            match link {
                LINK => pair.arrive(B, link, &packet),
                _ => late.push(packet),
            }
        }
    }
    assert_eq!(pair.take_delivered(B).len(), count);
    late
}

#[test]
fn copies_on_a_slower_link_are_copies_however_many_messages_came_meanwhile() {
    for behind in [4095, 4096, 4097, 10_000, 32_767] {
        let mut pair = Pair::up(2, Policy::Active);
        let late = arrive_on_the_first_link(&mut pair, behind + 1);
        // Half of a message is there.
        let halves = pair.packets(A, &[7; 700]);
        pair.arrive(B, halves[0].0, &halves[0].1);

        pair.arrive(B, LinkId::ALL[1], &late[0]);
        pair.arrive(B, LinkId::ALL[1], late.last().unwrap());
        pair.arrive(B, halves[1].0, &halves[1].1);
        assert_eq!(pair.take_delivered(B), [[7; 700]], "{behind} behind");
        assert_eq!(pair.engines[B].drops().incomplete, 0, "{behind} behind");
        assert_eq!(pair.engines[B].drops().duplicate, 2, "{behind} behind");
    }
}

#[test]
fn a_message_that_comes_thousands_of_messages_late_is_delivered_once() {
    let mut pair = Pair::up(2, Policy::RoundRobin);
    let late = pair.packets(A, b"late");
    for n in 0..10_000u16 {
        let packets = pair.packets(A, &n.to_le_bytes());
        pair.arrive(B, packets[0].0, &packets[0].1);
    }
    assert_eq!(pair.take_delivered(B).len(), 10_000);
    for _ in 0..2 {
        pair.arrive(B, late[0].0, &late[0].1);
    }
    assert_eq!(pair.take_delivered(B), [b"late"]);
}

#[test]
fn forced_pings_that_are_41_ms_late_forget_nothing() {
    // At 100 000 messages per second: 4100 messages behind.
    const BEHIND: u16 = 4100;
    let mut pair = Pair::up(2, Policy::Passive);
    let mut halves = None;
    let mut sent = Vec::new();
    let mut late = Vec::new();
    for _ in 0..30_000u16 {
        let packet = pair.packets(A, b"message").remove(0);
        let current = pair.engines[A].sequence().current();
        if forced_ping_due(current) {
            pair.arrive(B, LINK, &ping(LINK, current, false));
            late.push(current);
            let both = pair.packets(A, &[7; 700]);
            pair.arrive(B, both[0].0, &both[0].1);
            halves = Some(both);
        }
        pair.arrive(B, packet.0, &packet.1);
        sent.push(packet.1);
        let slow = LinkId::ALL[1];
        if let Some(&forced) = late.last().filter(|&&n| current.ahead_of(n) == BEHIND) {
            pair.arrive(B, slow, &ping(slow, forced, false));
            let both = halves.take().unwrap();
            pair.arrive(B, both[1].0, &both[1].1);
        }
    }
    assert_eq!(late.len(), 3);
    assert_eq!(pair.take_delivered(B).len(), 30_000 + 3);
    for packet in &sent[sent.len() - 5000..] {
        pair.arrive(B, LINK, packet);
    }
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
    assert_eq!(pair.engines[B].drops().incomplete, 0);
}

#[test]
fn timed_pings_go_on_while_every_second_has_many_forced_ones() {
    let mut pair = Pair::up(1, Policy::Passive);
    let before = pair.status(A, LINK).stats.tx_ping_packets;
    let mut forced = 0;
    // About 16 000 messages per second.
    for _ in 0..40 {
        while !forced_ping_due(pair.engines[A].sequence().next()) {}
        let now = pair.now;
        pair.engines[A].force_pings(now);
        pair.drain(A);
        forced += 1;
        pair.run(Duration::from_millis(500));
    }
    let sent = pair.status(A, LINK).stats.tx_ping_packets - before;
    assert!(sent - forced >= 19, "{} timed pings in 20 s", sent - forced);
    // So a restart is noticed as soon as the numbers start over.
    pair.restart(A);
    pair.run(Duration::from_secs(10));
    assert!(pair.reachable(A));
    pair.send(A, b"new");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.take_delivered(B), [b"new"]);
}

#[test]
fn a_late_ping_says_nothing_about_the_present() {
    let mut pair = Pair::up(2, Policy::Active);
    let late = arrive_on_the_first_link(&mut pair, 9000);
    let slow = LinkId::ALL[1];
    for n in [1, 100, 4000, 8191, 8999] {
        for timed in [true, false] {
            pair.arrive(B, slow, &ping(slow, number(n), timed));
        }
    }
    pair.arrive(B, slow, late.last().unwrap());
    pair.arrive(B, slow, &late[0]);
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
}
