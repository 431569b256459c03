//! Packets of an attacker, and what they must not achieve.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::time::{Duration, Instant};

use knet_engine::{DatagramMeta, DownReason, Engine, EngineConfig, LinkPath, LinkState, Policy};
use knet_wire::{Body, Fragment, FragmentPart, LinkId, PMTU_HEADER_LEN, Packet, Ping, Pmtu};
use pair::{A, B, HOSTS, LINK, Pair, address, number, socket};

/// What host `B` answers to a packet, with the link that it takes.
fn answers(pair: &mut Pair, link: LinkId, datagram: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
    pair.flying.clear();
    pair.arrive(B, link, datagram);
    pair.flying.drain(..).map(|flight| (flight.link, flight.datagram)).collect()
}

fn ping(link: LinkId) -> Vec<u8> {
    let ping = Ping { link, cookie: *b"what was written", sequence: number(7), timed: true };
    ping.encode_ping(HOSTS[A]).to_vec()
}

/// The pong that `A` would send for the latest ping of `B` on this link, if it got it.
fn pong_for_ping_on_its_way(pair: &Pair, link: LinkId) -> Vec<u8> {
    let ping = pair.flying.iter().rev().filter(|flight| (flight.to, flight.link) == (A, link));
    let mut pings =
        ping.filter_map(|flight| match Packet::decode(&flight.datagram).unwrap().body {
            Body::Ping(ping) => Some(ping),
            _ => None,
        });
    pings.next().expect("a ping is on its way").encode_pong(HOSTS[A]).to_vec()
}

fn data(sequence: u16, fragment: Fragment, payload: &[u8]) -> Vec<u8> {
    pair::data(A, number(sequence), fragment, 3, payload)
}

fn part(index: u8, count: u8) -> Fragment {
    Fragment::Part(FragmentPart::new(index, count).unwrap())
}

#[test]
fn a_ping_is_answered_on_its_link_with_what_it_carried() {
    let mut pair = Pair::new(2, Policy::Passive);
    let [(link, pong)] = &answers(&mut pair, LinkId::ALL[1], &ping(LinkId::ALL[1]))[..] else {
        panic!("one ping, one pong")
    };
    assert_eq!(*link, LinkId::ALL[1]);
    let Packet { source, body: Body::Pong(pong) } = Packet::decode(pong).unwrap() else {
        panic!("no pong")
    };
    assert_eq!((source, pong.link, pong.sequence, pong.timed), (HOSTS[B], *link, number(7), true));
    assert_eq!(&pong.cookie, b"what was written");
}

#[test]
fn an_answer_goes_to_the_configured_address_not_to_where_the_ping_came_from() {
    let mut pair = Pair::new(1, Policy::Passive);
    // Same IP address, another port: accepted, but `Pair` holds each answer to the link's path.
    let mut source = address(A, LINK);
    source.set_port(9);
    pair.arrive_from(B, socket(LINK), source, &ping(LINK));
    assert_eq!(pair.flying.len(), 1);
}

#[test]
fn what_comes_from_elsewhere_or_names_no_link_of_ours_is_dropped_and_counted() {
    let mut pair = Pair::up(2, Policy::Passive);
    pair.flying.clear();
    let good = data(1, Fragment::Whole, b"spoofed");
    let mut probe = [0; 100];
    Pmtu { link: LINK, cookie: [1, 2] }.encode_probe(HOSTS[A], &mut probe).unwrap();
    for datagram in [&ping(LINK)[..], &probe, &good] {
        pair.arrive_from(B, socket(LINK), ([10, 9, 9, 9], 5405).into(), datagram);
        pair.arrive_from(B, socket(LINK), ([0u16; 8], 5405).into(), datagram);
    }
    assert_eq!(pair.engines[B].drops().wrong_source, 6);
    // The right host, but the address of its other link.
    pair.arrive_from(B, socket(LINK), address(A, LinkId::ALL[1]), &ping(LINK));
    assert_eq!(pair.engines[B].drops().wrong_source, 7);

    pair.arrive(B, LINK, &ping(LinkId::ALL[6]));
    assert_eq!(pair.engines[B].drops().unknown_link, 1);
    let mut no_link = ping(LINK);
    no_link[6] = 8;
    pair.arrive(B, LINK, &no_link);
    assert_eq!(pair.engines[B].drops().invalid_link, 1);
    pair.arrive(B, LINK, b"");
    assert_eq!(pair.engines[B].drops().malformed, 1);

    let mut stranger = ping(LINK);
    stranger[2..4].copy_from_slice(&77u16.to_be_bytes());
    pair.arrive(B, LINK, &stranger);
    assert_eq!(pair.engines[B].drops().unknown_host, 1);

    assert!(pair.flying.is_empty(), "no answer was sent");
    assert!(pair.delivered[B].is_empty());
}

