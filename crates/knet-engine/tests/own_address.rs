//! A link whose socket is bound to all addresses of the machine: which of them packets leave from.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use knet_engine::{
    AclAction, AclEntry, DatagramMeta, Engine, EngineConfig, LinkPath, LinkPeer, Received, Routes,
    SocketId, Transmit,
};
use knet_wire::{Body, HostId, IpVersion, LinkId, Packet, Ping, Pmtu, SequenceNumber};

const OWN: HostId = HostId::new(1);
const PEER: HostId = HostId::new(2);
const LINK: LinkId = LinkId::ALL[0];
const SOCKET: SocketId = SocketId(0);

/// The address that the peer knows, and another one of this machine.
const KNOWN: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));
const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9)));

fn remote() -> SocketAddr {
    ([10, 0, 0, 2], 5405).into()
}

/// An engine with one enabled link.
struct Machine {
    engine: Engine,
    now: Instant,
    routes: Routes,
}

impl Machine {
    fn new(peer: impl Into<LinkPeer>) -> Self {
        let now = Instant::now();
        let mut engine = Engine::new(now, &EngineConfig { host: OWN, cookie_key: [7; 16] });
        engine.add_host(PEER).unwrap();
        engine.add_link(now, PEER, LINK, peer).unwrap();
        engine.set_pong_count(PEER, LINK, 2).unwrap();
        if engine.link_status(now, PEER, LINK).unwrap().remote.is_none() {
            let entry = AclEntry::address(AclAction::Accept, remote().ip());
            engine.add_acl_entry(PEER, LINK, entry).unwrap();
        }
        engine.set_link_enabled(now, PEER, LINK, true).unwrap();
        Self { engine, now, routes: Routes::default() }
    }

    fn with_peer() -> Self {
        Self::new(LinkPath { socket: SOCKET, remote: remote() })
    }

    fn receive(&mut self, local: Option<IpAddr>, packet: &[u8]) {
        let meta = DatagramMeta { socket: SOCKET, source: remote(), local };
        let received = self.engine.handle_datagram(self.now, meta, packet);
        assert!(matches!(received, Received::Consumed));
        self.routes = self.engine.poll_routes().unwrap_or(std::mem::take(&mut self.routes));
    }

    /// Receives a ping of the peer, or of a forger.
    fn receive_ping(&mut self, local: Option<IpAddr>) {
        let sequence = SequenceNumber::ZERO;
        let ping = Ping { link: LINK, cookie: [0; 16], sequence, timed: true };
        self.receive(local, &ping.encode_ping(PEER));
    }

    /// Receives the peer's answer to a ping of ours.
    fn receive_pong(&mut self, local: Option<IpAddr>, ping: &Transmit) {
        let Body::Ping(ping) = Packet::decode(ping.packet()).unwrap().body else {
            panic!("{ping:?}")
        };
        self.receive(local, &ping.encode_pong(PEER));
    }

    fn next(&mut self) -> Transmit {
        self.engine.poll_transmit().expect("nothing to send")
    }

    /// Returns the next ping, when it is due.
    fn next_ping(&mut self) -> Transmit {
        loop {
            while let Some(transmit) = self.engine.poll_transmit() {
                if transmit.is_ping() {
                    return transmit;
                }
            }
            self.now = self.now.max(self.engine.poll_timeout().expect("no timer"));
            self.engine.handle_timeout(self.now);
        }
    }

    fn is_up(&self) -> bool {
        self.engine.link_status(self.now, PEER, LINK).unwrap().state.is_up()
    }

    /// Returns the address that data leaves from.
    fn source_of_data(&self) -> Option<IpAddr> {
        self.routes.get(PEER).expect("not reachable").links()[0].source
    }

    /// Answers pings at the address that the peer knows until the link is up.
    fn bring_up(&mut self) {
        while !self.is_up() {
            let ping = self.next_ping();
            self.receive_pong(KNOWN, &ping);
        }
    }
}

#[test]
fn answers_leave_from_the_address_that_was_spoken_to() {
    let mut machine = Machine::with_peer();
    let _ = machine.next_ping();
    for local in [KNOWN, OTHER, None] {
        machine.receive_ping(local);
        let pong = machine.next();
        assert_eq!((pong.is_ping(), pong.source()), (false, local));
        let mut probe = [0; 100];
        Pmtu { link: LINK, cookie: [0; 2] }.encode_probe(PEER, &mut probe).unwrap();
        machine.receive(local, &probe);
        assert_eq!(machine.next().source(), local);
    }
}

