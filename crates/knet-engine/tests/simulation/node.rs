//! One host of the cluster: an engine and what its driver keeps beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use knet_engine::{
    Engine, EngineConfig, Event, FragmentPlan, LinkPath, Routes, SequenceCounter, SocketId,
    Transmit, forced_ping_due,
};
use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, LinkId};

use crate::cluster::Plan;
use crate::invariants::Sent;
use crate::message::{Frame, Life, MessageId};
use crate::network::{Flight, Path};

/// Who gets a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Everybody,
    Only(HostId),
}

/// A running host.
pub(crate) struct Node {
    pub(crate) life: Life,
    pub(crate) engine: Engine,
    pub(crate) routes: Routes,
    pub(crate) events: Vec<(Instant, Event)>,
    /// How often its timers woke it up.
    pub(crate) wakeups: u64,
    sequence: Arc<SequenceCounter>,
    /// Messages sent so far.
    sent: u64,
}

impl Node {
    /// Starts a host that knows all others, with all links enabled.
    pub(crate) fn start(now: Instant, life: Life, plan: &Plan, cookie_key: [u8; 16]) -> Self {
        let mut engine = Engine::new(now, &EngineConfig { host: life.host, cookie_key });
        for peer in plan.host_ids().filter(|&peer| peer != life.host) {
            engine.add_host(peer).unwrap();
            engine.set_policy(now, peer, plan.policy).unwrap();
            for link in plan.link_ids() {
                let path = LinkPath { socket: socket(link), remote: address(peer, link) };
                engine.add_link(now, peer, link, path).unwrap();
                engine.set_ping_timers(now, peer, link, plan.timers).unwrap();
                engine.set_pong_count(peer, link, plan.pong_count).unwrap();
                engine.set_link_enabled(now, peer, link, true).unwrap();
            }
        }
        let sequence = engine.sequence();
        let routes = Routes::default();
        Self { life, engine, routes, events: Vec::new(), wakeups: 0, sequence, sent: 0 }
    }

    /// Numbers a message and cuts it into packets for each link that it takes. `None` if nobody
    /// can be reached: then it has no number.
    pub(crate) fn message(
        &mut self,
        now: Instant,
        target: Target,
        len: usize,
        channel: u8,
    ) -> Option<(MessageId, Sent, Vec<Flight>)> {
        let routes = self.routes.clone();
        let routes: Vec<_> = match target {
            Target::Everybody => routes.hosts().collect(),
            Target::Only(host) => routes.get(host).into_iter().collect(),
        };
        if routes.is_empty() {
            return None;
        }
        let sequence = self.sequence.next();
        self.sent += 1;
        assert_eq!(u64::from(sequence.get()), (self.sent - 1) % 65_535 + 1);
        if forced_ping_due(sequence) {
            self.engine.force_pings(now);
        }

        let id = MessageId { sender: self.life, number: self.sent };
        let broadcast = matches!(target, Target::Everybody);
        let payload = id.payload(len);
        let mut flights = Vec::new();
        for route in &routes {
            let plan = FragmentPlan::new(len, route.data_mtu()).unwrap();
            for (_, link) in route.links_of_next_message() {
                for (index, (fragment, bytes)) in plan.iter().enumerate() {
                    let header =
                        DataHeader { sequence, compression: 0, broadcast, fragment, channel };
                    let mut datagram = Vec::with_capacity(DATA_HEADER_LEN + bytes.len());
                    datagram.extend(header.encode(self.life.host));
                    datagram.extend(&payload[bytes]);
                    let frame = Frame { message: id, index, count: plan.count() };
                    flights.push(self.flight(link.path, datagram, Some(frame)));
                }
            }
        }
        let targets = routes.iter().map(|route| route.host()).collect();
        Some((id, Sent { len, channel, broadcast, targets }, flights))
    }

    /// A control packet on its way, counted as sent; `None` if the path is too narrow for it. Paths
    /// take what their address family promises and drop the rest silently.
    pub(crate) fn control(&self, transmit: Transmit) -> Option<Flight> {
        let mut packet = transmit.packet().to_vec();
        packet.resize(packet.len() + transmit.filler(), 0);
        let takes = if transmit.path().remote.is_ipv4() { 576 } else { 1280 };
        let too_long = transmit.probe_size().is_some_and(|size| size > takes);
        let flight = self.flight(transmit.path(), packet, None);
        let named = (transmit.host(), transmit.link());
        assert_eq!((flight.path.to, flight.path.link), named);
        transmit.sent(flight.datagram.len());
        (!too_long).then_some(flight)
    }

    fn flight(&self, path: LinkPath, datagram: Vec<u8>, frame: Option<Frame>) -> Flight {
        let (to, link) = who_is_at(path.remote);
        assert_eq!(path.socket, socket(link), "sent from another link's socket");
        Flight { path: Path { from: self.life.host, to, link }, datagram, frame }
    }
}

/// The socket that a host uses for a link.
pub(crate) fn socket(link: LinkId) -> SocketId {
    SocketId(u64::from(link.get()))
}

/// The address of a host on a link. The last link is IPv6, so that links differ in their MTU.
pub(crate) fn address(host: HostId, link: LinkId) -> SocketAddr {
    let [high, low] = host.get().to_be_bytes();
    match link.get() {
        SIX => ([0xfd00, 0, 0, 0, 0, 0, u16::from(SIX), host.get()], PORT).into(),
        four => ([10, four, high, low], PORT).into(),
    }
}

fn who_is_at(address: SocketAddr) -> (HostId, LinkId) {
    let (link, host) = match address {
        SocketAddr::V4(v4) => {
            let [_, link, high, low] = v4.ip().octets();
            (link, u16::from_be_bytes([high, low]))
        }
        SocketAddr::V6(v6) => (SIX, v6.ip().segments()[7]),
    };
    (HostId::new(host), LinkId::new(link).unwrap())
}

/// The link that is IPv6.
const SIX: u8 = 2;

const PORT: u16 = 5405;