#[test]
fn a_forged_pong_brings_nothing_up_and_keeps_nothing_up() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.set_cut(A, true);
    pair.enable(B);
    for second in 0..20u8 {
        let forged = Ping { link: LINK, cookie: [second; 16], sequence: number(0), timed: true };
        pair.arrive(B, LINK, &forged.encode_pong(HOSTS[A]));
        pair.run(Duration::from_secs(1));
    }
    let status = pair.status(B, LINK);
    assert_eq!(status.state, LinkState::Down(DownReason::NoPongYet));
    assert_eq!((status.good_pongs, status.last_pong, status.latency), (0, None, None));
    assert_eq!(pair.engines[B].drops().forged_pong, 20);
}

#[test]
fn a_replayed_pong_counts_once() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.set_cut(A, true);
    pair.enable(B);
    let pong = pong_for_ping_on_its_way(&pair, LINK);
    for _ in 0..50 {
        pair.arrive(B, LINK, &pong);
    }
    assert_eq!(pair.status(B, LINK).good_pongs, 1);

    // An old one does not keep a silent link up either.
    let mut pair = Pair::up(1, Policy::Passive);
    // So that the next timeout is a ping's.
    pair.engines[B].set_manual_mtu(pair.now, Some(576)).unwrap();
    pair.run(Duration::from_secs(20) + pair::LATENCY * 2);
    let next_ping = pair.engines[B].poll_timeout().unwrap();
    pair.run(next_ping - pair.now);
    let pong = pong_for_ping_on_its_way(&pair, LINK);
    pair.set_cut(A, true);
    for _ in 0..100 {
        pair.arrive(B, LINK, &pong);
        pair.run(Duration::from_millis(100));
    }
    let state = pair.status(B, LINK).state;
    assert!(matches!(state, LinkState::Down(DownReason::PongTimeout { .. })), "{state}");
}

#[test]
fn a_pong_for_another_link_counts_for_none() {
    let mut pair = Pair::new(2, Policy::Passive);
    pair.set_cut(A, true);
    pair.enable(B);
    let mut pong = pong_for_ping_on_its_way(&pair, LINK);
    pong[6] = 1;
    pair.arrive(B, LinkId::ALL[1], &pong);
    assert_eq!(pair.engines[B].drops().forged_pong, 1);
    assert_eq!(pair.status(B, LinkId::ALL[1]).good_pongs, 0);
}

#[test]
fn a_probe_of_any_size_is_answered_with_nine_bytes() {
    let mut pair = Pair::new(1, Policy::Passive);
    let probe = Pmtu { link: LINK, cookie: [0xdc, 0x05] };
    for size in [PMTU_HEADER_LEN, 1472, 65_507] {
        let mut frame = vec![0; size];
        probe.encode_probe(HOSTS[A], &mut frame).unwrap();
        let reply = probe.encode_reply(HOSTS[B]).to_vec();
        assert_eq!(reply.len(), 9);
        assert_eq!(answers(&mut pair, LINK, &frame), [(LINK, reply)]);
    }
    let stats = pair.status(B, LINK).stats;
    assert_eq!((stats.tx_pmtu_packets, stats.tx_pmtu_bytes), (3, 3 * 9));
    // A reply to a probe that we never sent is not answered in turn.
    let reply = probe.encode_reply(HOSTS[A]);
    assert_eq!(answers(&mut pair, LINK, &reply), []);
    assert_eq!(pair.engines[B].drops().unexpected, 1);
}

