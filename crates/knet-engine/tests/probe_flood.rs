//! Floods of forged replies to path MTU probes (`docs/protocol.md`, "Floods of replies").

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{DownReason, LinkState, Policy};
use knet_wire::Pmtu;
use pair::{A, B, HOSTS, LINK, Pair};

const SECOND: Duration = Duration::from_secs(1);
/// Half of the latency, so that a flood is there before the reply.
const STEP: Duration = Duration::from_micros(500);
const TOO_NARROW: LinkState = LinkState::Down(DownReason::PathTooNarrow { least: 576 });

/// Guesses the cookies of probes of `A`.
struct Forger {
    /// How many replies it sends for each probe.
    replies: u16,
    guess: u16,
}

impl Forger {
    fn new(replies: u16) -> Self {
        Self { replies, guess: 1 }
    }

    /// Runs the pair. The forger replies to each probe as soon as it has left, and ten times a
    /// second without one.
    fn run(&mut self, pair: &mut Pair, time: Duration) {
        let end = pair.now + time;
        let (mut probes, mut idle) = (0, 0);
        while pair.now < end {
            let sent = pair.status(A, LINK).stats.tx_pmtu_packets;
            idle += 1;
            if sent != probes || idle == 200 {
                (probes, idle) = (sent, 0);
                self.reply(pair);
            }
            pair.run(STEP);
        }
    }

    fn reply(&mut self, pair: &mut Pair) {
        for _ in 0..self.replies {
            // Every number comes, in an order that has nothing to do with that of the cookies.
            self.guess = self.guess.wrapping_mul(25_173).wrapping_add(13_849);
            let forged = Pmtu { link: LINK, cookie: self.guess.to_le_bytes() };
            pair.arrive(A, LINK, &forged.encode_reply(HOSTS[B]));
        }
    }
}

/// A pair of which `A` is flooded from the start until its link comes up, and then for `time`.
fn flooded_from_the_start(mtu: u16, forger: &mut Forger, time: Duration) -> Pair {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = mtu;
    pair.enable(A);
    pair.enable(B);
    while !pair.status(A, LINK).state.is_up() {
        forger.run(&mut pair, STEP);
    }
    forger.run(&mut pair, time);
    pair
}

#[test]
fn a_flood_neither_takes_a_link_down_nor_shortens_what_is_in_use() {
    for replies in [8, 100, 1000, 3000] {
        let (mut pair, mut forger) = (Pair::up(1, Policy::Passive), Forger::new(replies));
        pair.mtu = 1500;
        pair.run(100 * SECOND);
        pair.take_events(A);
        for number in 0..70 {
            // What is in use is checked every few seconds, and searched again once a minute.
            pair.send(A, &[number; 1000]);
            forger.run(&mut pair, SECOND);
        }
        assert_eq!(pair.take_events(A), [], "{replies}");
        assert_eq!(pair.status(A, LINK).path_mtu, Some(1500));
        assert_eq!(pair.take_delivered(B).len(), 70);
    }
}

#[test]
fn a_link_that_comes_up_in_a_flood_finds_its_path() {
    for replies in [8, 100, 1000] {
        let pair = flooded_from_the_start(1500, &mut Forger::new(replies), 20 * SECOND);
        let status = pair.status(A, LINK);
        assert_eq!((status.state, status.path_mtu), (LinkState::Up, Some(1500)), "{replies}");
        assert_eq!(status.stats.down_count, 0);
    }
}

#[test]
fn a_link_stays_up_in_a_flood_in_which_no_reply_can_be_believed() {
    let mut pair = flooded_from_the_start(1500, &mut Forger::new(2000), 20 * SECOND);
    let status = pair.status(A, LINK);
    assert_eq!((status.state, status.stats.down_count), (LinkState::Up, 0));
    assert!(status.stats.tx_pmtu_packets < 40, "{} probes", status.stats.tx_pmtu_packets);
    pair.run(30 * SECOND);
    assert_eq!(pair.status(A, LINK).path_mtu, Some(1500), "once the flood is over");
}

#[test]
fn a_narrow_path_is_found_in_a_flood_and_so_is_the_end_of_that() {
    for replies in [1, 8, 1000, 2000] {
        let mut forger = Forger::new(replies);
        let mut pair = flooded_from_the_start(400, &mut forger, 10 * SECOND);
        assert_eq!(pair.status(A, LINK).state, TOO_NARROW, "{replies}");
        pair.mtu = 1500;
        forger.replies = forger.replies.min(300);
        forger.run(&mut pair, 10 * SECOND);
        assert_eq!(pair.status(A, LINK).state, LinkState::Up, "{replies}");
    }
}
