//! Numbers that a stranger sends in the name of a host: how much one packet may cost.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::{Fragment, FragmentPart, LinkId, Ping};
use pair::{A, B, HOSTS, LINK, Pair, number};

/// A ping as host `A` would send it.
fn ping(sequence: u16, timed: bool) -> Vec<u8> {
    let ping = Ping { link: LINK, cookie: [0; 16], sequence: number(sequence), timed };
    ping.encode_ping(HOSTS[A]).to_vec()
}

/// A message as host `A` would send it, on a channel that no test uses, or its first fragment.
fn data(sequence: u16, fragment: Fragment) -> Vec<u8> {
    pair::data(A, number(sequence), fragment, 9, b"forged")
}

/// The packets that a stranger may choose from.
fn forgeries(current: u16) -> Vec<Vec<u8>> {
    let numbers =
        [0, 1, 5, 90, 101, 102, 120, 200, 4000, 5000, 8191, 20_000, 30_000, 32_767, 40_000, 65_535];
    let mut packets = Vec::new();
    for n in numbers {
        packets.extend([ping(n, true), ping(n, false)]);
        if n != 0 && n != current + 1 {
            packets.push(data(n, Fragment::Whole));
            packets.push(data(n, Fragment::Part(FragmentPart::new(1, 2).unwrap())));
        }
    }
    packets
}

#[test]
fn no_single_packet_makes_a_host_forget_messages_or_fragments() {
    for forgery in forgeries(100) {
        let mut pair = Pair::up(1, Policy::Passive);
        let sent: Vec<_> = (0..99).flat_map(|_| pair.packets(A, b"message")).collect();
        for (link, packet) in &sent {
            pair.arrive(B, *link, packet);
        }
        let halves = pair.packets(A, &[7; 700]);
        pair.arrive(B, LINK, &halves[0].1);
        pair.run(Duration::from_secs(3));
        pair.take_delivered(B);

        pair.arrive(B, LINK, &forgery);
        // Pings of the real host come before and after more of its packets.
        for wait in [0, 3] {
            pair.run(Duration::from_secs(wait));
            pair.delivered[B].retain(|(delivery, _)| delivery.channel.get() != 9);
            for (link, packet) in &sent[50..] {
                pair.arrive(B, *link, packet);
            }
            assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new(), "{forgery:?}, {wait} s");
        }
        pair.arrive(B, LINK, &halves[1].1);
        assert_eq!(pair.take_delivered(B), [[7; 700]], "{forgery:?}");
        let next: Vec<_> = (0..50).map(|n: u8| vec![n; 10]).collect();
        for message in &next {
            pair.send(A, message);
        }
        pair.run(Duration::from_millis(10));
        // A forged message takes the number that it has, and no other.
        assert!(pair.take_delivered(B).len() >= 49, "{forgery:?}");
        assert!(pair.reachable(A) && pair.reachable(B));
        let downs = [A, B].map(|at| pair.status(at, LINK).stats.down_count);
        assert_eq!(downs, [0, 0], "{forgery:?}");
    }
}

#[test]
fn forged_pings_that_alternate_between_0_and_another_number_reset_nothing() {
    let mut pair = Pair::up(1, Policy::Passive);
    for _ in 0..100 {
        pair.send(A, b"before");
    }
    pair.run(Duration::from_secs(2));
    pair.take_delivered(B);
    for round in 0..200 {
        let [message, halves, next] =
            [&[6; 700][..], &[7; 700], b"next"].map(|bytes| pair.packets(A, bytes));
        let arrive = |pair: &mut Pair, packets: &[(LinkId, Vec<u8>)]| {
            packets.iter().for_each(|(link, packet)| pair.arrive(B, *link, packet));
        };
        arrive(&mut pair, &message);
        arrive(&mut pair, &halves[..1]);
        arrive(&mut pair, &next);
        let mut expected = vec![vec![6; 700], b"next".to_vec()];
        for n in [5, 0, 5] {
            pair.arrive(B, LINK, &ping(n, true));
            // The real host goes on in between.
            let next = pair.packets(A, b"next");
            arrive(&mut pair, &next);
            expected.push(b"next".to_vec());
        }
        arrive(&mut pair, &halves[1..]);
        expected.push(vec![7; 700]);
        arrive(&mut pair, &message);
        arrive(&mut pair, &halves);
        assert_eq!(pair.take_delivered(B), expected, "round {round}");
        pair.run(Duration::from_millis(73));
    }
    assert!(pair.reachable(A) && pair.reachable(B));
}

#[test]
fn a_flood_of_forged_pings_takes_no_link_down() {
    // By how much they are ahead of the real number, or 0.
    let patterns: [&[u16]; 6] = [&[0], &[0, 0], &[30_000, 0], &[30_000, 30_000, 0], &[5], &[5, 0]];
    for pattern in patterns {
        for period in [70, 250, 330, 990, 1000, 1010, 1730] {
            // No message, one, and one each period.
            for messages in [0, 1, u32::MAX] {
                let mut pair = Pair::up(2, Policy::Passive);
                let mut sent: u32 = 0;
                let start = pair.now;
                while pair.now < start + Duration::from_secs(20) {
                    if sent < messages {
                        pair.send(A, &sent.to_le_bytes());
                        sent += 1;
                    }
                    let current = pair.engines[A].sequence().current().get();
                    for &ahead in pattern {
                        let number = if ahead == 0 { 0 } else { current + ahead };
                        pair.arrive(B, LINK, &ping(number, true));
                    }
                    pair.run(Duration::from_millis(period));
                }
                let downs = [0, 1].map(|link| {
                    let link = LinkId::ALL[link];
                    pair.status(A, link).stats.down_count + pair.status(B, link).stats.down_count
                });
                assert_eq!(downs, [0, 0], "{pattern:?} each {period} ms, {sent} messages");
            }
        }
    }
}

#[test]
fn a_ping_that_may_be_of_a_successor_is_answered_once_another_one_agrees() {
    let mut pair = Pair::up(1, Policy::Passive);
    for _ in 0..100 {
        pair.send(A, b"before");
    }
    pair.run(Duration::from_secs(2));
    let pongs = |pair: &Pair| pair.flying.iter().filter(|flight| flight.to == A).count();
    pair.flying.clear();
    for _ in 0..2 {
        pair.arrive(B, LINK, &ping(0, true));
        assert_eq!(pongs(&pair), 0);
    }
    pair.now += Duration::from_millis(100);
    pair.arrive(B, LINK, &ping(0, true));
    assert_eq!(pongs(&pair), 1);
}
