//! Reports that the peer cannot be reached (ICMP), true ones and forged ones
//! (`docs/protocol.md`, "Reports that the peer is unreachable").

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_engine::{
    DatagramMeta, DownReason, Engine, EngineConfig, LinkPath, LinkState, Policy, SocketId, Transmit,
};
use knet_wire::HostId;
use pair::{A, B, HOSTS, LATENCY, LINK, Pair, REFUSED, address, socket};

/// The longest time that finding a peer that is gone may take after a report.
const AT_MOST: Duration = Duration::from_millis(250);
const ENETUNREACH: i32 = 101;
const TICK: Duration = Duration::from_millis(1);

fn is_up(pair: &Pair) -> bool {
    pair.status(A, LINK).state.is_up()
}

fn pings(pair: &Pair) -> u64 {
    pair.status(A, LINK).stats.tx_ping_packets
}

/// Reports that `B` is unreachable to `A`, again and again.
fn forge(pair: &mut Pair, every: Duration, time: Duration) {
    let end = pair.now + time;
    while pair.now < end {
        pair.report(A, LINK);
        pair.run(every);
    }
}

/// Runs until the link is down. Returns the time that took.
fn time_until_down(pair: &mut Pair) -> Duration {
    let start = pair.now;
    while is_up(pair) {
        pair.run(TICK);
        assert!(pair.now < start + Duration::from_secs(60), "it stays up");
    }
    pair.now - start
}

#[test]
fn forged_reports_take_no_link_down_while_pings_are_answered() {
    for every in [1, 100, 500, 3000].map(Duration::from_millis) {
        let mut pair = Pair::up(2, Policy::Passive);
        forge(&mut pair, every, Duration::from_secs(60));
        assert_eq!(pair.status(A, LINK).stats.down_count, 0, "a report each {every:?}");
        assert_eq!(pair.events[A], []);
    }
}

#[test]
fn a_flood_of_forged_reports_is_no_flood_of_pings() {
    let mut pair = Pair::up(1, Policy::Passive);
    let before = pings(&pair);
    for _ in 0..10_000 {
        for _ in 0..10 {
            pair.report(A, LINK);
        }
        pair.run(TICK);
    }
    let sent = pings(&pair) - before;
    assert!(sent <= 30, "{sent} pings in 10 s, 10 of which are due anyway");
}

#[test]
fn the_pongs_of_a_link_that_comes_up_are_not_forgotten() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.enable(A);
    let undisturbed = Duration::from_secs(4) + LATENCY * 2;
    forge(&mut pair, TICK, undisturbed - TICK);
    assert_eq!(pair.status(A, LINK).good_pongs, 4);
    pair.run(TICK);
    assert!(is_up(&pair));
}

#[test]
fn a_peer_that_is_gone_is_found_soon_after_the_first_refusal() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.run(Duration::from_secs(5));
    pair.gone[B] = true;
    pair.send(A, b"refused");
    let took = time_until_down(&mut pair);
    assert!((Duration::from_millis(50)..=AT_MOST).contains(&took), "{took:?}");
    let reason = DownReason::TransportError { errno: REFUSED };
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(reason));
}

#[test]
fn a_silent_peer_is_found_by_the_check_too() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(B, true);
    pair.run(LATENCY * 2);
    pair.report(A, LINK);
    assert!(time_until_down(&mut pair) <= AT_MOST);
}

#[test]
fn forged_reports_do_not_hide_for_long_that_the_peer_is_gone() {
    let mut pair = Pair::up(1, Policy::Passive);
    forge(&mut pair, Duration::from_millis(100), Duration::from_secs(20));
    assert!(is_up(&pair));
    pair.gone[B] = true;
    let start = pair.now;
    while is_up(&pair) {
        forge(&mut pair, Duration::from_millis(100), TICK);
    }
    assert!(pair.now - start <= Duration::from_millis(1200), "{:?}", pair.now - start);
}

#[test]
fn one_answer_among_lost_pings_is_enough() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(B, true);
    pair.run(LATENCY * 2);
    pair.report(A, LINK);
    pair.run(Duration::from_millis(140));
    // Only the last ping is answered.
    pair.set_cut(B, false);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.status(A, LINK).stats.down_count, 0);
}

#[test]
fn a_slow_path_has_more_time_to_answer() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.latency = Duration::from_millis(200);
    pair.run(Duration::from_secs(10));
    forge(&mut pair, Duration::from_millis(500), Duration::from_secs(20));
    assert_eq!(pair.status(A, LINK).stats.down_count, 0, "{:?}", pair.status(A, LINK));
}