/// A forger knows which sizes are probed, and the address of the peer.
#[test]
fn a_forged_reply_to_a_probe_widens_no_path() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = 1000;
    pair.enable(A);
    pair.enable(B);
    let sizes = [65_535_u16, 1500, 1280, 9000, 1420, 1400, 1492];
    for _ in 0..600 {
        for size in sizes {
            let forged = Pmtu { link: LINK, cookie: size.to_le_bytes() }.encode_reply(HOSTS[B]);
            pair.arrive(A, LINK, &forged);
        }
        pair.run(Duration::from_millis(100));
        assert!(pair.status(A, LINK).path_mtu.is_none_or(|mtu| mtu <= 1000));
    }
    assert!(pair.engines[A].drops().unexpected > 0);
    pair.run(Duration::from_secs(100));
    assert_eq!(pair.status(A, LINK).path_mtu, Some(1000), "found all the same");
}

#[test]
fn a_reply_to_a_probe_comes_from_where_the_probe_went() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = 65_535;
    pair.enable(A);
    pair.enable(B);
    let is_probe = |pair: &Pair| {
        let to_b = pair.flying.iter().filter(|flight| flight.to == B);
        let mut packets = to_b.map(|flight| Packet::decode(&flight.datagram).unwrap().body);
        packets.find_map(|body| if let Body::PmtuProbe(probe) = body { Some(probe) } else { None })
    };
    let probe = loop {
        if let Some(probe) = is_probe(&pair) {
            break probe;
        }
        pair.run(Duration::from_micros(100));
    };
    let (reply, rejected) = (probe.encode_reply(HOSTS[B]), pair.engines[A].drops().wrong_source);
    let mut elsewhere = address(B, LINK);
    elsewhere.set_port(9);
    pair.arrive_from(A, socket(LINK), elsewhere, &reply);
    assert_eq!(pair.engines[A].drops().wrong_source, rejected + 1);
    assert_eq!(pair.status(A, LINK).path_mtu, None);
    pair.arrive(A, LINK, &reply);
    assert_eq!(pair.status(A, LINK).path_mtu, Some(65_535));
}

#[test]
fn a_flood_of_pings_and_probes_costs_no_memory() {
    let mut pair = Pair::new(1, Policy::Passive);
    let arrival =
        knet_engine::DatagramMeta { socket: socket(LINK), source: address(A, LINK), local: None };
    let mut probe = [0; 50];
    Pmtu { link: LINK, cookie: [0; 2] }.encode_probe(HOSTS[A], &mut probe).unwrap();
    for _ in 0..50_000 {
        let _ = pair.engines[B].handle_datagram(pair.now, arrival, &ping(LINK));
        let _ = pair.engines[B].handle_datagram(pair.now, arrival, &probe);
    }
    // The driver has not sent the answers yet, so most pings go unanswered.
    let queued =
        std::iter::from_fn(|| pair.engines[B].poll_transmit().map(|t| t.record_sent(26))).count();
    assert!((1..=4096).contains(&queued), "{queued} answers are queued");
    assert_eq!(answers(&mut pair, LINK, &ping(LINK)).len(), 1);
}

