//! Packet tags: the tag of a link comes with each of its packets, and with no other.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::collections::BTreeSet;

use knet_engine::{DatagramMeta, LinkError, PacketTag, Policy};
use knet_wire::{Body, LinkId, Packet, Ping, Pmtu, SequenceNumber};
use pair::{A, B, HOSTS, Pair, path};

const TAG: PacketTag = PacketTag(7);
const TAGGED: LinkId = LinkId::ALL[1];

fn set(pair: &mut Pair, tag: PacketTag) {
    pair.engines[A].set_packet_tag(pair.now, HOSTS[B], TAGGED, tag).unwrap();
    assert_eq!(pair.engines[A].packet_tag(HOSTS[B], TAGGED), Ok(tag));
}

/// Has all kinds of control packets sent on both links. Returns these kinds, and checks
/// that those of each link have this tag.
fn control(pair: &mut Pair, expected: [PacketTag; 2]) -> BTreeSet<&'static str> {
    let now = pair.now;
    let engine = &mut pair.engines[A];
    engine.force_pings(now);
    // Begins a search.
    engine.set_manual_mtu(now, Some(1500)).unwrap();
    engine.set_manual_mtu(now, None).unwrap();
    for link in LinkId::ALL.into_iter().take(2) {
        let from = path(B, link);
        let arrival = DatagramMeta { socket: from.socket, source: from.remote, local: None };
        let ping = Ping { link, cookie: [0; 16], sequence: SequenceNumber::ZERO, timed: true };
        let probe = Pmtu { link, cookie: [0; 2] };
        let _ = engine.handle_datagram(now, arrival, &ping.encode_ping(HOSTS[B]));
        let mut bytes = [0; 100];
        probe.encode_probe(HOSTS[B], &mut bytes).unwrap();
        let _ = engine.handle_datagram(now, arrival, &bytes);
    }
    let mut kinds = BTreeSet::new();
    while let Some(transmit) = engine.poll_transmit() {
        let kind = match Packet::decode(transmit.packet()).unwrap().body {
            Body::Ping(_) => "ping",
            Body::Pong(_) => "pong",
            Body::PmtuProbe(_) => "probe",
            Body::PmtuReply(_) => "reply",
            body => panic!("{body:?}"),
        };
        assert_eq!(transmit.tag(), expected[transmit.link().index()], "{kind}");
        if transmit.link() == TAGGED {
            kinds.insert(kind);
        }
    }
    kinds
}

/// The tags with which data is sent to the other host, by link.
fn data(pair: &mut Pair) -> Vec<PacketTag> {
    pair.drain(A);
    let route = pair.routes[A].get(HOSTS[B]).unwrap();
    route.links().iter().map(|link| link.tag).collect()
}

#[test]
fn a_tag_comes_with_every_packet_of_its_link_from_when_it_is_set() {
    let mut pair = Pair::up(2, Policy::Active);
    for tag in [PacketTag::default(), TAG, PacketTag(8), PacketTag::default()] {
        set(&mut pair, tag);
        let expected = [PacketTag::default(), tag];
        let all = ["ping", "pong", "probe", "reply"];
        assert_eq!(control(&mut pair, expected), BTreeSet::from(all));
        assert_eq!(data(&mut pair), expected);
    }
}

#[test]
fn a_tag_belongs_to_the_link_and_goes_with_it() {
    let mut pair = Pair::new(2, Policy::Active);
    set(&mut pair, TAG);
    pair.engines[A].clear_link(HOSTS[B], TAGGED).unwrap();
    let missing = LinkError::NotConfigured { host: HOSTS[B], link: TAGGED };
    assert_eq!(pair.engines[A].packet_tag(HOSTS[B], TAGGED), Err(missing.clone()));
    let again = pair.engines[A].set_packet_tag(pair.now, HOSTS[B], TAGGED, TAG);
    assert_eq!(again, Err(missing));
    pair.engines[A].add_link(pair.now, HOSTS[B], TAGGED, path(B, TAGGED)).unwrap();
    assert_eq!(pair.engines[A].packet_tag(HOSTS[B], TAGGED), Ok(PacketTag::default()));
}
