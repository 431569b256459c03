//! Message numbers: 65535 of them, after which they wrap around.

use std::sync::Arc;

use knet_tests::cluster::message;
use kronosnet::Direction;

use crate::network::{Family, both_families};
use crate::node::{Care, Decision, Filter, Node};
use crate::ours::Ours;
use crate::pair::{Pair, connect, meet, stream};
use crate::theirs::Theirs;

both_families! { beyond_the_last wrap_around_to_ours wrap_around_to_theirs }

const ENOUGH: usize = 70_000;

fn beyond_the_last(family: Family) {
    let pair = Pair::new(family, 1);
    let (here, there) = pair.open(0);
    for (from, to) in [(&here, &there), (&there, &here)] {
        stream(from, &[to], (0..ENOUGH).map(|number| message(20, number)));
    }
    pair.nothing_more(&[&here, &there]);
}

fn wrap_around_to_ours(family: Family) {
    wrap_around(family, &Theirs::new(1), &Ours::new(2), &Ours::new(3));
}

fn wrap_around_to_theirs(family: Family) {
    wrap_around(family, &Ours::new(1), &Theirs::new(2), &Ours::new(3));
}

/// Wraps the numbers around while one host receives nothing. It must not take the next messages for
/// duplicates of earlier ones. Forced pings announce them (`docs/protocol.md`, "Forced pings").
fn wrap_around(family: Family, sender: &dyn Node, quiet: &dyn Node, busy: &dyn Node) {
    for peer in [quiet, busy] {
        connect(family, sender, peer, 0, &Care::default());
        meet(sender, peer);
    }
    let by_first_byte: Filter = Arc::new(|direction, _, bytes| match direction {
        Direction::Tx => Decision::only(bytes[0].into()),
        Direction::Rx => Decision::broadcast(),
    });
    sender.set_filter(by_first_byte);
    let [from, to_quiet, to_busy] = [sender, quiet, busy].map(|node| node.open(0));
    let messages = |host: u16, numbers: std::ops::Range<usize>| {
        let host = u8::try_from(host).unwrap();
        numbers.map(move |number| [vec![host], message(20, number)].concat())
    };
    stream(&from, &[&to_quiet], messages(quiet.id(), 0..100));
    // Up to the number of the first of those, which is next.
    stream(&from, &[&to_busy], messages(busy.id(), 0..65535 - 100));
    stream(&from, &[&to_quiet], messages(quiet.id(), 100..200));
}
