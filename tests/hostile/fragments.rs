//! Fragments that never complete a message.

use std::net::Ipv4Addr;

use knet_tests::process::resident_memory;

use crate::attacker::{Attacker, data};
use crate::victim::Victim;

/// Sends ten thousand first halves of 60 kB each: 600 MB if they were kept.
#[test]
fn ten_thousand_half_messages_cost_little_memory() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    let hostile = victim.trust(&attacker);
    victim.hear_from_friend();
    let before = resident_memory();
    for number in 1..=10_000 {
        attacker.send(victim.addr(), &data(3, number, 2, 1, &[7; 60_000]));
        if number % 2 == 0 {
            // So that the fragments in the socket fit into the smallest buffer of any kernel.
            victim.hear_from_friend();
        }
    }
    let grown = resident_memory().saturating_sub(before);
    assert!(grown < 200 << 20, "half messages take {grown} bytes");
    let stats = hostile.stats().unwrap();
    assert_eq!(stats.links.rx_data_packets, 10_000);
    // A message is dropped when 32 newer ones have begun.
    assert!((10_000 - 32..=10_000).contains(&stats.rx_incomplete), "{stats:?}");
    assert_eq!((stats.rx_messages, stats.rx_duplicates), (0, 0));
    victim.is_well();
}

/// Sends fragments of one message that contradict each other, or that exceed the maximum length of
/// a message.
#[test]
fn contradictory_fragments_are_dropped_and_counted() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    victim.trust(&attacker);
    let bombs = [
        // The first of each line is accepted, the others are not.
        vec![(3, 1, 100), (4, 2, 100), (2, 2, 100), (254, 254, 1)],
        vec![(3, 1, 100), (3, 2, 99), (3, 2, 101), (3, 3, 101)],
        vec![(3, 3, 100), (3, 1, 99), (3, 2, 50)],
        vec![(2, 1, 40_000), (2, 2, 40_000)],
        vec![(200, 1, 300), (200, 200, 301)],
    ];
    let mut sequence = 0;
    for bomb in &bombs {
        for _ in 0..200 {
            sequence += 1;
            let before = victim.drops().bad_fragment;
            for &(count, index, length) in bomb {
                let payload = vec![9; length];
                attacker.send(victim.addr(), &data(3, sequence, count, index, &payload));
            }
            victim.hear_from_friend();
            let refused = bomb.len() as u64 - 1;
            assert_eq!(victim.drops().bad_fragment - before, refused, "{bomb:?}");
        }
    }
    // Too long whatever follows, so no message is begun.
    for (count, index, length) in [(254, 1, 1000), (3, 2, 40_000), (20, 20, 10_000)] {
        sequence += 1;
        let before = victim.drops().bad_fragment;
        attacker.send(victim.addr(), &data(3, sequence, count, index, &vec![9; length]));
        victim.hear_from_friend();
        assert_eq!(victim.drops().bad_fragment - before, 1, "{length} bytes, {index} of {count}");
    }
    assert_eq!(victim.heard(), []);
    victim.is_well();
}

/// Repeats the same fragment, which counts as a duplicate and completes nothing.
#[test]
fn duplicate_fragments_complete_nothing() {
    let (mut victim, attacker) = (Victim::new(), Attacker::on(Ipv4Addr::LOCALHOST));
    victim.trust(&attacker);
    let before = victim.drops().duplicate;
    for _ in 0..100 {
        for _ in 0..10 {
            attacker.send(victim.addr(), &data(3, 1, 2, 1, &[5; 1000]));
        }
        victim.hear_from_friend();
    }
    assert_eq!(victim.drops().duplicate - before, 999);
    victim.is_well();
}
