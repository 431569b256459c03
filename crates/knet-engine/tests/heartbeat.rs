//! The heartbeat: when links are pinged, come up and go down, and the events about it.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{DownReason, Event, LinkEvent, LinkState, PingTimers, Policy};
use knet_wire::{Body, HostId, LinkId, Packet};
use pair::{A, B, HOSTS, LATENCY, LINK, Pair};

const INTERVAL: Duration = Duration::from_secs(1);
const EPERM: i32 = 1;
const ECONNREFUSED: i32 = 111;
const ENETUNREACH: i32 = 101;

fn link_states(events: &[Event]) -> Vec<(HostId, LinkId, LinkState)> {
    let state = |event: &Event| match event {
        Event::Link(LinkEvent { host, link, state, .. }) => Some((*host, *link, *state)),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

fn down(reason: DownReason) -> Vec<(HostId, LinkId, LinkState)> {
    vec![(HOSTS[B], LINK, LinkState::Down(reason))]
}

/// The pings and pongs on their way to a host.
fn pings_to(pair: &Pair, to: usize) -> usize {
    let is_ping = |datagram: &[u8]| matches!(Packet::decode(datagram).unwrap().body, Body::Ping(_));
    pair.flying.iter().filter(|flight| flight.to == to && is_ping(&flight.datagram)).count()
}

#[test]
fn a_link_is_silent_until_it_is_enabled_and_pinged_at_once_then() {
    let mut pair = Pair::new(1, Policy::Passive);
    assert_eq!(pair.engines[A].poll_timeout(), None);
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(DownReason::Disabled));
    pair.enable(A);
    assert_eq!(pings_to(&pair, B), 1);
    pair.set_cut(B, true);
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(DownReason::NoPongYet));
    // Only the first ping is repeated soon.
    assert_eq!(pair.engines[A].poll_timeout(), Some(pair.now + INTERVAL / 4));
    pair.run(INTERVAL / 4);
    assert_eq!(pair.engines[A].poll_timeout(), Some(pair.now + INTERVAL));
}

#[test]
fn enabling_again_pings_at_once_too() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(Duration::from_millis(300));
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    pair.drain(A);
    assert_eq!(pings_to(&pair, B), 0);
    pair.enable(A);
    assert_eq!(pings_to(&pair, B), 1);
}

#[test]
fn a_link_comes_up_with_the_pong_that_was_asked_for() {
    for count in [1, 3, 5] {
        let mut pair = Pair::new(1, Policy::Passive);
        pair.engines[A].set_pong_count(HOSTS[B], LINK, count).unwrap();
        pair.enable(A);
        // A link need not be enabled to answer.
        let last_pong = INTERVAL * u32::from(count - 1) + LATENCY * 2;
        pair.run(last_pong - Duration::from_nanos(1));
        assert_eq!(pair.status(A, LINK).good_pongs, count - 1);
        assert_eq!(pair.events[A], []);
        pair.run(Duration::from_nanos(1));
        assert_eq!(link_states(&pair.events[A]), [(HOSTS[B], LINK, LinkState::Up)]);
        assert!(matches!(&pair.events[A][1], Event::Host(host) if host.reachable));
        assert!(pair.reachable(A) && !pair.reachable(B));
        assert_eq!(pair.status(A, LINK).latency, Some(LATENCY * 2));
    }
}

#[test]
fn a_silent_link_goes_down_and_says_how_long_it_was_silent() {
    let mut pair = Pair::up(1, Policy::Passive);
    // After the time in which a new link has a longer timeout.
    pair.run(Duration::from_secs(20));
    assert_eq!(pair.events[A], []);
    let last_pong = pair.now - pair.status(A, LINK).last_pong.unwrap();
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(30));
    // The timeout is extended by twice the latency of 2 ms.
    let silence = Duration::from_secs(2) + LATENCY * 4;
    assert_eq!(link_states(&pair.events[A]), down(DownReason::PongTimeout { silence }));
    let host_lost = matches!(&pair.events[A][1], Event::Host(host) if !host.reachable);
    assert!(host_lost && pair.routes[A].is_empty());
    assert!(pair.now > last_pong + silence);
    let status = pair.status(A, LINK);
    assert_eq!(status.state, LinkState::Down(DownReason::PongTimeout { silence }));
    assert_eq!(status.state.to_string(), "down: no pong for 2.0 s");
    assert_eq!((status.stats.up_count, status.stats.down_count), (1, 1));
}

