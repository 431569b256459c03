//! Dynamic links: their peers are found and followed, and forged packets do not mislead them.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use knet_engine::{
    DownReason, Engine, Event, LinkError, LinkKind, LinkPeer, LinkState, LinkStatus,
};
use knet_wire::{Body, Fragment, HostId, IpVersion, LinkId, Packet, Ping, Pmtu};
use pair::{A, B, HOSTS, LINK, Pair, REFUSED, address, data, number, path, socket};

/// Two hosts of which `B` has found `A`.
fn found() -> Pair {
    let mut pair = Pair::dynamic();
    pair.enable(A);
    pair.enable(B);
    pair.run(Duration::from_secs(8));
    assert!(pair.status(A, LINK).state.is_up());
    assert!(pair.status(B, LINK).state.is_up());
    for at in [A, B] {
        pair.events[at].clear();
    }
    assert!(pair.astray.is_empty());
    pair
}

/// A packet that claims to be `A`'s ping.
fn ping() -> Vec<u8> {
    let ping = Ping { link: LINK, cookie: *b"what was written", sequence: number(7), timed: true };
    ping.encode_ping(HOSTS[A]).to_vec()
}

fn elsewhere(port: u16) -> SocketAddr {
    ([10, 7, 7, 7], port).into()
}

fn same_ip(port: u16) -> SocketAddr {
    (address(A, LINK).ip(), port).into()
}

fn known(status: &LinkStatus) -> (bool, Option<SocketAddr>) {
    (status.peer_known, status.remote)
}

#[test]
fn nothing_is_sent_before_the_peer_has_spoken() {
    let mut pair = Pair::dynamic();
    pair.enable(B);
    pair.run(Duration::from_secs(3600));
    let status = pair.status(B, LINK);
    assert_eq!(status.kind, LinkKind::Dynamic);
    assert_eq!(status.state, LinkState::Down(DownReason::NoPeerYet));
    assert_eq!(status.state.to_string(), "down: no packet from the peer yet");
    assert_eq!(known(&status), (false, None));
    assert_eq!(status.stats.tx_ping_packets, 0);
    assert_eq!(pair.engines[B].poll_timeout(), None);
    pair.engines[B].force_pings(pair.now);
    assert!(pair.engines[B].poll_transmit().is_none());
}

#[test]
fn the_peer_is_found_where_it_speaks_from_and_data_flows_both_ways() {
    let mut pair = found();
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    assert!(pair.reachable(A) && pair.reachable(B));
    pair.send(A, b"to the one who waited");
    pair.send(B, b"to the one who spoke");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), [b"to the one who waited"]);
    assert_eq!(pair.take_delivered(A), [b"to the one who spoke"]);
    pair.run(Duration::from_secs(30));
    assert!(pair.status(B, LINK).path_mtu.is_some(), "its path MTU is found too");
}

#[test]
fn a_ping_is_asked_back_with_as_many_bytes_before_it_is_believed_or_answered() {
    let mut pair = Pair::dynamic();
    pair.enable(B);
    for port in 1..=100 {
        pair.arrive_from(B, socket(LINK), elsewhere(port), &ping());
        assert_eq!(known(&pair.status(B, LINK)), (false, None));
    }
    assert_eq!(pair.astray.len(), 100);
    for (port, (to, packet)) in (1..).zip(&pair.astray) {
        assert_eq!((*to, packet.len()), (elsewhere(port), ping().len()));
        assert!(matches!(Packet::decode(packet).unwrap().body, Body::Ping(_)));
    }
    // And that was all: there is no peer that it would ping again.
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.astray.len(), 100);
}

#[test]
fn the_ping_by_which_the_peer_is_found_gets_its_pong() {
    let mut pair = Pair::dynamic();
    pair.enable(B);
    pair.enable(A);
    // Long before A would ping a second time.
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.status(A, LINK).good_pongs, 1);
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    assert_eq!(pair.status(B, LINK).state, LinkState::Down(DownReason::NoPongYet));
}

#[test]
fn a_peer_that_moves_is_followed_without_the_link_going_down() {
    for new in [elsewhere(5405), same_ip(9)] {
        let mut pair = found();
        pair.move_to(A, new);
        pair.run(Duration::from_secs(2));
        assert_eq!(known(&pair.status(B, LINK)), (true, Some(new)));
        let events = pair.take_events(B);
        let [Event::Address(moved)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((moved.host, moved.link), (HOSTS[A], LINK));
        assert_eq!((moved.from, moved.to), (address(A, LINK), new));
        assert!(!moved.contested && moved.suppressed == 0);
        assert_eq!(pair.status(B, LINK).stats.moves, 1);
        assert!(pair.events[A].is_empty(), "{:?}", pair.events[A]);
        pair.astray.clear();
        pair.send(A, b"from the new place");
        pair.send(B, b"to the new place");
        assert_eq!(pair.routes[B].get(HOSTS[A]).unwrap().links()[0].path.unwrap().remote, new);
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.take_delivered(B), [b"from the new place"]);
        assert_eq!(pair.take_delivered(A), [b"to the new place"]);
        assert!(pair.astray.is_empty(), "nothing goes to the old place");
        assert_eq!(pair.status(B, LINK).stats.down_count, 0);
    }
}

