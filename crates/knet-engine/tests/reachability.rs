//! Reachability of hosts, and the links that messages take.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::Duration;

use knet_engine::{DatagramMeta, Engine, EngineConfig, Event, Policy};
use knet_wire::{Body, LinkId, Packet};
use pair::{A, B, HOSTS, LINK, Pair};

fn host_events(events: &[Event]) -> Vec<bool> {
    let reachable = |event: &Event| match event {
        Event::Host(host) => Some(host.reachable),
        _ => None,
    };
    events.iter().filter_map(reachable).collect()
}

/// The links that each of six messages takes, by number.
fn six_messages(pair: &mut Pair) -> Vec<Vec<u8>> {
    (0..6).map(|_| pair.send(A, b"six").into_iter().map(LinkId::get).collect()).collect()
}

#[test]
fn messages_take_the_links_that_were_measured_with_libknet() {
    // Three links of priorities 1, 5, 5 and six messages.
    let expected: [(Policy, [&[u8]; 6]); 3] = [
        (Policy::Passive, [&[1]; 6]),
        (Policy::Active, [&[0, 1, 2]; 6]),
        (Policy::RoundRobin, [&[0], &[1], &[2], &[0], &[1], &[2]]),
    ];
    for (policy, links) in expected {
        let mut pair = Pair::up(3, Policy::Passive);
        for (link, priority) in pair.links().zip([1, 5, 5]) {
            pair.engines[A].set_priority(pair.now, HOSTS[B], link, priority).unwrap();
        }
        pair.engines[A].set_policy(pair.now, HOSTS[B], policy).unwrap();
        pair.drain(A);
        assert_eq!(six_messages(&mut pair), links, "{policy}");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.take_delivered(B).len(), 6, "{policy}");
    }
}

#[test]
fn round_robin_sends_all_fragments_of_a_message_on_one_link() {
    let mut pair = Pair::up(2, Policy::RoundRobin);
    let message = [7; 2000];
    for link in [0, 1, 0] {
        assert_eq!(pair.send(A, &message), [LinkId::ALL[link]; 4]);
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), vec![message; 3]);
}

#[test]
fn passive_moves_to_the_next_link_when_its_link_fails_and_back_when_it_recovers() {
    let mut pair = Pair::up(2, Policy::Passive);
    assert_eq!(pair.send(A, b"1"), [LINK]);
    pair.cut[A][0] = true;
    pair.run(Duration::from_secs(15));
    assert_eq!(pair.send(A, b"2"), [LinkId::ALL[1]]);
    assert_eq!(host_events(&pair.events[A]), [], "the host was reachable all the time");
    pair.cut[A][0] = false;
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.send(A, b"3"), [LINK]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), [b"1", b"2", b"3"]);
}

#[test]
fn a_host_is_lost_with_its_last_link_only() {
    let mut pair = Pair::up(2, Policy::RoundRobin);
    pair.cut[B][0] = true;
    pair.run(Duration::from_secs(15));
    assert_eq!(host_events(&pair.events[A]), []);
    pair.cut[B][1] = true;
    pair.run(Duration::from_secs(15));
    assert_eq!(host_events(&pair.events[A]), [false]);
    assert!(pair.routes[A].is_empty());
    pair.cut[B][1] = false;
    pair.run(Duration::from_secs(10));
    assert_eq!(host_events(&pair.events[A]), [false, true]);
}

#[test]
fn data_brings_a_link_up_that_has_answered_once() {
    // A wants one pong, B five: A is first to find the other reachable.
    let mut pair = Pair::new(1, Policy::Passive);
    pair.engines[A].set_pong_count(HOSTS[B], LINK, 1).unwrap();
    pair.enable(A);
    pair.run(Duration::from_millis(500));
    assert!(pair.reachable(A) && !pair.reachable(B));

    // B has had no pong yet: this could be from anybody.
    pair.cut[A][0] = true;
    pair.enable(B);
    pair.run(Duration::from_millis(100));
    let packets = pair.packets(A, b"early");
    pair.arrive(B, LINK, &packets[0].1);
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
    assert_eq!(pair.engines[B].drops().not_reachable, 1);

    pair.cut[A][0] = false;
    pair.run(Duration::from_secs(1));
    assert_eq!((pair.reachable(B), pair.status(B, LINK).good_pongs), (false, 1));
    pair.send(A, b"found");
    pair.run(Duration::from_millis(1));
    assert_eq!(pair.take_delivered(B), [b"found"]);
    assert_eq!(host_events(&pair.events[B]), [true]);
    assert!(pair.routes[B].get(HOSTS[A]).is_some());
}

