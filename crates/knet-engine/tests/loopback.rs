//! Loopback links: up while they are enabled, without a packet.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::{Duration, Instant};

use knet_engine::{
    DatagramMeta, DownReason, Engine, EngineConfig, Event, LinkError, LinkKind, LinkPeer,
    LinkState, RejectionReason,
};
use knet_wire::{HostId, LinkId, MAX_MESSAGE, Ping};
use pair::{B, HOSTS, LINK, number, path, socket};

const OWN: HostId = HOSTS[0];

fn engine() -> (Engine, Instant) {
    let now = Instant::now();
    let mut engine = Engine::new(now, &EngineConfig { host: OWN, cookie_key: [0; 16] });
    engine.add_host(OWN).unwrap();
    (engine, now)
}

fn events(engine: &mut Engine) -> Vec<Event> {
    std::iter::from_fn(|| engine.poll_event()).collect()
}

#[test]
fn we_are_reachable_while_the_link_is_enabled() {
    let (mut engine, now) = engine();
    let link = LinkId::ALL[5];
    let least = engine.data_mtu();
    engine.add_link(now, OWN, link, LinkPeer::Loopback).unwrap();
    assert!(!engine.host_status(OWN).unwrap().reachable);
    for round in 1..=2 {
        engine.set_link_enabled(now, OWN, link, true).unwrap();
        assert!(engine.host_status(OWN).unwrap().reachable);
        let status = engine.link_status(now, OWN, link).unwrap();
        assert_eq!((status.kind, status.state), (LinkKind::Loopback, LinkState::Up));
        assert_eq!((status.socket, status.remote, status.peer_known), (None, None, true));
        assert_eq!(status.data_mtu, MAX_MESSAGE);
        let routes = engine.poll_routes().unwrap();
        let [route] = routes.get(OWN).unwrap().links() else { panic!("one link") };
        assert_eq!((route.link, route.path), (link, None));
        assert_eq!(engine.data_mtu(), least, "it does not limit packets");
        let reported = events(&mut engine);
        assert!(
            reported.iter().any(|e| matches!(e, Event::Host(host) if host.reachable)),
            "{reported:?}"
        );

        // Nothing to send and nothing to wait for, ever.
        assert_eq!(engine.poll_timeout(), None);
        engine.handle_timeout(now + Duration::from_secs(3600));
        engine.force_pings(now);
        assert!(engine.poll_transmit().is_none());

        engine.set_link_enabled(now, OWN, link, false).unwrap();
        assert!(engine.poll_routes().unwrap().is_empty());
        let status = engine.link_status(now, OWN, link).unwrap();
        assert_eq!(status.state, LinkState::Down(DownReason::Disabled));
        assert_eq!((status.stats.up_count, status.stats.down_count), (round, round));
        events(&mut engine);
    }
    assert_eq!(engine.clear_link(OWN, link), Ok(LinkPeer::Loopback));
}

#[test]
fn it_is_a_link_to_ourselves_and_the_only_one() {
    let (mut engine, now) = engine();
    engine.add_host(HOSTS[B]).unwrap();
    let mut add = |host, link: usize, peer| engine.add_link(now, host, LinkId::ALL[link], peer);
    let udp = LinkPeer::from(path(B, LINK));
    let elsewhere = LinkError::LoopbackElsewhere { host: HOSTS[B] };
    let not_alone = LinkError::LoopbackNotAlone { host: OWN, link: LinkId::ALL[3] };
    assert_eq!(add(HOSTS[B], 0, LinkPeer::Loopback), Err(elsewhere.clone()));
    add(OWN, 3, udp).unwrap();
    for link in [0, 3, 4] {
        assert_eq!(add(OWN, link, LinkPeer::Loopback), Err(not_alone.clone()));
    }
    engine.clear_link(OWN, LinkId::ALL[3]).unwrap();
    let mut add = |host, link: usize, peer| engine.add_link(now, host, LinkId::ALL[link], peer);
    add(OWN, 3, LinkPeer::Loopback).unwrap();
    for (link, peer) in [(0, udp), (3, udp), (3, LinkPeer::Loopback), (7, LinkPeer::Loopback)] {
        assert_eq!(add(OWN, link, peer), Err(not_alone.clone()));
    }
    // Links to others are none of its business.
    add(HOSTS[B], 3, udp).unwrap();
    assert_eq!((elsewhere.errno(), not_alone.errno()), (22, 22));
}

#[test]
fn packets_from_outside_are_rejected() {
    let (mut engine, now) = engine();
    engine.add_link(now, OWN, LINK, LinkPeer::Loopback).unwrap();
    engine.set_link_enabled(now, OWN, LINK, true).unwrap();
    engine.set_access_lists(false);
    events(&mut engine);
    let ping = Ping { link: LINK, cookie: [0; 16], sequence: number(1), timed: true };
    let arrival =
        DatagramMeta { socket: socket(LINK), source: ([127, 0, 0, 1], 5405).into(), local: None };
    for packet in [ping.encode_ping(OWN), ping.encode_pong(OWN)] {
        let _ = engine.handle_datagram(now, arrival, &packet);
    }
    assert_eq!(engine.drops().wrong_source, 2);
    assert!(engine.poll_transmit().is_none());
    let [Event::Rejected(rejection)] = &events(&mut engine)[..] else { panic!("one rejection") };
    assert_eq!(rejection.reason, RejectionReason::WrongSource(OWN, Some(LINK)));
}