#[test]
fn a_young_link_is_given_more_time() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.engines[A].set_pong_count(HOSTS[B], LINK, 1).unwrap();
    pair.enable(A);
    pair.run(LATENCY * 2);
    pair.set_cut(B, true);
    // Ten timeouts at first, one less per second: at 7 s the timeout falls from 8 s to 6 s.
    pair.run(Duration::from_secs(7) - LATENCY * 2 - Duration::from_nanos(1));
    assert!(pair.status(A, LINK).state.is_up());
    pair.run(Duration::from_nanos(1));
    assert!(!pair.status(A, LINK).state.is_up());
}

#[test]
fn a_link_goes_down_when_its_timeout_ends_long_after_the_last_ping() {
    let mut pair = Pair::new(1, Policy::Passive);
    let second = Duration::from_secs(1);
    let timers = PingTimers { interval: second * 60, timeout: second * 61, precision: 1 };
    pair.engines[A].set_ping_timers(pair.now, HOSTS[B], LINK, timers).unwrap();
    pair.engines[A].set_pong_count(HOSTS[B], LINK, 1).unwrap();
    pair.enable(A);
    // Past the second ping, and past the time in which timeouts are longer.
    pair.run(second * 61);
    assert!(pair.status(A, LINK).state.is_up());
    pair.set_cut(B, true);
    pair.run(second * 59);
    assert!(pair.status(A, LINK).state.is_up());
    pair.run(second * 3);
    assert!(!pair.status(A, LINK).state.is_up());
}

/// A process that was stopped, or a busy machine: the driver calls late.
#[test]
fn time_in_which_the_driver_did_not_run_takes_no_link_down() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.run(Duration::from_secs(20));
    pair.take_events(A);
    // The peer becomes silent while this host is stopped.
    pair.set_cut(B, true);
    pair.now += Duration::from_secs(3600);
    pair.engines[A].handle_timeout(pair.now);
    pair.drain(A);
    assert_eq!(pair.events[A], [], "no link had a chance to answer");
    // But from then on it has to answer in time.
    pair.run(Duration::from_secs(3));
    let states = link_states(&pair.events[A]);
    assert_eq!(states.len(), 2, "{states:?}");
    assert!(states.iter().all(|(_, _, state)| !state.is_up()));
}

#[test]
fn a_link_that_went_down_comes_up_again() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(60));
    pair.set_cut(B, false);
    pair.take_events(A);
    pair.run(Duration::from_secs(6));
    assert_eq!(link_states(&pair.events[A]), [(HOSTS[B], LINK, LinkState::Up)]);
    assert_eq!(pair.status(A, LINK).stats.up_count, 2);
}

#[test]
fn a_disabled_link_is_down_at_once_and_forgets_its_pongs() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    pair.drain(A);
    assert_eq!(link_states(&pair.take_events(A)), down(DownReason::Disabled));
    assert!(pair.routes[A].is_empty());
    assert_eq!(pair.engines[A].poll_timeout(), None);
    // The other end continues to ping and is answered, but its pings bring no link up here.
    pair.run(Duration::from_secs(30));
    assert!(pair.reachable(B));
    assert_eq!(pair.events[A], []);

    pair.enable(A);
    assert!(!pair.status(A, LINK).state.is_up());
    pair.run(Duration::from_millis(3500));
    assert!(!pair.status(A, LINK).state.is_up(), "four pongs are not five");
    pair.run(Duration::from_secs(1));
    assert_eq!(link_states(&pair.events[A]), [(HOSTS[B], LINK, LinkState::Up)]);
}

#[test]
fn new_timers_take_effect_at_once() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(Duration::from_secs(20));
    let timers = PingTimers {
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(200),
        precision: 1,
    };
    let before = pair.status(A, LINK).stats.tx_ping_packets;
    pair.engines[A].set_ping_timers(pair.now, HOSTS[B], LINK, timers).unwrap();
    pair.drain(A);
    pair.run(Duration::from_secs(1));
    let pings = pair.status(A, LINK).stats.tx_ping_packets - before;
    assert!((20..=21).contains(&pings), "{pings} pings");
    pair.set_cut(B, true);
    pair.run(Duration::from_millis(300));
    let silence = Duration::from_millis(200) + LATENCY * 4;
    assert_eq!(link_states(&pair.events[A]), down(DownReason::PongTimeout { silence }));
}

