//! Faults of this machine: sockets from which nothing can be received.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{DownReason, LinkState, Policy};
use knet_wire::LinkId;
use pair::{A, B, HOSTS, LINK, Pair, socket};

const EPERM: i32 = 1;
const REFUSED: LinkState = LinkState::Down(DownReason::ReceiveError { errno: EPERM });

#[test]
fn a_link_that_is_lost_because_nothing_can_be_received_has_that_reason() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.engines[A].handle_receive_failed(pair.now, Some(socket(LINK)), EPERM);
    pair.drain(A);
    assert_eq!(pair.take_events(A), [], "the next try may work");
    // Its packets stay in the socket.
    pair.cut[B][LINK.index()] = true;
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.status(A, LINK).state, REFUSED);
    assert!(pair.status(A, LinkId::ALL[1]).state.is_up());

    pair.engines[A].handle_receive_restored(pair.now, Some(socket(LINK)));
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(DownReason::NoPongYet));
    pair.cut[B][LINK.index()] = false;
    pair.run(Duration::from_secs(6));
    assert!(pair.status(A, LINK).state.is_up());
}

#[test]
fn a_link_that_is_down_gets_the_reason_at_once() {
    let mut pair = Pair::new(2, Policy::Passive);
    pair.engines[A].handle_receive_failed(pair.now, None, EPERM);
    let disabled = LinkState::Down(DownReason::Disabled);
    assert_eq!(pair.status(A, LINK).state, disabled, "that is why it is down");
    pair.enable(A);
    for link in pair.links() {
        assert_eq!(pair.status(A, link).state, REFUSED);
    }
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    assert_eq!(pair.status(A, LINK).state, disabled);
}
