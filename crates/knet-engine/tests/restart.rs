//! Restart detection: what a host remembers of a peer that was lost, and forgets of a restarted
//! one.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::{Fragment, LinkId, Ping};
use pair::{A, B, HOSTS, LINK, Pair, data, number};

/// A ping as host `A` would send it on this link.
fn ping(link: LinkId, sequence: u16) -> Vec<u8> {
    let ping = Ping { link, cookie: [0; 16], sequence: number(sequence), timed: true };
    ping.encode_ping(HOSTS[A]).to_vec()
}

/// Host `B` loses host `A` and gets it back.
fn lose_and_regain(pair: &mut Pair) {
    pair.set_cut(A, true);
    pair.run(Duration::from_secs(20));
    assert!(!pair.reachable(B));
    pair.set_cut(A, false);
    pair.run(Duration::from_secs(10));
    assert!(pair.reachable(A) && pair.reachable(B));
}

#[test]
fn a_copy_of_a_message_from_before_a_loss_is_still_a_copy() {
    let mut pair = Pair::up(1, Policy::Passive);
    let packets = pair.packets(A, b"once");
    pair.arrive(B, LINK, &packets[0].1);
    pair.run(Duration::from_secs(2));
    lose_and_regain(&mut pair);
    pair.arrive(B, LINK, &packets[0].1);
    assert_eq!(pair.take_delivered(B), [b"once"]);
    assert_eq!(pair.engines[B].drops().duplicate, 1);
}

#[test]
fn a_restarted_peer_is_heard_although_its_numbers_were_used_before() {
    let mut pair = Pair::up(2, Policy::Active);
    for message in [b"1", b"2", b"3"] {
        pair.send(A, message);
    }
    // The pings of both links show that there were messages.
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B).len(), 3);

    pair.restart(A);
    pair.run(Duration::from_secs(6));
    assert!(pair.reachable(B), "a restart within the pong timeout goes unnoticed by the links");
    for message in [b"4", b"5", b"6"] {
        pair.send(A, message);
    }
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B), [b"4", b"5", b"6"]);
    // Each was delivered once, although the pings of two links reported the restart.
    assert_eq!(pair.engines[B].drops().duplicate, 6);
}

#[test]
fn a_restart_during_an_outage_is_noticed_even_if_its_first_pings_are_lost() {
    let mut pair = Pair::up(1, Policy::Passive);
    for _ in 0..100 {
        pair.send(A, b"old");
    }
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B).len(), 100);
    pair.set_cut(A, true);
    pair.run(Duration::from_secs(20));
    pair.restart(A);
    // It has sent forty messages to others by the time its pings arrive again.
    for _ in 0..40 {
        pair.engines[A].sequence().next();
    }
    pair.set_cut(A, false);
    pair.run(Duration::from_secs(6));
    pair.send(A, b"new");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), [b"new"]);
}

#[test]
fn pings_heard_while_the_peer_is_lost_do_not_hide_a_later_restart() {
    let mut pair = Pair::up(1, Policy::Passive);
    for _ in 0..100 {
        pair.send(A, b"old");
    }
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B).len(), 100);
    // No pong comes back, so B loses A, but the numbers in A's pings continue.
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(20));
    assert!(!pair.reachable(B));
    pair.set_cut(A, true);
    pair.restart(A);
    for _ in 0..40 {
        pair.engines[A].sequence().next();
    }
    pair.run(Duration::from_secs(5));
    pair.set_cut(A, false);
    pair.set_cut(B, false);
    pair.run(Duration::from_secs(10));
    pair.send(A, b"new");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), [b"new"]);
}

#[test]
fn a_late_first_ping_of_a_slow_link_does_not_make_a_copy_new() {
    let mut pair = Pair::up(2, Policy::Active);
    let packets = pair.packets(A, b"once");
    let [fast, slow] = [0, 1].map(|link| (packets[link].0, packets[link].1.clone()));
    pair.arrive(B, fast.0, &fast.1);
    pair.arrive(B, fast.0, &ping(fast.0, 1));
    // It left before the message did.
    pair.arrive(B, slow.0, &ping(slow.0, 0));
    pair.arrive(B, slow.0, &slow.1);
    assert_eq!(pair.take_delivered(B), [b"once"]);
}

#[test]
fn the_first_pings_after_a_restart_speak_of_the_same_restart_on_every_link() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.send(A, b"old");
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B), [b"old"]);
    // As another process of host A would send it on both links.
    let message = data(A, number(1), Fragment::Whole, 0, b"new");
    let [fast, slow] = [LinkId::ALL[0], LinkId::ALL[1]];
    for link in [fast, slow] {
        pair.arrive(B, link, &ping(link, 0));
    }
    pair.now += Duration::from_millis(250);
    pair.arrive(B, fast, &ping(fast, 0));
    pair.arrive(B, fast, &message);
    pair.arrive(B, slow, &ping(slow, 0));
    pair.arrive(B, slow, &message);
    assert_eq!(pair.take_delivered(B), [b"new"]);
}

