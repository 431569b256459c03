//! Paths that do not carry packets of the least size (`docs/protocol.md`, "Paths that are too
//! narrow").

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{DownReason, Event, LinkState, Policy};
use knet_wire::LinkId;
use pair::{A, B, HOSTS, LINK, Pair, address, socket};

const OTHER: LinkId = LinkId::ALL[1];
const SECOND: Duration = Duration::from_secs(1);
/// How long messages may be sent into the hole: the time that the search takes.
const FOUND: Duration = Duration::from_millis(1500);
/// How long it takes until a path that carries data again is in use.
const IN_USE_AGAIN: Duration = Duration::from_secs(9);
const TOO_NARROW: LinkState = LinkState::Down(DownReason::PathTooNarrow { least: 576 });

/// Two hosts with two links that have just come up, of which the first has a path of 400 bytes.
fn half_narrow(policy: Policy) -> Pair {
    let mut pair = Pair::new(2, policy);
    pair.mtu = 1500;
    pair.narrow[LINK.index()] = Some(400);
    pair.enable(A);
    pair.enable(B);
    while !pair.status(A, LINK).state.is_up() {
        pair.run(Duration::from_millis(1));
    }
    pair
}

/// The states that a link of `A` reported.
fn states(pair: &mut Pair, link: LinkId) -> Vec<LinkState> {
    let of_link = |event| match event {
        Event::Link(event) if event.link == link => Some(event.state),
        _ => None,
    };
    pair.take_events(A).into_iter().filter_map(of_link).collect()
}

/// Sends messages in both directions and expects all of them to arrive.
fn all_arrive(pair: &mut Pair, length: usize) {
    for from in [A, B] {
        for number in 0..20 {
            pair.send(from, &vec![number; length]);
            pair.run(Duration::from_millis(10));
            assert_eq!(pair.take_delivered(1 - from), [vec![number; length]]);
        }
    }
}

#[test]
fn another_link_takes_over_and_the_narrow_one_reports_why() {
    for policy in [Policy::Passive, Policy::RoundRobin, Policy::Active] {
        let mut pair = half_narrow(policy);
        pair.run(FOUND);
        assert_eq!(pair.status(A, LINK).state, TOO_NARROW, "{policy}");
        assert_eq!(states(&mut pair, LINK), [LinkState::Up, TOO_NARROW]);
        assert_eq!(TOO_NARROW.to_string(), "down: packets of 576 bytes do not pass the path");
        pair.run(SECOND);
        for length in [1, 400, 1000, 20_000] {
            all_arrive(&mut pair, length);
        }
        assert_eq!(pair.send(A, b"message"), [OTHER]);
        // It stays so, and costs little.
        let before = pair.status(A, LINK).stats.tx_pmtu_packets;
        pair.run(600 * SECOND);
        assert_eq!(states(&mut pair, LINK), []);
        assert!(pair.status(A, LINK).stats.tx_pmtu_packets - before < 100);
        assert_eq!(pair.status(A, LINK).stats.down_count, 1);
    }
}

#[test]
fn a_host_behind_nothing_but_a_narrow_path_is_not_reachable() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = 400;
    pair.enable(A);
    pair.enable(B);
    pair.run(20 * SECOND);
    assert!(!pair.reachable(A) && !pair.reachable(B));
    assert!(pair.routes[A].is_empty(), "no message is sent into the hole");
    let lost = |event: &Event| matches!(event, Event::Host(host) if !host.reachable && host.cause == Some((LINK, TOO_NARROW)));
    assert_eq!(pair.events[A].iter().filter(|event| lost(event)).count(), 1);
    let status = pair.status(A, LINK);
    assert_eq!((status.path_mtu, status.peer_known), (None, true));
    assert!(status.last_pong.is_some_and(|age| age <= SECOND), "it is still pinged");
}

/// Applications get messages of hosts that are reachable only, which these are not.
#[test]
fn data_of_a_host_behind_a_narrow_path_is_dropped() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = 400;
    pair.enable(A);
    pair.enable(B);
    while !pair.reachable(B) {
        pair.run(Duration::from_millis(1));
    }
    // Short enough for the path.
    let packets = [0, 1].map(|number| pair.packets(B, &[number; 10]).remove(0).1);
    pair.run(20 * SECOND);
    assert_eq!(pair.status(A, LINK).state, TOO_NARROW);
    let dropped = pair.engines[A].drops().not_reachable;
    for _ in 0..3 {
        pair.arrive(A, LINK, &packets[0]);
        assert_eq!(pair.take_delivered(A), [] as [Vec<u8>; 0]);
    }
    assert_eq!(pair.engines[A].drops().not_reachable, dropped + 3);
    assert_eq!(pair.status(A, LINK).state, TOO_NARROW);
    // It is no duplicate later, when the host is reachable.
    pair.mtu = 1500;
    pair.run(IN_USE_AGAIN);
    assert!(pair.reachable(A));
    pair.arrive(A, LINK, &packets[0]);
    assert_eq!(pair.take_delivered(A), [[0; 10]]);
}

