//! Duplicates of messages, from several links or from the network, and how they are recognized.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{Delivery, Policy, Received, forced_ping_due};
use knet_wire::{Body, Packet, Ping, SequenceNumber};
use pair::{A, B, HOSTS, LINK, Pair, number};

/// The numbers in a host's forced pings that are on their way to the other.
fn forced_pings(pair: &Pair, to: usize) -> Vec<(u8, SequenceNumber)> {
    let forced = |datagram: &[u8]| match Packet::decode(datagram).unwrap().body {
        Body::Ping(ping) if !ping.timed => Some((ping.link.get(), ping.sequence)),
        _ => None,
    };
    let to_host = pair.flying.iter().filter(|flight| flight.to == to);
    to_host.filter_map(|flight| forced(&flight.datagram)).collect()
}

#[test]
fn of_the_copies_on_three_links_one_is_delivered() {
    let mut pair = Pair::up(3, Policy::Active);
    for n in 0..100u8 {
        pair.send(A, &[n; 700]);
    }
    pair.run(Duration::from_secs(1));
    let expected: Vec<_> = (0..100).map(|n| vec![n; 700]).collect();
    assert_eq!(pair.take_delivered(B), expected);
    // Two packets per message, and two duplicates of each.
    assert_eq!(pair.engines[B].drops().duplicate, 100 * 2 * 2);
    let received: Vec<_> =
        pair.links().map(|link| pair.status(B, link).stats.rx_data_packets).collect();
    assert_eq!(received, [200; 3], "counted on the link that each came on, duplicates too");
}

#[test]
fn a_message_that_could_not_be_delivered_gets_another_chance() {
    let mut pair = Pair::up(2, Policy::Active);
    let copies = pair.packets(A, b"twice is well");
    pair.arrive(B, copies[0].0, &copies[0].1);
    let (delivery, _) = pair.delivered[B].pop().unwrap();
    pair.engines[B].undelivered(delivery.token);
    pair.arrive(B, copies[1].0, &copies[1].1);
    assert_eq!(pair.take_delivered(B), [b"twice is well"]);
    pair.arrive(B, copies[1].0, &copies[1].1);
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
}

#[test]
fn a_copy_that_came_too_early_for_its_second_chance_is_counted_once() {
    let mut pair = Pair::up(2, Policy::Active);
    let copies = pair.packets(A, b"twice is well");
    for (link, copy) in &copies {
        pair.arrive(B, *link, copy);
    }
    let (delivery, _) = pair.delivered[B].pop().unwrap();
    let packets = |pair: &Pair| pair.status(B, copies[1].0).stats.rx_data_packets;
    let (before, now) = (packets(&pair), pair.now);
    assert_eq!(pair.engines[B].drops().duplicate, 1);

    pair.engines[B].undelivered(delivery.token);
    let again = pair.engines[B].handle_duplicate(now, &copies[1].1);
    assert!(matches!(again, Received::Message(..)), "{again:?}");
    assert_eq!((pair.engines[B].drops().duplicate, packets(&pair)), (0, before));
    let again = pair.engines[B].handle_duplicate(now, &copies[1].1);
    assert!(matches!(again, Received::Duplicate), "{again:?}");
}

/// Asserts that the receipt of an old message does not make `B` accept a new one twice.
fn means_nothing(pair: &mut Pair, old: Delivery) {
    let packets = pair.packets(A, b"new");
    pair.arrive(B, LINK, &packets[0].1);
    pair.engines[B].undelivered(old.token);
    pair.arrive(B, LINK, &packets[0].1);
    assert_eq!(pair.take_delivered(B), [b"new"]);
}

#[test]
fn an_old_receipt_says_nothing_about_a_message_of_the_next_process() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.send(A, b"old");
    pair.run(Duration::from_secs(2));
    let (old, _) = pair.delivered[B].pop().unwrap();
    pair.restart(A);
    pair.run(Duration::from_secs(6));
    means_nothing(&mut pair, old);
}

#[test]
fn the_receipt_of_a_removed_host_says_nothing_about_its_successor() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.send(A, b"old");
    pair.run(Duration::from_secs(2));
    let (old, _) = pair.delivered[B].pop().unwrap();
    pair.replace_host(B);
    pair.restart(A);
    pair.flying.clear();
    pair.run(Duration::from_secs(6));
    means_nothing(&mut pair, old);
}

#[test]
fn copies_are_known_for_32768_numbers() {
    let mut pair = Pair::up(1, Policy::Passive);
    let first = pair.packets(A, b"first");
    pair.arrive(B, LINK, &first[0].1);
    for _ in 0..32_768 {
        let packets = pair.packets(A, b"later");
        pair.arrive(B, LINK, &packets[0].1);
    }
    assert_eq!(pair.take_delivered(B).len(), 32_769);
    pair.arrive(B, LINK, &first[0].1);
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
}

#[test]
fn forced_pings_go_out_on_every_enabled_link_with_the_number_of_the_message() {
    let mut pair = Pair::up(3, Policy::Passive);
    let disabled = pair.links().last().unwrap();
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], disabled, false).unwrap();
    // So that the next timeout is a ping's.
    pair.engines[A].set_manual_mtu(pair.now, Some(576)).unwrap();
    pair.run(Duration::from_millis(300));
    let sequence = pair.engines[A].sequence();
    while !forced_ping_due(sequence.next()) {}
    let (now, due) = (pair.now, pair.engines[A].poll_timeout());
    pair.engines[A].force_pings(now);
    pair.drain(A);
    assert_eq!(forced_pings(&pair, B), [(0, number(8191)), (1, number(8191))]);
    pair.run(pair::LATENCY * 2);
    // A forced ping does not take the place of the next timed one.
    assert_eq!(pair.engines[A].poll_timeout(), due);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.status(A, LINK).latency, Some(pair::LATENCY * 2), "its pong counts as any");
}

#[test]
fn forced_pings_without_data_in_between_make_no_copy_new() {
    // Two of them make libknet forget all numbers, whatever they are.
    let forced = |sequence| {
        let ping = Ping { link: LINK, cookie: [0; 16], sequence, timed: false };
        ping.encode_ping(HOSTS[A])
    };
    let mut pair = Pair::up(1, Policy::Passive);
    let packets = pair.packets(A, b"message");
    pair.arrive(B, LINK, &packets[0].1);
    for sequence in [2, 3, 4, 8191, 16_382] {
        pair.arrive(B, LINK, &forced(number(sequence)));
        pair.arrive(B, LINK, &packets[0].1);
    }
    assert_eq!(pair.take_delivered(B).len(), 1);
}

#[test]
fn a_host_without_our_messages_follows_the_numbers_by_forced_pings() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.send(A, b"before");
    pair.run(Duration::from_secs(2));
    let sequence = pair.engines[A].sequence();
    // 65534 messages to other hosts: the next one has the number of the first.
    for _ in 0..65_534 {
        if forced_ping_due(sequence.next()) {
            pair.engines[A].force_pings(pair.now);
            pair.drain(A);
            pair.run(Duration::from_millis(10));
        }
    }
    let packets = pair.packets(A, b"after");
    let Body::Data(data) = Packet::decode(&packets[0].1).unwrap().body else { panic!("no data") };
    assert_eq!(data.header.sequence, number(1));
    pair.arrive(B, LINK, &packets[0].1);
    pair.arrive(B, LINK, &packets[0].1);
    assert_eq!(pair.take_delivered(B), [&b"before"[..], b"after"]);
}
