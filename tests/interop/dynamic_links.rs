//! Links of which one end learns the address of the other from its packets.

use knet_tests::cluster::message;
use knet_tests::wait::until;

use crate::network::{Family, both_families};
use crate::node::{Care, Node};
use crate::ours::Ours;
use crate::pair::{meet, stream};
use crate::theirs::Theirs;

both_families! { ours theirs }

fn ours(family: Family) {
    found_and_followed(family, &Ours::new(1), || Box::new(Theirs::new(2)));
}

fn theirs(family: Family) {
    found_and_followed(family, &Theirs::new(1), || Box::new(Ours::new(2)));
}

/// Moves the peer from one address to the next. Only its IP address changes each time: libknet does
/// not follow a change of the port alone (`docs/interoperability.md`, "Limits of libknet").
fn found_and_followed(family: Family, waiting: &dyn Node, peer: impl Fn() -> Box<dyn Node>) {
    let here = family.address(1, 0);
    waiting.connect(2, 0, here, None, &Care::default());
    let near = waiting.open(0);
    assert_eq!(waiting.link(2, 0).tx_pings, 0, "it knows no peer");
    for (life, place) in [(2, 0), (3, 0), (2, 1)].into_iter().enumerate() {
        let (host, link) = place;
        let peer = peer();
        peer.connect(1, 0, family.address(host, link), Some(here), &Care::default());
        meet(waiting, &*peer);
        until("the link is up on both sides", || waiting.link(2, 0).up && peer.link(1, 0).up);
        let far = peer.open(0);
        for (from, to) in [(&near, &far), (&far, &near)] {
            stream(from, &[to], (0..30).map(|number| message(1500, 100 * life + number)));
        }
        drop((peer, far));
        waiting.wait(2, false);
    }
}