/// Which link a message takes is up to its sender: the other direction of the path may be wide.
#[test]
fn data_over_a_narrow_path_is_accepted_of_a_host_that_is_reachable_over_another() {
    let mut pair = half_narrow(Policy::Passive);
    pair.run(FOUND);
    assert_eq!(pair.status(A, LINK).state, TOO_NARROW);
    let packet = pair.packets(B, &[7; 10]).remove(0).1;
    pair.arrive(A, LINK, &packet);
    assert_eq!(pair.take_delivered(A), [[7; 10]]);
}

#[test]
fn a_path_that_becomes_wider_is_in_use_again() {
    for mtu in [576, 1500] {
        let mut pair = half_narrow(Policy::Passive);
        pair.run(60 * SECOND);
        pair.take_events(A);
        pair.narrow[LINK.index()] = Some(mtu);
        pair.run(IN_USE_AGAIN);
        assert_eq!(states(&mut pair, LINK), [LinkState::Up], "without waiting for more pongs");
        assert_eq!(pair.send(A, b"message"), [LINK]);
        pair.run(SECOND);
        pair.take_delivered(B);
        all_arrive(&mut pair, 3000);
        pair.run(30 * SECOND);
        assert_eq!(pair.status(A, LINK).path_mtu, Some(usize::from(mtu)));
    }
}

#[test]
fn a_path_that_becomes_too_narrow_in_use_is_found_out_about() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.mtu = 1500;
    pair.run(60 * SECOND);
    pair.take_events(A);
    pair.narrow[LINK.index()] = Some(400);
    // As long as there is data, the size in use is checked every few seconds.
    for _ in 0..10 {
        pair.send(A, &[7; 1000]);
        pair.run(SECOND);
    }
    assert_eq!(states(&mut pair, LINK), [TOO_NARROW]);
    pair.run(SECOND);
    pair.take_delivered(B);
    pair.send(A, &[8; 1000]);
    pair.run(SECOND);
    assert_eq!(pair.take_delivered(B), [[8; 1000]]);
}

#[test]
fn a_link_that_comes_back_on_a_narrow_path_stays_down() {
    let mut pair = half_narrow(Policy::Passive);
    pair.run(FOUND);
    pair.cut[B][LINK.index()] = true;
    pair.run(30 * SECOND);
    let silent = |state| matches!(state, LinkState::Down(DownReason::PongTimeout { .. }));
    assert!(silent(pair.status(A, LINK).state), "{}", pair.status(A, LINK).state);
    let before = pair.status(A, LINK).stats.tx_pmtu_packets;
    pair.run(30 * SECOND);
    assert_eq!(pair.status(A, LINK).stats.tx_pmtu_packets, before, "not probed while it is down");
    pair.take_events(A);
    pair.cut[B][LINK.index()] = false;
    pair.run(30 * SECOND);
    assert_eq!(pair.status(A, LINK).state, TOO_NARROW);
    assert_eq!(states(&mut pair, LINK), [], "it never was up");
    pair.narrow[LINK.index()] = None;
    pair.run(IN_USE_AGAIN);
    assert_eq!(states(&mut pair, LINK), [LinkState::Up]);
}

#[test]
fn an_interface_of_the_own_host_that_is_too_narrow_counts_at_once() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.narrow[LINK.index()] = Some(400);
    let to = address(B, LINK).ip();
    pair.engines[A].handle_mtu_limit(pair.now, socket(LINK), to, 400);
    pair.drain(A);
    assert_eq!(states(&mut pair, LINK), [TOO_NARROW]);
    assert_eq!(pair.send(A, b"message"), [OTHER]);
}

#[test]
fn forged_reports_of_routers_make_no_path_narrow() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(60 * SECOND);
    pair.take_events(A);
    let to = address(B, LINK).ip();
    for number in 0..10_000 {
        pair.engines[A].handle_mtu_suggestion(pair.now, socket(LINK), to, number % 576);
        pair.drain(A);
        pair.run(Duration::from_millis(1));
    }
    assert_eq!(pair.take_events(A), []);
}

#[test]
fn an_mtu_set_by_hand_is_not_judged() {
    let mut pair = half_narrow(Policy::Passive);
    pair.run(FOUND);
    pair.take_events(A);
    pair.engines[A].set_manual_mtu(pair.now, Some(400)).unwrap();
    pair.drain(A);
    assert_eq!(states(&mut pair, LINK), [LinkState::Up]);
    assert_eq!(pair.send(A, &[1; 1000]), [LINK; 3]);
    pair.engines[A].set_manual_mtu(pair.now, None).unwrap();
    pair.drain(A);
    pair.run(FOUND);
    assert_eq!(states(&mut pair, LINK), [TOO_NARROW]);
}

#[test]
fn a_link_that_is_disabled_and_enabled_again_finds_out_again() {
    let mut pair = half_narrow(Policy::Passive);
    pair.run(FOUND);
    for narrow in [Some(400), None] {
        pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
        pair.narrow[LINK.index()] = narrow;
        pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, true).unwrap();
        pair.drain(A);
        pair.run(10 * SECOND);
        assert_eq!(pair.status(A, LINK).state.is_up(), narrow.is_none());
    }
}