#[test]
fn a_link_comes_up_if_the_peer_accepts_packets_from_one_address_only() {
    let mut machine = Machine::with_peer();
    let mut accepted = 0;
    for _ in 0..6 {
        let ping = machine.next_ping();
        machine.receive_ping(KNOWN);
        assert_eq!(machine.next().source(), KNOWN, "the pong");
        if ping.source() == KNOWN {
            accepted += 1;
            machine.receive_pong(KNOWN, &ping);
        }
    }
    assert!(machine.is_up(), "{accepted} pings left from the right address");
    assert_eq!(accepted, 5, "all but the first");
    assert_eq!(machine.source_of_data(), KNOWN);
    let status = machine.engine.link_status(machine.now, PEER, LINK).unwrap();
    assert_eq!(status.own_address, KNOWN);
}

#[test]
fn probes_leave_from_the_address_that_the_peer_knows() {
    let mut machine = Machine::with_peer();
    machine.bring_up();
    let probe = std::iter::from_fn(|| machine.engine.poll_transmit())
        .find(|transmit| transmit.probe_size().is_some());
    assert_eq!(probe.expect("a link that is up is probed").source(), KNOWN);
}

#[test]
fn a_forged_ping_moves_nothing() {
    let mut machine = Machine::with_peer();
    machine.bring_up();
    for _ in 0..10 {
        let ping = machine.next_ping();
        assert_eq!(ping.source(), KNOWN);
        machine.receive_pong(KNOWN, &ping);
        machine.receive_ping(OTHER);
        assert_eq!(machine.source_of_data(), KNOWN);
    }
    // While an answer is missing, every other ping at most follows the forger.
    assert_eq!(machine.next_ping().source(), KNOWN);
    machine.receive_ping(OTHER);
    assert_eq!(machine.next_ping().source(), OTHER);
    machine.receive_ping(OTHER);
    let answered = machine.next_ping();
    assert_eq!(answered.source(), KNOWN);
    machine.receive_pong(KNOWN, &answered);
    assert_eq!(machine.source_of_data(), KNOWN);
}

#[test]
fn a_peer_that_knows_another_address_is_followed_before_the_link_goes_down() {
    let mut machine = Machine::with_peer();
    machine.bring_up();
    for _ in 0..20 {
        machine.receive_ping(OTHER);
        let ping = machine.next_ping();
        if ping.source() == OTHER {
            machine.receive_pong(OTHER, &ping);
        }
        assert!(machine.is_up());
    }
    assert_eq!(machine.source_of_data(), OTHER);
}

#[test]
fn the_kernel_chooses_again_once_the_link_is_down() {
    let mut machine = Machine::with_peer();
    machine.bring_up();
    let mut sources = Vec::new();
    while machine.is_up() {
        sources.push(machine.next_ping().source());
    }
    // The last of them left when the link went down.
    assert_eq!((sources.pop(), sources.last()), (Some(None), Some(&KNOWN)));
    assert!(sources.iter().all(|&source| source == KNOWN), "{sources:?}");
    assert_eq!(machine.next_ping().source(), None);
}

#[test]
fn a_replayed_pong_moves_nothing() {
    let mut machine = Machine::with_peer();
    machine.bring_up();
    let ping = machine.next_ping();
    machine.receive_pong(KNOWN, &ping);
    machine.receive_pong(OTHER, &ping);
    assert_eq!(machine.source_of_data(), KNOWN);
}

#[test]
fn the_peer_of_a_dynamic_link_is_asked_from_the_address_it_speaks_to() {
    let mut machine = Machine::new(LinkPeer::dynamic(SOCKET, IpVersion::V4));
    machine.receive_ping(KNOWN);
    let question = machine.next();
    assert_eq!((question.is_ping(), question.source()), (true, KNOWN));
    machine.now += Duration::from_millis(1);
    machine.receive_pong(KNOWN, &question);
    assert_eq!(machine.next().source(), KNOWN, "the answer to the first ping");
    machine.bring_up();
    assert_eq!(machine.source_of_data(), KNOWN);
}

/// A forger sends pings to another address of the machine before and after each of the peer's.
#[test]
fn a_link_comes_up_although_forged_pings_name_other_addresses() {
    for proven_before in [false, true] {
        let mut machine = Machine::with_peer();
        if proven_before {
            machine.bring_up();
            while machine.is_up() {
                let _ = machine.next_ping();
            }
        }
        let mut pings = 0;
        while !machine.is_up() {
            pings += 1;
            assert!(pings <= 20, "kept down");
            (0..10).for_each(|_| machine.receive_ping(OTHER));
            machine.receive_ping(KNOWN);
            (0..10).for_each(|_| machine.receive_ping(OTHER));
            let ping = machine.next_ping();
            // The peer accepts packets from one address only.
            if ping.source() == KNOWN {
                machine.receive_pong(KNOWN, &ping);
            }
        }
        assert_eq!(machine.source_of_data(), KNOWN);
    }
}