#[test]
fn a_late_ping_after_a_loss_does_not_make_a_copy_new() {
    // Lost and found again before the first message: there is nothing to forget.
    let mut pair = Pair::up(2, Policy::Active);
    lose_and_regain(&mut pair);
    let packets = pair.packets(A, b"first");
    pair.arrive(B, packets[0].0, &packets[0].1);
    pair.arrive(B, packets[1].0, &ping(packets[1].0, 0));
    pair.arrive(B, packets[1].0, &packets[1].1);
    assert_eq!(pair.take_delivered(B), [b"first"]);

    // Lost and found again later on, and no ping came yet since.
    pair.run(Duration::from_secs(2));
    pair.set_cut(A, true);
    pair.run(Duration::from_secs(20));
    pair.set_cut(A, false);
    while !(pair.reachable(A) && pair.reachable(B)) {
        pair.run(Duration::from_millis(1));
    }
    let packets = pair.packets(A, b"second");
    pair.arrive(B, packets[0].0, &packets[0].1);
    pair.arrive(B, packets[1].0, &ping(packets[1].0, 1));
    pair.arrive(B, packets[1].0, &packets[1].1);
    assert_eq!(pair.take_delivered(B), [b"second"]);
}

/// Brings `A` back up after a restart, and returns its first messages, which it sends at once.
///
/// If `B` sends meanwhile, one pong suffices for `A` to consider it reachable.
fn first_messages_of_the_next_process(pair: &mut Pair, b_sends: bool) -> Vec<Vec<u8>> {
    let give_up = pair.now + Duration::from_secs(10);
    while !pair.reachable(A) {
        assert!(pair.now < give_up, "A does not find B again");
        if b_sends && pair.reachable(B) {
            pair.send(B, b"are you there?");
        }
        pair.run(Duration::from_millis(1));
    }
    let messages: Vec<_> = (0..5).map(|n: u8| vec![n; 2000]).collect();
    for message in &messages {
        pair.send(A, message);
    }
    pair.run(Duration::from_millis(10));
    messages
}

#[test]
fn a_restart_at_any_moment_of_the_first_second_loses_no_message() {
    for (links, policy, b_sends, step) in [
        (1, Policy::Passive, true, 1),
        (1, Policy::Passive, false, 11),
        (2, Policy::Active, true, 7),
        (2, Policy::RoundRobin, false, 13),
    ] {
        for moment in (0..1000).step_by(step) {
            let mut pair = Pair::up(links, policy);
            // Its pings go on saying that it has sent nothing, until the next interval.
            for message in [b"1", b"2", b"3"] {
                pair.send(A, message);
            }
            pair.run(Duration::from_millis(moment));
            // Packets are on their way for a moment after their sender has ended.
            pair.set_cut(A, true);
            pair.run(Duration::from_millis(2));
            pair.set_cut(A, false);
            pair.take_delivered(B);

            pair.restart(A);
            let sent = first_messages_of_the_next_process(&mut pair, b_sends);
            let case = format!("{links} links, {policy}, B sends: {b_sends}, after {moment} ms");
            assert_eq!(pair.take_delivered(B), sent, "{case}");
        }
    }
}

#[test]
fn a_restart_is_noticed_although_the_first_pings_with_number_0_were_lost() {
    let mut pair = Pair::up(1, Policy::Passive);
    for _ in 0..100 {
        pair.send(A, b"old");
    }
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_delivered(B).len(), 100);
    pair.restart(A);
    pair.flying.clear();
    // It has sent forty messages to others by the time of its next ping.
    for _ in 0..40 {
        pair.engines[A].sequence().next();
    }
    let sent = first_messages_of_the_next_process(&mut pair, true);
    assert_eq!(pair.take_delivered(B), sent);
}

#[test]
fn copies_of_an_ended_process_on_a_slower_link_take_no_number_of_its_successor() {
    let mut pair = Pair::up(2, Policy::Active);
    let packets: Vec<_> = (0..3).flat_map(|_| pair.packets(A, b"old")).collect();
    let [fast, slow] = [LinkId::ALL[0], LinkId::ALL[1]];
    for (link, packet) in packets.iter().filter(|(link, _)| *link == fast) {
        pair.arrive(B, *link, packet);
    }
    pair.run(Duration::from_secs(2));
    pair.take_delivered(B);
    // The slower link carries nothing of the next process yet.
    pair.restart(A);
    pair.flying.retain(|flight| flight.link == fast);
    while pair.engines[A].link_status(pair.now, HOSTS[B], fast).unwrap().good_pongs == 0 {
        pair.cut[A][slow.index()] = true;
        pair.run(Duration::from_millis(1));
    }
    for (link, packet) in packets.iter().filter(|(link, _)| *link == slow) {
        pair.arrive(B, *link, packet);
    }
    assert_eq!(pair.engines[B].drops().late, 3);
    pair.cut[A][slow.index()] = false;
    let sent = first_messages_of_the_next_process(&mut pair, true);
    assert_eq!(pair.take_delivered(B), sent);
}
