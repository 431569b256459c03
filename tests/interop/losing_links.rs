//! Links that silently lose every packet, or delay them.

use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::message;
use knet_tests::relay::Relay;
use knet_tests::wait::{is_readable, read, until};
use kronosnet::Policy;

use crate::network::{Family, both_families};
use crate::node::{Care, Datafd};
use crate::pair::{Pair, stream_in_any_order, write};

both_families! { cut_under_active cut_under_passive slow }

/// A timeout that takes a link down soon after the last pong.
const IMPATIENT: Care =
    Care { interval: Duration::from_millis(200), timeout: Duration::from_secs(1), pong_count: 1 };

fn two_links(family: Family, policy: Policy) -> (Pair, Relay) {
    let relay = Relay::between(family.address(1, 0), family.address(2, 0));
    let pair = Pair::linked(family, &[Some((&relay, IMPATIENT)), None]);
    for (node, peer) in pair.ways() {
        node.set_priority(peer.id(), 0, 9);
        node.set_policy(peer.id(), policy);
    }
    (pair, relay)
}

fn wait_for_first_link(pair: &Pair, up: bool) {
    for (node, peer) in pair.ways() {
        until("both notice", || node.link(peer.id(), 0).up == up);
    }
}

/// Cuts a link under the active policy: every message takes both links, so that one of them may
/// lose it.
fn cut_under_active(family: Family) {
    let (pair, relay) = two_links(family, Policy::Active);
    let (here, there) = pair.open(0);
    let carried = || pair.ways().map(|(node, peer)| node.link(peer.id(), 0).tx_data);
    let mut number = 0;
    let mut exchange = || {
        for (from, to) in [(&here, &there), (&there, &here)] {
            let messages = (number..number + 50).map(|number| message(2000, number));
            stream_in_any_order(from, to, messages);
            number += 50;
        }
    };
    until("both links are in use", || {
        let before = carried();
        exchange();
        let after = carried();
        after[0] >= before[0] + 50 && after[1] >= before[1] + 50
    });
    relay.cut();
    exchange();
    wait_for_first_link(&pair, false);
    exchange();
    relay.mend();
    exchange();
    wait_for_first_link(&pair, true);
    exchange();
    assert!(!is_readable(&here) && !is_readable(&there));
}

/// Cuts a link under the passive policy: messages are lost until the sender notices; then the other
/// link takes over.
fn cut_under_passive(family: Family) {
    let (pair, relay) = two_links(family, Policy::Passive);
    let (here, there) = pair.open(0);
    let ways = || [(&here, &there), (&there, &here)];
    let carried = |link| pair.ways().map(|(node, peer)| node.link(peer.id(), link).tx_data);
    let exchange = |start: usize| {
        for (from, to) in ways() {
            let messages = (start..start + 50).map(|number| message(2000, number));
            stream_in_any_order(from, to, messages);
        }
    };
    for round in 0..2 {
        let start = 1000 * round;
        let before = carried(1);
        until("the better link is in use", || {
            let before = carried(0);
            exchange(start);
            let after = carried(0);
            after[0] > before[0] && after[1] > before[1]
        });
        relay.cut();
        for (from, _) in ways() {
            write(from, b"lost, or late");
        }
        wait_for_first_link(&pair, false);
        for (from, to) in ways() {
            other_link_takes_over(from, to);
        }
        exchange(start + 500);
        let after = carried(1);
        assert!(after[0] > before[0] && after[1] > before[1]);
        relay.mend();
        wait_for_first_link(&pair, true);
    }
    assert!(!is_readable(&here) && !is_readable(&there));
}

/// Sends until something arrives: libknet considers the link down before it selects another one.
fn other_link_takes_over(from: &Datafd, to: &Datafd) {
    until("a message arrives over the other link", || {
        write(from, b"may be lost");
        is_readable(to)
    });
    write(from, b"the last");
    until("the reply takes it too", || {
        let found = read(to);
        assert!([&b"lost, or late"[..], b"may be lost", b"the last"].contains(&&found[..]));
        found == b"the last"
    });
}

/// Checks that both measure the latency of the path.
fn slow(family: Family) {
    const ONE_WAY: Duration = Duration::from_millis(30);
    let relay = Relay::watched(family.address(1, 0), family.address(2, 0), |_| {
        let until = Instant::now() + ONE_WAY;
        while Instant::now() < until {
            thread::park_timeout(until - Instant::now());
        }
    });
    let pair = Pair::linked(family, &[Some((&relay, Care::default()))]);
    for (node, peer) in pair.ways() {
        let latency = node.link(peer.id(), 0).latency.unwrap();
        assert!(latency >= 2 * ONE_WAY, "{latency:?}");
        assert!(latency < Care::default().timeout, "{latency:?}");
    }
}