#[test]
fn two_machines_with_one_id_are_counted_and_reported_with_both_addresses() {
    let mut pair = found();
    let places = [elsewhere(5405), address(A, LINK)];
    // Each pings once per second, so the link moves twice.
    for turn in 0..60 {
        pair.move_to(A, places[turn % 2]);
        let sequence = pair.engines[A].sequence().current();
        let ping = Ping { link: LINK, cookie: [0; 16], sequence, timed: true };
        pair.arrive_from(B, socket(LINK), places[turn % 2], &ping.encode_ping(HOSTS[A]));
        pair.run(Duration::from_millis(500));
    }
    assert_eq!(pair.status(B, LINK).stats.moves, 60);
    let mut reported = 0;
    let events = pair.take_events(B);
    for (n, event) in events.iter().enumerate() {
        let Event::Address(event) = event else { panic!("{event:?}") };
        assert_eq!(event.contested, n > 0, "{event:?}");
        assert!(places.contains(&event.from) && places.contains(&event.to), "{event:?}");
        assert_ne!(event.from, event.to);
        reported += 1 + event.suppressed;
    }
    assert!((29..=31).contains(&events.len()), "{} events in 30 s", events.len());
    assert!((59..=60).contains(&reported), "the last one may not be reported yet");
}

#[test]
fn the_path_mtu_is_searched_anew_where_the_peer_moved_to() {
    for (new, at_once) in [(elsewhere(5405), 576), (same_ip(9), 1500)] {
        let mut pair = Pair::dynamic();
        pair.mtu = 1500;
        pair.enable(A);
        pair.enable(B);
        pair.run(Duration::from_secs(20));
        let status = pair.status(B, LINK);
        assert_eq!((status.path_mtu, status.searching_mtu), (Some(1500), false));

        pair.move_to(A, new);
        pair.mtu = 9000;
        let moved = pair.now;
        while pair.status(B, LINK).remote != Some(new) {
            pair.run(Duration::from_millis(1));
        }
        let status = pair.status(B, LINK);
        assert!(status.searching_mtu);
        // The way to another address may be narrower, that to another port is not.
        assert_eq!(status.path_mtu.unwrap_or(576), at_once);
        assert_eq!(status.data_mtu, at_once - 54);
        // Long before the search that is due each minute.
        pair.run(Duration::from_secs(10));
        assert!(pair.now - moved < Duration::from_secs(40));
        assert_eq!(pair.status(B, LINK).path_mtu, Some(9000));
    }
}

#[test]
fn forged_packets_of_every_kind_move_nothing() {
    let mut pair = found();
    let forger = elsewhere(666);
    let pong = Ping { link: LINK, cookie: [7; 16], sequence: number(1), timed: true };
    let pmtu = Pmtu { link: LINK, cookie: [0xdc, 5] };
    let mut probe = [0; 60];
    pmtu.encode_probe(HOSTS[A], &mut probe).unwrap();
    for packet in [
        ping(),
        pong.encode_pong(HOSTS[A]).to_vec(),
        probe.to_vec(),
        pmtu.encode_reply(HOSTS[A]).to_vec(),
        data(A, number(1), Fragment::Whole, 0, b"forged"),
    ] {
        pair.arrive_from(B, socket(LINK), forger, &packet);
    }
    let drops = pair.engines[B].drops();
    assert_eq!((drops.forged_pong, drops.wrong_source), (1, 3));
    let [(to, packet)] = &pair.astray[..] else { panic!("only the ping is asked back") };
    assert_eq!((*to, packet.len()), (forger, ping().len()));
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    pair.run(Duration::from_secs(10));
    assert!(pair.delivered[B].is_empty());
    let reported = pair.take_events(B);
    assert!(reported.iter().all(|event| matches!(event, Event::Rejected(_))), "{reported:?}");
    assert_eq!(pair.astray.len(), 1);
}

#[test]
fn a_pong_speaks_only_for_the_address_that_was_asked() {
    let mut pair = found();
    pair.arrive_from(B, socket(LINK), elsewhere(1), &ping());
    let (_, question) = pair.astray.pop().unwrap();
    let Body::Ping(question) = Packet::decode(&question).unwrap().body else { panic!("no ping") };
    let pong = question.encode_pong(HOSTS[A]);
    // A host that sees the ping may answer it, but only for its own address.
    pair.arrive_from(B, socket(LINK), elsewhere(2), &pong);
    pair.arrive(B, LINK, &pong);
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    assert_eq!(pair.engines[B].drops().forged_pong, 2);
    pair.arrive_from(B, socket(LINK), elsewhere(1), &pong);
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(elsewhere(1))));
    // A later duplicate of it moves nothing back.
    pair.run(Duration::from_secs(2));
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    pair.arrive_from(B, socket(LINK), elsewhere(1), &pong);
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(address(A, LINK))));
    assert_eq!(pair.engines[B].drops().unexpected, 1);
}