/// libknet checks every 200 ms whether a ping is due.
#[test]
fn a_link_may_be_pinged_every_millisecond() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(Duration::from_secs(20));
    let interval = Duration::from_millis(1);
    let timers = PingTimers { interval, ..PingTimers::default() };
    let before = pair.status(A, LINK).stats.tx_ping_packets;
    pair.engines[A].set_ping_timers(pair.now, HOSTS[B], LINK, timers).unwrap();
    pair.drain(A);
    pair.run(Duration::from_secs(1));
    let pings = pair.status(A, LINK).stats.tx_ping_packets - before;
    assert!((1000..=1001).contains(&pings), "{pings} pings");
    assert!(pair.status(A, LINK).state.is_up());
}

#[test]
fn timers_beyond_all_time_never_fire() {
    let mut pair = Pair::up(1, Policy::Passive);
    let interval = Duration::MAX - Duration::from_nanos(1);
    let timers = PingTimers { interval, timeout: Duration::MAX, precision: u32::MAX };
    pair.engines[A].set_ping_timers(pair.now, HOSTS[B], LINK, timers).unwrap();
    pair.drain(A);
    let before = pair.status(A, LINK).stats.tx_ping_packets;
    pair.run(Duration::from_secs(3600));
    assert_eq!(pair.status(A, LINK).stats.tx_ping_packets, before);
    assert!(pair.status(A, LINK).state.is_up());
    pair.engines[A].set_ping_timers(pair.now, HOSTS[B], LINK, PingTimers::default()).unwrap();
    pair.drain(A);
    assert_eq!(pings_to(&pair, B), 1, "overdue by the new interval");
}

#[test]
fn a_cleared_link_leaves_nothing_behind() {
    let mut pair = Pair::up(1, Policy::Passive);
    let (now, peer) = (pair.now, HOSTS[B]);
    let engine = &mut pair.engines[A];
    assert_eq!(engine.clear_link(peer, LINK).unwrap_err().errno(), 16, "still enabled");
    assert_eq!(engine.remove_host(peer).unwrap_err().errno(), 16, "still has a link");
    engine.set_link_enabled(now, peer, LINK, false).unwrap();
    assert_eq!(engine.clear_link(peer, LINK), Ok(pair::path(B, LINK).into()));
    engine.remove_host(peer).unwrap();
    assert_eq!(engine.hosts().count(), 0);
    assert_eq!(engine.poll_timeout(), None);
    pair.drain(A);
    assert!(pair.routes[A].is_empty());
    // What is still on its way is for a host that is no longer known.
    pair.run(Duration::from_secs(10));
    assert!(pair.engines[A].drops().unknown_host > 0);
}

#[test]
fn the_last_link_whose_pings_cannot_leave_goes_down_when_its_patience_is_over() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.take_events(A);
    pair.set_cut(B, true);
    let mut refused = 0;
    let states = loop {
        pair.run(Duration::from_millis(10));
        let states = link_states(&pair.take_events(A));
        if !states.is_empty() {
            break states;
        }
        pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ENETUNREACH);
        refused += 1;
    };
    assert!(refused > 100, "down after {refused} refusals");
    assert_eq!(states, down(DownReason::TransportError { errno: ENETUNREACH }));
}

/// Refuses the pings of the first of two links for this time, every 10 ms. Returns the events.
fn refused_for(pair: &mut Pair, time: Duration) -> Vec<(HostId, LinkId, LinkState)> {
    pair.cut[B][LINK.index()] = true;
    // What is on its way arrives.
    pair.run(2 * LATENCY);
    pair.take_events(A);
    for _ in 0..=time.as_millis() / 10 {
        pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ENETUNREACH);
        pair.drain(A);
        pair.run(Duration::from_millis(10));
    }
    pair.cut[B][LINK.index()] = false;
    link_states(&pair.take_events(A))
}

#[test]
fn one_of_two_links_goes_down_when_a_ping_and_its_repeat_cannot_leave() {
    let mut pair = Pair::up(2, Policy::Passive);
    let states = refused_for(&mut pair, INTERVAL / 4);
    assert_eq!(states, down(DownReason::TransportError { errno: ENETUNREACH }));
    assert!(pair.reachable(A));
    let links: Vec<_> = pair.send(A, b"over the other");
    assert_eq!(links, [LinkId::ALL[1]]);
    pair.run(INTERVAL * 10);
    assert!(pair.status(A, LINK).state.is_up(), "it comes back");
}

#[test]
fn a_refusal_that_is_over_before_the_ping_is_repeated_takes_no_link_down() {
    let mut pair = Pair::up(2, Policy::Passive);
    for _ in 0..5 {
        let states = refused_for(&mut pair, INTERVAL / 4 - Duration::from_millis(20));
        assert_eq!(states, []);
        // Pongs come again.
        pair.run(INTERVAL * 2);
    }
    assert_eq!(pair.status(A, LINK).stats.down_count, 0);
}

