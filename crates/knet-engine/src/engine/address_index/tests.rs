//! The index always agrees with a look at all links.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{Body, IpVersion, Packet, Ping, SequenceNumber};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::{AclAction, AclEntry, DatagramMeta, Engine, EngineConfig, LinkPath};

/// The socket of static links, and that of dynamic ones.
const SOCKETS: [SocketId; 2] = [SocketId(1), SocketId(2)];

#[derive(Clone, Copy, Debug)]
enum Step {
    AddStatic(HostId, LinkId, SocketAddr),
    AddDynamic(HostId, LinkId),
    /// The peer of a dynamic link answers from here.
    Appear(HostId, LinkId, SocketAddr),
    Enable(HostId, LinkId, bool),
    Clear(HostId, LinkId),
    /// Silence, in which links go down.
    Wait,
}

fn addresses() -> Vec<SocketAddr> {
    let address = |last, port| ([10, 0, 0, last], port).into();
    vec![address(1, 5405), address(1, 5406), address(2, 5405), address(3, 5405)]
}

fn steps() -> impl Strategy<Value = Step> {
    let host = select(vec![2u16, 3]).prop_map(HostId::new);
    let link = select(LinkId::ALL[..3].to_vec());
    (host, link, select(addresses()), 0u8..12).prop_map(|(host, link, at, kind)| match kind {
        0..2 => Step::AddStatic(host, link, at),
        2..4 => Step::AddDynamic(host, link),
        4..7 => Step::Appear(host, link, at),
        7..9 => Step::Enable(host, link, true),
        9 => Step::Enable(host, link, false),
        10 => Step::Clear(host, link),
        _ => Step::Wait,
    })
}

/// Takes a step. Many are refused, which has no effect.
fn take(engine: &mut Engine, now: &mut Instant, step: Step) {
    *now += Duration::from_millis(1);
    match step {
        Step::AddStatic(host, link, remote) => {
            let _ = engine.add_link(*now, host, link, LinkPath { socket: SOCKETS[0], remote });
        }
        Step::AddDynamic(host, link) => {
            let peer = LinkPeer::dynamic(SOCKETS[1], IpVersion::V4);
            let _ = engine.add_link(*now, host, link, peer);
            let (any, none) = ([0, 0, 0, 0].into(), [0, 0, 0, 0].into());
            let everybody = AclEntry::mask(AclAction::Accept, any, none).unwrap();
            let _ = engine.add_acl_entry(host, link, everybody);
        }
        Step::Appear(host, link, source) => appear(engine, *now, (host, link), source),
        Step::Enable(host, link, enabled) => {
            let _ = engine.set_link_enabled(*now, host, link, enabled);
        }
        Step::Clear(host, link) => {
            let _ = engine.set_link_enabled(*now, host, link, false);
            let _ = engine.clear_link(host, link);
        }
        Step::Wait => {
            let end = *now + Duration::from_secs(30);
            while let Some(due) = engine.poll_timeout().filter(|&due| due <= end) {
                *now = due.max(*now);
                engine.handle_timeout(*now);
            }
            *now = end;
        }
    }
    while engine.poll_transmit().is_some() {}
}

/// Pings a link from an address, and answers the question that comes back.
fn appear(engine: &mut Engine, now: Instant, (host, link): (HostId, LinkId), source: SocketAddr) {
    let sequence = SequenceNumber::ZERO;
    let meta = DatagramMeta { socket: SOCKETS[1], source, local: None };
    let ping = Ping { link, cookie: [0; 16], sequence, timed: true }.encode_ping(host);
    let _ = engine.handle_datagram(now, meta, &ping);
    let sent: Vec<_> = std::iter::from_fn(|| engine.poll_transmit()).collect();
    for transmit in sent.iter().filter(|transmit| transmit.path().remote == source) {
        if let Body::Ping(ping) = Packet::decode(transmit.packet()).unwrap().body {
            let now = now + Duration::from_micros(10);
            let _ = engine.handle_datagram(now, meta, &ping.encode_pong(host));
        }
    }
}

proptest! {
    #[test]
    fn it_agrees_with_a_look_at_all_links(steps in prop::collection::vec(steps(), 1..60)) {
        let mut now = Instant::now();
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let mut engine = Engine::new(now, &config);
        for host in [2, 3] {
            engine.add_host(HostId::new(host)).unwrap();
        }
        for step in steps {
            take(&mut engine, &mut now, step);
            for (socket, address) in SOCKETS.iter().flat_map(|&s| addresses().into_iter().map(move |a| (s, a.ip()))) {
                let mut scanned = Vec::new();
                for (&host, entry) in &engine.hosts {
                    let there = |peer: &LinkPeer| {
                        peer.socket() == Some(socket) && peer.remote().is_some_and(|it| it.ip() == address)
                    };
                    scanned.extend(entry.links().filter(|(_, link)| there(&link.peer)).map(|(id, _)| (host, id)));
                }
                let indexed: Vec<_> = engine.addresses.links(socket, address).collect();
                prop_assert_eq!(indexed, scanned, "{:?}", step);
            }
        }
    }
}