#[test]
fn fragments_that_stay_incomplete_hold_32_messages_at_most_and_not_for_long() {
    let mut pair = Pair::up(1, Policy::Passive);
    for sequence in 1..=10_000 {
        pair.engines[A].sequence().next();
        // The first of two, which makes room for the longest message.
        pair.arrive(B, LINK, &data(sequence, part(1, 2), &[0; 40_000]));
    }
    assert_eq!(pair.engines[B].reassembly_memory(), 32 * 65_536);
    pair.run(Duration::from_secs(9));
    assert_eq!(pair.engines[B].reassembly_memory(), 32 * 65_536);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.engines[B].reassembly_memory(), 0);
    assert_eq!(pair.engines[B].drops().incomplete, 10_000, "those that made room too");
    // A discarded message does not start again.
    pair.arrive(B, LINK, &data(10_000, part(1, 2), &[0; 40_000]));
    assert_eq!(pair.engines[B].reassembly_memory(), 0);
    assert!(pair.delivered[B].is_empty());
}

#[test]
fn fragments_that_contradict_each_other_are_dropped_and_counted() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.arrive(B, LINK, &data(1, part(1, 3), &[1; 100]));
    pair.arrive(B, LINK, &data(1, part(2, 3), &[2; 99]));
    pair.arrive(B, LINK, &data(1, part(2, 4), &[2; 100]));
    pair.arrive(B, LINK, &data(1, part(3, 3), &[3; 101]));
    assert_eq!(pair.engines[B].drops().bad_fragment, 3);
    pair.arrive(B, LINK, &data(1, part(2, 3), &[2; 100]));
    pair.arrive(B, LINK, &data(1, part(3, 3), &[3; 50]));
    assert_eq!(pair.take_delivered(B), [[vec![1; 100], vec![2; 100], vec![3; 50]].concat()]);
    // Longer than any message may be.
    pair.arrive(B, LINK, &data(2, part(1, 254), &[0; 260]));
    assert_eq!(pair.engines[B].drops().bad_fragment, 4);
}

#[test]
fn what_this_build_cannot_undo_is_counted_and_dropped() {
    let mut pair = Pair::up(1, Policy::Passive);
    let mut packed = data(1, Fragment::Whole, b"zlib");
    packed[8] = 1;
    pair.arrive(B, LINK, &packed);
    assert_eq!(pair.engines[B].drops().compressed, 1);
    // Its number is still free for a duplicate that can be read.
    pair.arrive(B, LINK, &data(1, Fragment::Whole, b"plain"));
    assert_eq!(pair.take_delivered(B), [b"plain"]);
}

#[test]
fn answers_that_find_the_queue_full_are_counted() {
    const PINGS: u64 = 5000;
    let mut pair = Pair::up(1, Policy::Passive);
    let ping = Ping { link: LINK, cookie: [0; 16], sequence: number(0), timed: false };
    let ping = ping.encode_ping(HOSTS[A]);
    let meta = DatagramMeta { socket: socket(LINK), source: address(A, LINK), local: None };
    for _ in 0..PINGS {
        let _ = pair.engines[B].handle_datagram(pair.now, meta, &ping);
    }
    let answers = std::iter::from_fn(|| pair.engines[B].poll_transmit()).count() as u64;
    assert_eq!(answers + pair.engines[B].drops().unanswered, PINGS);
    assert!(pair.engines[B].drops().unanswered > 0);
}

/// Another machine may have the link-local address of a peer, on another interface.
#[test]
fn the_peers_link_local_address_in_another_zone_is_not_the_peer() {
    let (now, peer, id) = (Instant::now(), HOSTS[A], LINK);
    let config = EngineConfig { host: HOSTS[B], cookie_key: [0; 16] };
    let mut engine = Engine::new(now, &config);
    engine.add_host(peer).unwrap();
    let path = LinkPath { socket: socket(id), remote: "[fe80::2%3]:5405".parse().unwrap() };
    engine.add_link(now, peer, id, path).unwrap();
    for (source, accepted) in
        [("[fe80::2%3]:1", true), ("[fe80::2%4]:1", false), ("[fe80::2]:1", true)]
    {
        let source = source.parse().unwrap();
        let arrival = DatagramMeta { socket: socket(id), source, local: None };
        let _ = engine.handle_datagram(now, arrival, &ping(id));
        assert_eq!(engine.poll_transmit().is_some(), accepted, "{source}");
    }
    assert_eq!(engine.drops().wrong_source, 1);
}
