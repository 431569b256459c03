//! Paths that lose, delay and reorder packets.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use knet_tests::cluster::{QUICK, message};
use knet_tests::lan::Family;
use knet_tests::wait::{DEADLINE, readable_within, receive, until};
use knet_tests::wan::{Conditions, Wan};
use kronosnet::{PingTimers, Policy};

use crate::member::Distant;
use crate::traffic::Traffic;

/// Keeps links up despite lost pings and a machine that stalls.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(20), ..QUICK };

const POOR: Conditions = Conditions {
    mtu: 1500,
    reports: true,
    loss: 0.05,
    delay: Duration::from_millis(1),
    jitter: Duration::from_millis(5),
};

/// Makes two hosts whose path for link 0 is poor. They send no probes, so that long packets are
/// data.
fn poorly_connected(links: u8, family: Family) -> Distant {
    let pair = Distant::new(links, 1500, 42);
    pair.paths[0].set(POOR);
    for member in &pair.members {
        member.handle.set_manual_mtu(Some(1500)).unwrap();
    }
    pair.connect(family, PATIENT);
    pair
}

/// Checks that the path was as poor as intended, and that no link went down for it.
fn was_poor(pair: &Distant, path: &Wan) {
    assert!(path.lost(LONG) > 0 && path.overtaken() > 0, "{path:?}");
    for (member, peer) in pair.members.iter().zip([2, 1]) {
        assert_eq!(member.link(peer, 0).status().unwrap().stats.down_count, 0);
    }
}

#[test]
fn a_lost_packet_costs_one_message_and_none_arrives_twice() {
    for family in [Family::V4, Family::V6] {
        let pair = poorly_connected(1, family);
        let [from, to] = pair.members.as_slice() else { panic!("two hosts") };
        let mut missing = BTreeSet::new();
        for number in 0..1000 {
            from.datafd.send(&message(4000, number)).unwrap();
            missing.insert(number);
            // As many as a receiver reassembles at the same time, and half as many in reserve.
            if number % 16 == 15 {
                let give_up = Instant::now() + DEADLINE;
                while missing.len() > pair.paths[0].lost(LONG) {
                    assert!(Instant::now() < give_up, "{missing:?} did not arrive");
                    if readable_within(&to.datafd, Duration::from_millis(10)) {
                        let message = receive(&to.datafd);
                        arrived(&message, &mut missing);
                    }
                }
            }
        }
        was_poor(&pair, &pair.paths[0]);
    }
}

/// Records a message that arrived: it was sent, and arrives for the first time.
fn arrived(received: &[u8], missing: &mut BTreeSet<usize>) {
    let number = usize::from_le_bytes(received[..8].try_into().unwrap());
    assert!(received == message(4000, number), "{number} arrived damaged");
    assert!(missing.remove(&number), "{number} arrived twice");
}

#[test]
fn active_loses_nothing_if_one_of_two_paths_is_poor() {
    for family in [Family::V4, Family::V6] {
        let pair = poorly_connected(2, family);
        pair.members.iter().for_each(|member| member.set_policy(Policy::Active));
        let mut traffic = Traffic::new(&pair.members, 4000);
        for _ in 0..300 {
            traffic.round();
        }
        was_poor(&pair, &pair.paths[0]);
    }
}

#[test]
fn the_latency_of_a_slow_path_is_measured() {
    let delay = Duration::from_millis(30);
    let pair = Distant::new(1, 1500, 42);
    pair.paths[0].set(Conditions { delay, ..Conditions::default() });
    pair.connect(Family::V4, PATIENT);
    let link = pair.members[0].link(2, 0);
    until("a few pongs came", || link.status().unwrap().latency_samples > 3);
    assert!(link.status().unwrap().latency_min.unwrap() >= 2 * delay);
}

/// The minimum length of data packets, with their headers; others are shorter.
const LONG: usize = 500;