#[test]
fn an_answer_that_is_too_late_teaches_nothing() {
    let mut pair = Pair::dynamic();
    pair.enable(B);
    pair.arrive_from(B, socket(LINK), elsewhere(1), &ping());
    let (_, question) = pair.astray.pop().unwrap();
    let Body::Ping(question) = Packet::decode(&question).unwrap().body else { panic!("no ping") };
    pair.run(Duration::from_millis(2001));
    pair.arrive_from(B, socket(LINK), elsewhere(1), &question.encode_pong(HOSTS[A]));
    assert_eq!(known(&pair.status(B, LINK)), (false, None));
}

#[test]
fn a_link_that_goes_down_waits_for_its_peer_to_speak_again() {
    let mut pair = found();
    let known_at = address(A, LINK);
    pair.set_cut(A, true);
    pair.run(Duration::from_secs(10));
    let status = pair.status(B, LINK);
    assert!(matches!(status.state, LinkState::Down(DownReason::PongTimeout { .. })));
    assert_eq!(known(&status), (false, Some(known_at)));
    let pings = status.stats.tx_ping_packets;
    pair.run(Duration::from_secs(600));
    assert_eq!(pair.status(B, LINK).stats.tx_ping_packets, pings, "no ping leaves meanwhile");

    pair.move_to(A, elsewhere(5405));
    pair.set_cut(A, false);
    pair.run(Duration::from_secs(10));
    assert_eq!(known(&pair.status(B, LINK)), (true, Some(elsewhere(5405))));
    assert!(pair.status(B, LINK).state.is_up());
}

#[test]
fn a_refusal_by_the_peers_machine_takes_the_link_down_and_a_new_process_is_found() {
    let mut pair = found();
    pair.gone[A] = true;
    pair.report(B, LINK);
    pair.run(Duration::from_millis(250));
    let status = pair.status(B, LINK);
    assert_eq!(status.state, LinkState::Down(DownReason::TransportError { errno: REFUSED }));
    assert_eq!(known(&status), (false, Some(address(A, LINK))));
    pair.restart(A);
    pair.run(Duration::from_secs(10));
    assert!(pair.status(B, LINK).state.is_up());
}

#[test]
fn a_disabled_link_answers_and_looks_for_no_peer() {
    let mut pair = Pair::dynamic();
    pair.mtu = 1500;
    pair.enable(A);
    pair.run(Duration::from_secs(20));
    assert!(pair.status(A, LINK).state.is_up(), "pings are answered");
    assert_eq!(pair.status(A, LINK).path_mtu, Some(1500), "and probes");
    assert_eq!(pair.engines[B].drops().wrong_source, 0);
    let status = pair.status(B, LINK);
    assert_eq!(known(&status), (false, None));
    assert_eq!(status.stats.tx_ping_packets, 0);
    assert!(status.stats.rx_ping_packets >= 5);
    pair.enable(B);
    pair.run(Duration::from_secs(10));
    assert!(pair.status(B, LINK).state.is_up());

    pair.engines[B].set_link_enabled(pair.now, HOSTS[A], LINK, false).unwrap();
    pair.drain(B);
    assert_eq!(known(&pair.status(B, LINK)), (false, Some(address(A, LINK))));
}

#[test]
fn a_link_is_spoken_for_through_its_own_socket_only() {
    let mut pair = Pair::dynamic();
    pair.enable(B);
    pair.arrive_from(B, socket(LinkId::ALL[1]), address(A, LINK), &ping());
    assert_eq!(pair.engines[B].drops().wrong_source, 1);
    assert!(pair.flying.is_empty());
}

#[test]
fn static_and_dynamic_links_do_not_share_a_socket() {
    let mut pair = Pair::dynamic();
    let other = HostId::new(77);
    pair.engines[B].add_host(other).unwrap();
    let add = |engine: &mut Engine, link: usize, peer: LinkPeer| {
        engine.add_link(pair.now, other, LinkId::ALL[link], peer)
    };
    let engine = &mut pair.engines[B];
    let error = add(engine, 0, path(A, LINK).into()).unwrap_err();
    assert_eq!(error, LinkError::SharedSocket { host: HOSTS[A], link: LINK });
    assert_eq!(error.errno(), 22);
    add(engine, 0, LinkPeer::dynamic(socket(LINK), IpVersion::V4)).unwrap();
    add(engine, 1, path(A, LinkId::ALL[1]).into()).unwrap();
    let error = add(engine, 2, LinkPeer::dynamic(socket(LinkId::ALL[1]), IpVersion::V4));
    assert_eq!(error, Err(LinkError::SharedSocket { host: other, link: LinkId::ALL[1] }));
}