#[test]
fn the_last_of_two_links_is_given_time() {
    let mut pair = Pair::up(2, Policy::Passive);
    let other = LinkId::ALL[1];
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], other, false).unwrap();
    pair.drain(A);
    assert_eq!(refused_for(&mut pair, INTERVAL / 2), []);
    assert!(pair.reachable(A));
}

#[test]
fn a_refusal_that_is_over_is_not_to_blame_for_later_silence() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.take_events(A);
    pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ENETUNREACH);
    pair.run(INTERVAL);
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(30));
    let states = link_states(&pair.take_events(A));
    let [(_, _, LinkState::Down(DownReason::PongTimeout { .. }))] = states[..] else {
        panic!("{states:?}")
    };
}

#[test]
fn a_link_that_is_down_says_that_its_pings_cannot_leave() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, EPERM);
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(DownReason::Disabled));
    pair.enable(A);
    pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, EPERM);
    let forbidden = LinkState::Down(DownReason::TransportError { errno: EPERM });
    assert_eq!(pair.status(A, LINK).state, forbidden);
    pair.enable(B);
    pair.run(INTERVAL * 10);
    assert_eq!(pair.status(A, LINK).state, LinkState::Up);
}

/// How often each end has taken a link down.
fn downs(pair: &Pair) -> [u64; 2] {
    [A, B].map(|at| pair.links().map(|link| pair.status(at, link).stats.down_count).sum())
}

#[test]
fn no_call_blames_a_link_for_a_pause_of_the_driver() {
    let calls: [fn(&mut Pair); 5] = [
        |pair| pair.engines[A].handle_timeout(pair.now),
        |pair| pair.engines[A].force_pings(pair.now),
        |pair| pair.report(A, LINK),
        |pair| pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ECONNREFUSED),
        |pair| pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ENETUNREACH),
    ];
    for (nth, call) in calls.into_iter().enumerate() {
        for pause in [50, 150, 1999, 2001, 30_000, 36_000_000].map(Duration::from_millis) {
            let mut pair = Pair::up(2, Policy::Passive);
            pair.run(Duration::from_millis(20_990));
            // What came meanwhile is in the sockets.
            pair.now += pause;
            for _ in 0..2 {
                call(&mut pair);
                pair.drain(A);
            }
            assert_eq!(downs(&pair), [0, 0], "call {nth} after {pause:?}");
            pair.run(Duration::from_secs(10));
            assert_eq!(downs(&pair), [0, 0], "call {nth} after {pause:?}");
        }
    }
}

#[test]
fn no_thread_blames_a_link_for_another_one_that_does_not_run() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.run(Duration::from_secs(20));
    // The thread that handles timers and packets is stuck. Others send thousands of messages.
    for _ in 0..100 {
        pair.now += Duration::from_millis(100);
        pair.engines[A].force_pings(pair.now);
        pair.drain(A);
        pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ECONNREFUSED);
        pair.drain(A);
        assert_eq!(downs(&pair), [0, 0]);
    }
    pair.run(Duration::from_secs(10));
    assert_eq!(downs(&pair), [0, 0]);
}

#[test]
fn a_pause_that_many_calls_notice_is_counted_once() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(Duration::from_secs(20));
    pair.set_cut(B, true);
    pair.now += Duration::from_secs(30);
    for _ in 0..10 {
        pair.report(A, LINK);
        pair.engines[A].force_pings(pair.now);
        pair.drain(A);
    }
    assert_eq!(downs(&pair), [0, 0]);
    pair.run(Duration::from_millis(2100));
    assert_eq!(downs(&pair)[A], 1);
}

#[test]
fn a_clock_that_stands_still_or_goes_back_takes_no_link_down() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.run(Duration::from_secs(20));
    // Threads look at the clock before they wait for each other.
    for back in [0, 1, 50, 1000].map(Duration::from_millis) {
        pair.now -= back;
        for _ in 0..100 {
            pair.engines[A].handle_timeout(pair.now);
            pair.engines[A].force_pings(pair.now);
            pair.report(A, LINK);
            pair.drain(A);
            while let Some(flight) = pair.flying.pop_front() {
                pair.arrive(flight.to, flight.link, &flight.datagram);
            }
        }
        pair.run(Duration::from_secs(5));
        assert_eq!(downs(&pair), [0, 0], "back by {back:?}");
    }
}
