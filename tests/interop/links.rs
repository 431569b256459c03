//! Links that come up, whichever side is first, and are monitored with the configured timers.

use std::time::Duration;

use knet_tests::cluster::message;
use knet_tests::wait::until;

use crate::network::{Family, both_families};
use crate::node::{Care, Node};
use crate::ours::Ours;
use crate::pair::{meet, stream};
use crate::theirs::Theirs;

both_families! { ours_first theirs_first care }

fn ours_first(family: Family) {
    let ours = Ours::new(1);
    second_comes_later(family, &ours, || Box::new(Theirs::new(2)));
}

fn theirs_first(family: Family) {
    let theirs = Theirs::new(1);
    second_comes_later(family, &theirs, || Box::new(Ours::new(2)));
}

fn second_comes_later(family: Family, first: &dyn Node, second: impl Fn() -> Box<dyn Node>) {
    let how = Care::default();
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    first.connect(2, 0, here, Some(there), &how);
    let near = first.open(0);
    until("it has sent some pings", || first.link(2, 0).tx_pings >= 3);
    assert!(!first.link(2, 0).up);
    // The peer may also go away and come back.
    for life in 0..2 {
        let second = second();
        let far = second.open(0);
        second.connect(1, 0, there, Some(here), &how);
        meet(first, &*second);
        stream(&near, &[&far], (0..20).map(|number| message(2000, 100 * life + number)));
        stream(&far, &[&near], (0..20).map(|number| message(2000, 1000 + 100 * life + number)));
        drop((second, far));
        first.wait(2, false);
    }
}

/// Uses timers and pong counts that differ from the defaults, and between the two sides.
fn care(family: Family) {
    let (ours, theirs) = (Ours::new(1), Theirs::new(2));
    let (here, there) = (family.address(1, 0), family.address(2, 0));
    let seconds = Duration::from_secs;
    let millis = Duration::from_millis;
    ours.connect(
        2,
        0,
        here,
        Some(there),
        &Care { interval: millis(70), timeout: seconds(50), pong_count: 7 },
    );
    theirs.connect(
        1,
        0,
        there,
        Some(here),
        &Care { interval: millis(400), timeout: seconds(70), pong_count: 2 },
    );
    meet(&ours, &theirs);
    assert!(ours.link(2, 0).rx_pongs >= 7);
    // One more than configured (`docs/interoperability.md`, "Limits of libknet").
    assert!(theirs.link(1, 0).rx_pongs >= 3);
    let (near, far) = (ours.open(0), theirs.open(0));
    stream(&near, &[&far], [message(10, 1)]);
    stream(&far, &[&near], [message(10, 2)]);
    // Each pings at its own interval, and answers the other's pings.
    let pings = |node: &dyn Node, peer| node.link(peer, 0).rx_pings;
    let before = (pings(&ours, 2), pings(&theirs, 1));
    until("both keep pinging", || {
        pings(&ours, 2) >= before.0 + 2 && pings(&theirs, 1) >= before.1 + 6
    });
    assert!(ours.link(2, 0).up && theirs.link(1, 0).up);
    for latency in [ours.link(2, 0).latency, theirs.link(1, 0).latency] {
        assert!(latency.is_some_and(|latency| latency > Duration::ZERO && latency < seconds(50)));
    }
    // Both use the interface's.
    for (node, peer) in [(&ours as &dyn Node, 2), (&theirs, 1)] {
        node.set_mtu_interval(seconds(1));
        let whole = 65535 - family.overhead() - 26;
        until("the MTU is found", || node.link(peer, 0).mtu == whole && node.data_mtu() == whole);
    }
}
