//! Why a link is down: the reason is replaced as soon as later evidence contradicts it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pair;

use std::time::Duration;

use knet_engine::{DownReason, LinkState, Policy};
use knet_wire::{HostId, LinkId, PING_LEN, Ping, SequenceNumber};
use pair::{A, B, HOSTS, LINK, Pair, address, socket};

const EPERM: i32 = 1;
const ENETUNREACH: i32 = 101;
const ECONNREFUSED: i32 = 111;

/// Reports to `A` that nothing listens at the address of `B`.
fn refuse(pair: &mut Pair) {
    let (now, to) = (pair.now, address(B, LINK));
    pair.engines[A].handle_transport_error(now, socket(LINK), to, ECONNREFUSED);
    pair.drain(A);
}

/// Returns the state of `A`'s link.
fn state(pair: &Pair) -> LinkState {
    pair.status(A, LINK).state
}

fn error(errno: i32) -> LinkState {
    LinkState::Down(DownReason::TransportError { errno })
}

const WAITING: LinkState = LinkState::Down(DownReason::NoPongYet);

/// Returns two hosts of which only `A` has enabled its link, and was refused.
fn refused() -> Pair {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.set_cut(A, true);
    pair.enable(A);
    refuse(&mut pair);
    assert_eq!(state(&pair), error(ECONNREFUSED));
    pair
}

#[test]
fn a_peer_that_was_refused_at_first_is_heard_later() {
    let mut pair = refused();
    pair.enable(B);
    // Its pings arrive. Ours do not, so there are no pongs.
    pair.run(Duration::from_millis(10));
    assert_eq!(state(&pair), WAITING);
    // The peer's process ends.
    refuse(&mut pair);
    assert_eq!(state(&pair), error(ECONNREFUSED));
}

#[test]
fn a_peer_at_another_port_does_not_contradict_that_nothing_listens() {
    let mut pair = refused();
    let mut elsewhere = address(B, LINK);
    elsewhere.set_port(1);
    pair.arrive_from(A, socket(LINK), elsewhere, &ping_of(HOSTS[B], LINK));
    assert_eq!(pair.status(A, LINK).stats.rx_ping_packets, 1);
    assert_eq!(state(&pair), error(ECONNREFUSED));
}

#[test]
fn a_refusal_that_is_not_repeated_gives_way_to_silence() {
    let mut pair = refused();
    for _ in 0..20 {
        pair.run(Duration::from_secs(1));
        refuse(&mut pair);
    }
    // Routers limit their reports: a few of them may be missing.
    pair.run(Duration::from_secs(3));
    assert_eq!(state(&pair), error(ECONNREFUSED));
    pair.run(Duration::from_secs(10));
    assert_eq!(state(&pair), WAITING);
}

#[test]
fn pings_that_cannot_leave_are_the_reason_even_while_the_peer_is_heard() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.set_cut(A, true);
    pair.enable(A);
    pair.engines[A].handle_ping_refused(pair.now, HOSTS[B], LINK, EPERM);
    pair.enable(B);
    // Before the next ping leaves.
    pair.run(Duration::from_millis(100));
    assert!(pair.status(A, LINK).stats.rx_ping_packets > 0);
    stray(&mut pair, HostId::new(9), LINK);
    assert_eq!(state(&pair), error(EPERM));
}

#[test]
fn a_pong_ends_any_reason_that_denies_it() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(30));
    let LinkState::Down(DownReason::PongTimeout { .. }) = state(&pair) else {
        panic!("{:?}", state(&pair))
    };
    pair.set_cut(B, false);
    pair.run(Duration::from_millis(1100));
    let status = pair.status(A, LINK);
    assert!(status.good_pongs > 0, "{status:?}");
    assert_eq!(status.state, WAITING);
    assert!(status.state_age > Duration::from_secs(20), "down since its first reason");
}

#[test]
fn a_ping_does_not_contradict_a_pong_timeout() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.set_cut(A, true);
    pair.run(Duration::from_secs(30));
    let before = state(&pair);
    assert!(matches!(before, LinkState::Down(DownReason::PongTimeout { .. })), "{before:?}");
    pair.run(Duration::from_secs(5));
    assert!(pair.status(A, LINK).stats.rx_ping_packets > 0);
    assert_eq!(state(&pair), before);
}

