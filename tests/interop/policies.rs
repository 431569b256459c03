//! Two links: each policy, and links that are disabled and enabled under traffic.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use knet_tests::cluster::message;
use knet_tests::wait::until;
use kronosnet::Policy;

use crate::network::{Family, both_families};
use crate::node::{Datafd, Node};
use crate::pair::{Pair, stream_in_any_order};

both_families! { passive active round_robin disabled }

const COUNT: u64 = 200;

/// Sends messages both ways under a policy, and returns how many data packets each side sent on
/// each of the two links.
fn under(family: Family, policy: Policy) -> [[u64; 2]; 2] {
    let pair = Pair::new(family, 2);
    let (here, there) = pair.open(0);
    let sent =
        |node: &dyn Node, peer: &dyn Node| [0, 1].map(|link| node.link(peer.id(), link).tx_data);
    for (node, peer) in pair.ways() {
        node.set_priority(peer.id(), 1, 9);
        node.set_policy(peer.id(), policy);
    }
    settle(&pair, policy, &here, &there);
    let before = pair.ways().map(|(node, peer)| sent(node, peer));
    let messages = |start| (start..start + COUNT as usize).map(|number| message(400, number));
    for (from, to, start) in [(&here, &there, 0), (&there, &here, 5000)] {
        stream_in_any_order(from, to, messages(start));
    }
    pair.nothing_more(&[&here, &there]);
    let after = pair.ways().map(|(node, peer)| sent(node, peer));
    [0, 1].map(|side| [0, 1].map(|link| after[side][link] - before[side][link]))
}

/// Sends messages until they take the links that they should. libknet applies a change of policy a
/// little later (`docs/protocol.md`, "Link policies").
fn settle(pair: &Pair, policy: Policy, here: &Datafd, there: &Datafd) {
    let taken = |node: &dyn Node, peer: &dyn Node, from: &Datafd, to: &Datafd| {
        let sent = || [0, 1].map(|link| node.link(peer.id(), link).tx_data);
        let before = sent();
        stream_in_any_order(from, to, [1, 2].map(|number| message(10, 9000 + number)));
        until("both messages are counted", || sent()[0] + sent()[1] >= before[0] + before[1] + 2);
        [sent()[0] - before[0], sent()[1] - before[1]]
    };
    let wanted = match policy {
        Policy::Passive => [0, 2],
        Policy::Active => [2, 2],
        Policy::RoundRobin => [1, 1],
    };
    for (at, from, to) in [(0, here, there), (1, there, here)] {
        let (node, peer) = pair.ways()[at];
        until("the policy is in use", || taken(node, peer, from, to) == wanted);
    }
}

fn passive(family: Family) {
    assert_eq!(under(family, Policy::Passive), [[0, COUNT]; 2]);
}

fn active(family: Family) {
    assert_eq!(under(family, Policy::Active), [[COUNT, COUNT]; 2]);
}

fn round_robin(family: Family) {
    assert_eq!(under(family, Policy::RoundRobin), [[COUNT / 2, COUNT / 2]; 2]);
}

/// Disables links under traffic. The side that disables a link stops using it, but still accepts
/// packets from it. So nothing is lost.
fn disabled(family: Family) {
    let pair = Pair::new(family, 2);
    let (here, there) = pair.open(0);
    for policy in [Policy::Passive, Policy::Active, Policy::RoundRobin] {
        for (node, peer) in pair.ways() {
            node.set_policy(peer.id(), policy);
        }
        let sent = [const { AtomicUsize::new(0) }; 2];
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for (from, to, sent) in [(&here, &there, &sent[0]), (&there, &here, &sent[1])] {
                let messages = (0..).take_while(|_| !done.load(Ordering::Relaxed)).map(|number| {
                    sent.store(number, Ordering::Relaxed);
                    message(900, number)
                });
                scope.spawn(move || stream_in_any_order(from, to, messages));
            }
            let _done = Done(&done);
            for ((node, peer), link) in pair.ways().into_iter().flat_map(|way| [(way, 0), (way, 1)])
            {
                for enabled in [false, true] {
                    node.set_enabled(peer.id(), link, enabled);
                    until("the link changes its state", || {
                        node.link(peer.id(), link).up == enabled
                    });
                    let before = sent.each_ref().map(|sent| sent.load(Ordering::Relaxed));
                    until("traffic flows both ways", || {
                        let now = sent.each_ref().map(|sent| sent.load(Ordering::Relaxed));
                        now[0] > before[0] + 100 && now[1] > before[1] + 100
                    });
                }
            }
        });
        pair.nothing_more(&[&here, &there]);
    }
}

/// Ends the traffic, also if the case has failed, so that nothing waits for it.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