#[test]
fn a_report_about_another_address_port_or_socket_checks_nothing() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.set_cut(B, true);
    let (port, other) = (SocketAddr::new(address(B, LINK).ip(), 9), address(A, LINK));
    let elsewhere = [(socket(LINK), port), (socket(LINK), other), (SocketId(5), address(B, LINK))];
    for (socket, destination) in elsewhere {
        let before = pings(&pair);
        pair.engines[A].handle_transport_error(pair.now, socket, destination, REFUSED);
        pair.drain(A);
        assert_eq!(pings(&pair), before, "{destination}");
    }
    let before = pings(&pair);
    pair.report(A, LINK);
    assert_eq!(pings(&pair), before + 1);
}

#[test]
fn a_check_whose_pings_cannot_leave_reports_why() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(B, true);
    pair.run(LATENCY * 2);
    pair.report(A, LINK);
    while is_up(&pair) {
        pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, ENETUNREACH);
        pair.run(TICK);
    }
    let reason = DownReason::TransportError { errno: ENETUNREACH };
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(reason));
}

/// The kernel returns what an ICMP message left behind to whatever is sent next.
#[test]
fn a_refusal_that_the_network_may_have_caused_is_a_report_like_others() {
    for errno in [REFUSED, 112, 64] {
        let mut pair = Pair::up(2, Policy::Passive);
        for _ in 0..10_000 {
            pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, errno);
            pair.drain(A);
            pair.run(TICK);
        }
        assert_eq!(pair.status(A, LINK).stats.down_count, 0, "errno {errno}");
        pair.set_cut(B, true);
        pair.run(LATENCY * 2);
        pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, errno);
        assert!(time_until_down(&mut pair) <= Duration::from_millis(1200));
    }
}

#[test]
fn a_process_that_was_stopped_during_a_check_starts_it_over() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.report(A, LINK);
    // The answer waits in the socket, but the timers are served first.
    pair.now += Duration::from_secs(10);
    pair.engines[A].handle_timeout(pair.now);
    pair.drain(A);
    assert!(is_up(&pair));
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.status(A, LINK).stats.down_count, 0);
    // It does end.
    pair.set_cut(B, true);
    pair.run(LATENCY * 2);
    pair.report(A, LINK);
    pair.now += Duration::from_secs(10);
    pair.engines[A].handle_timeout(pair.now);
    pair.drain(A);
    assert!(time_until_down(&mut pair) <= AT_MOST);
}

#[test]
fn a_link_that_is_down_reports_the_reason_unless_its_peer_has_answered() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.report(A, LINK);
    assert_eq!(pair.status(A, LINK).state, LinkState::Down(DownReason::Disabled));
    pair.enable(A);
    pair.report(A, LINK);
    let refused = LinkState::Down(DownReason::TransportError { errno: REFUSED });
    assert_eq!(pair.status(A, LINK).state, refused);
    pair.run(LATENCY * 2);
    let before = pair.status(A, LINK).state;
    pair.engines[A].handle_transport_error(pair.now, socket(LINK), address(B, LINK), ENETUNREACH);
    assert_eq!(pair.status(A, LINK).state, before);
}

/// A driver whose timers come a little late again and again, as on a busy machine.
#[test]
fn a_check_waits_for_its_answers_on_a_busy_machine_too() {
    let mut now = Instant::now();
    let mut engine = Engine::new(now, &EngineConfig { host: HOSTS[A], cookie_key: [0; 16] });
    let path = LinkPath { socket: socket(LINK), remote: address(B, LINK) };
    engine.add_host(HOSTS[B]).unwrap();
    engine.add_link(now, HOSTS[B], LINK, path).unwrap();
    engine.set_pong_count(HOSTS[B], LINK, 1).unwrap();
    engine.set_link_enabled(now, HOSTS[B], LINK, true).unwrap();
    answer(&mut engine, now, path, HOSTS[B]);
    now += Duration::from_millis(10);
    engine.handle_transport_error(now, path.socket, path.remote, REFUSED);
    let mut sent = 0;
    while engine.link_status(now, HOSTS[B], LINK).unwrap().state.is_up() {
        now = engine.poll_timeout().unwrap() + Duration::from_millis(90);
        engine.handle_timeout(now);
        sent += std::iter::from_fn(|| engine.poll_transmit()).filter(Transmit::is_ping).count();
    }
    assert!(sent >= 4, "down after {sent} pings");
}

/// Answers the first ping that is due.
fn answer(engine: &mut Engine, now: Instant, path: LinkPath, from: HostId) {
    let ping = engine.poll_transmit().unwrap();
    let knet_wire::Body::Ping(ping) = knet_wire::Packet::decode(ping.packet()).unwrap().body else {
        panic!("no ping")
    };
    let meta = DatagramMeta { socket: path.socket, source: path.remote, local: None };
    let _ = engine.handle_datagram(now, meta, &ping.encode_pong(from));
}