/// Returns a ping of this host for this link.
#[test]
fn an_own_address_that_is_lost_is_the_reason_until_the_peer_is_heard() {
    let own = "10.0.0.9".parse().unwrap();
    let lost = LinkState::Down(DownReason::OwnAddressLost { address: own });
    let mut pair = Pair::new(1, Policy::Passive);
    pair.enable(A);
    pair.enable(B);
    pair.run(Duration::from_secs(10));
    assert!(state(&pair).is_up());
    pair.engines[A].handle_own_address_lost(HOSTS[B], LINK, Some(own));
    pair.run(Duration::from_secs(5));
    assert!(state(&pair).is_up(), "pongs come");
    pair.set_cut(A, true);
    pair.set_cut(B, true);
    pair.engines[A].handle_own_address_lost(HOSTS[B], LINK, Some(own));
    pair.run(Duration::from_secs(60));
    assert_eq!(state(&pair), lost);
    let now = pair.now;
    pair.engines[A].handle_ping_refused(now, HOSTS[B], LINK, ENETUNREACH);
    assert_eq!(state(&pair), lost);
    pair.engines[A].handle_own_address_lost(HOSTS[B], LINK, None);
    pair.engines[A].handle_ping_refused(now, HOSTS[B], LINK, ENETUNREACH);
    assert_eq!(state(&pair), error(ENETUNREACH), "the address is back, and the network is not");

    pair.engines[A].handle_own_address_lost(HOSTS[B], LINK, Some(own));
    pair.engines[A].handle_ping_refused(now, HOSTS[B], LINK, ENETUNREACH);
    assert_eq!(state(&pair), lost);
    pair.set_cut(A, false);
    pair.set_cut(B, false);
    pair.run(Duration::from_secs(20));
    assert!(state(&pair).is_up());
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(60));
    assert!(matches!(state(&pair), LinkState::Down(DownReason::PongTimeout { .. })));
}

fn ping_of(host: HostId, link: LinkId) -> [u8; PING_LEN] {
    Ping { link, cookie: [0; 16], sequence: SequenceNumber::ZERO, timed: true }.encode_ping(host)
}

/// Lets `A` receive a ping of this host for this link from the address of `B`'s first link.
fn stray(pair: &mut Pair, host: HostId, link: LinkId) {
    // Not each of many strays is examined.
    pair.run(Duration::from_millis(50));
    pair.arrive_from(A, socket(LINK), address(B, LINK), &ping_of(host, link));
}

#[test]
fn a_peer_with_another_id_or_another_order_of_links_is_the_reason() {
    let second = LinkId::ALL[1];
    for links in [1, 2] {
        let mut pair = Pair::new(links, Policy::Passive);
        pair.set_cut(A, true);
        pair.enable(A);
        refuse(&mut pair);
        stray(&mut pair, HostId::new(9), LINK);
        let wrong_host = LinkState::Down(DownReason::WrongHost { host: HostId::new(9) });
        assert_eq!(state(&pair), wrong_host);
        assert_eq!(wrong_host.to_string(), "down: the peer says that it is host 9");

        // Whether there is a second link or not.
        stray(&mut pair, HOSTS[B], second);
        let wrong_link = LinkState::Down(DownReason::WrongLink { link: second });
        assert_eq!(state(&pair), wrong_link);
        assert_eq!(wrong_link.to_string(), "down: the peer sends link 1 instead");
        if links == 2 {
            assert_eq!(pair.status(A, second).state, WAITING, "nothing came from its address");
        }

        // The configuration of the peer is corrected.
        pair.set_cut(A, false);
        pair.enable(B);
        pair.run(Duration::from_secs(10));
        assert!(state(&pair).is_up());
    }
}

#[test]
fn strays_change_no_link_that_is_up_disabled_or_elsewhere() {
    let mut pair = Pair::up(1, Policy::Passive);
    stray(&mut pair, HostId::new(9), LINK);
    assert_eq!(state(&pair), LinkState::Up);
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    stray(&mut pair, HostId::new(9), LINK);
    assert_eq!(state(&pair), LinkState::Down(DownReason::Disabled));
    pair.enable(A);
    let mut elsewhere = address(B, LINK);
    elsewhere.set_port(1);
    pair.arrive_from(A, socket(LINK), elsewhere, &ping_of(HostId::new(9), LINK));
    assert_eq!(state(&pair), WAITING);
}

#[test]
fn a_stray_that_is_not_repeated_gives_way_to_silence() {
    let mut pair = refused();
    stray(&mut pair, HostId::new(9), LINK);
    pair.run(Duration::from_secs(20));
    assert_eq!(state(&pair), WAITING);
}