#[test]
fn data_does_not_bring_a_disabled_link_up() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.engines[B].set_link_enabled(pair.now, HOSTS[A], LINK, false).unwrap();
    pair.send(A, b"to no host");
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), Vec::<Vec<u8>>::new());
    assert!(!pair.reachable(B));
}

#[test]
fn the_mtu_of_a_host_is_that_of_its_narrowest_link_in_use() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.mtu = 1500;
    let data_mtu = |pair: &Pair| pair.routes[A].get(HOSTS[B]).unwrap().data_mtu();
    // 576 minus 28 bytes of IP and UDP and 26 of header.
    assert_eq!((data_mtu(&pair), pair.engines[A].data_mtu()), (522, 522));
    pair.engines[A].set_manual_mtu(pair.now, Some(1500)).unwrap();
    pair.drain(A);
    assert_eq!((data_mtu(&pair), pair.engines[A].data_mtu()), (1446, 1446));
    assert_eq!(pair.send(A, &[1; 1447]).len(), 2 * 2);
    pair.engines[A].set_manual_mtu(pair.now, None).unwrap();
    pair.drain(A);
    assert_eq!(data_mtu(&pair), 522);
    assert_eq!(pair.engines[A].set_manual_mtu(pair.now, Some(300)).unwrap_err().errno(), 22);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_delivered(B), [[1; 1447]]);
}

/// The events about links and hosts, in words.
fn reported(events: impl IntoIterator<Item = Event>) -> Vec<String> {
    let describe = |event| match event {
        Event::Link(event) => Some(format!("link {} {}", event.link, event.state)),
        Event::Host(event) => {
            let (link, state) = event.cause.expect("no other cause is tried here");
            Some(format!("host {} by link {link} {state}", event.reachable))
        }
        _ => None,
    };
    events.into_iter().filter_map(describe).collect()
}

#[test]
fn a_host_event_follows_that_of_the_link_that_made_the_difference() {
    let mut pair = Pair::new(2, Policy::Active);
    pair.enable(A);
    pair.enable(B);
    pair.run(Duration::from_secs(10));
    let events = pair.take_events(A);
    assert_eq!(reported(events), ["link 0 up", "host true by link 0 up", "link 1 up"]);
    for link in [1, 0] {
        let link = LinkId::ALL[link];
        pair.engines[A].set_link_enabled(pair.now, HOSTS[B], link, false).unwrap();
    }
    pair.drain(A);
    let down =
        ["link 1 down: disabled", "link 0 down: disabled", "host false by link 0 down: disabled"];
    assert_eq!(reported(pair.take_events(A)), down);
}

#[test]
fn a_host_is_not_called_lost_before_its_last_link_is() {
    // Two links to one address: one error takes both down.
    let path = pair::path(B, LINK);
    let mut now = std::time::Instant::now();
    let config = EngineConfig { host: HOSTS[A], cookie_key: [0; 16] };
    let mut engine = Engine::new(now, &config);
    engine.add_host(HOSTS[B]).unwrap();
    for link in LinkId::ALL.into_iter().take(2) {
        engine.add_link(now, HOSTS[B], link, path).unwrap();
        engine.set_pong_count(HOSTS[B], link, 1).unwrap();
        engine.set_link_enabled(now, HOSTS[B], link, true).unwrap();
    }
    now += Duration::from_millis(1);
    let pings: Vec<_> = std::iter::from_fn(|| engine.poll_transmit()).collect();
    for ping in pings {
        let Body::Ping(ping) = Packet::decode(ping.packet()).unwrap().body else { panic!() };
        let arrival = DatagramMeta { socket: path.socket, source: path.remote, local: None };
        let _ = engine.handle_datagram(now, arrival, &ping.encode_pong(HOSTS[B]));
    }
    let up =
        std::iter::from_fn(|| engine.poll_event()).filter(|event| matches!(event, Event::Link(_)));
    assert_eq!(up.count(), 2);
    let give_up = now + Duration::from_millis(250);
    engine.handle_transport_error(now, path.socket, path.remote, 111);
    while let Some(due) = engine.poll_timeout().filter(|&due| due < give_up) {
        engine.handle_timeout(due);
    }
    let refused = "down: Connection refused (os error 111)";
    let events = reported(std::iter::from_fn(|| engine.poll_event()));
    let links = [0, 1].map(|link| format!("link {link} {refused}"));
    assert_eq!(events[..2], links);
    assert_eq!(events[2..], [format!("host false by link 1 {refused}")]);
}
