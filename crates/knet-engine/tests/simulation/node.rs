//! One host of the cluster: an engine and what its driver keeps beside it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knet_engine::{
    Engine, EngineConfig, Event, FragmentPlan, LinkPath, PacketKind, Routes, SequenceCounter,
    SocketId, Transmit, forced_ping_due,
};
use knet_wire::{
    DATA_HEADER_LEN, DataHeader, HostId, IpVersion, LinkId, SequenceNumber, path_overhead,
};

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
    /// When it is next going to be woken, as the cluster has noted.
    pub(crate) wakeup: Option<Instant>,
    /// How far its clock has jumped ahead of that of the others.
    pub(crate) ahead: Duration,
    /// For how long it has stood still.
    pub(crate) behind: Duration,
    /// Until when its event loop stands still, if it does.
    pub(crate) stalled_until: Option<Instant>,
    /// What its sockets hold meanwhile, in order.
    pub(crate) inbox: VecDeque<Flight>,
    /// Since when it works as it should.
    pub(crate) steady_since: Instant,
    sequence: Arc<SequenceCounter>,
    /// Messages sent so far.
    sent: u64,
    /// Sequence numbers used so far.
    numbers: u64,
}

impl Node {
    /// Starts a host that knows all others, with all links enabled.
    pub(crate) fn start(now: Instant, life: Life, plan: &Plan, cookie_key: [u8; 16]) -> Self {
        let mut engine = Engine::new(now, &EngineConfig { host: life.host, cookie_key });
        for peer in plan.peers_of(life.host) {
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
        Self {
            life,
            engine,
            routes,
            events: Vec::new(),
            wakeups: 0,
            wakeup: None,
            ahead: Duration::ZERO,
            behind: Duration::ZERO,
            stalled_until: None,
            inbox: VecDeque::new(),
            steady_since: now,
            sequence,
            sent: 0,
            numbers: 0,
        }
    }

    /// Numbers a message and cuts it into packets for each link that it takes. Returns `None`, and
    /// uses no number, if no host is reachable.
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
        let sequence = self.next_number(now);
        self.sent += 1;

        let id = MessageId { sender: self.life, number: self.sent };
        let broadcast = matches!(target, Target::Everybody);
        let payload = id.payload(len);
        let mut flights = Vec::new();
        for route in &routes {
            let plan = FragmentPlan::new(len, route.data_mtu()).unwrap();
            for (_, link) in route.links_of_next_message() {
                let path = link.path.expect("a link over UDP");
                for (index, (fragment, bytes)) in plan.iter().enumerate() {
                    let header =
                        DataHeader { sequence, compression: 0, broadcast, fragment, channel };
                    let mut datagram = Vec::with_capacity(DATA_HEADER_LEN + bytes.len());
                    datagram.extend(header.encode(self.life.host));
                    datagram.extend(&payload[bytes]);
                    link.counters.record_sent(PacketKind::Data, 1, datagram.len() as u64);
                    let frame = Frame { message: id, index, count: plan.count() };
                    flights.push(self.flight(path, datagram, Some(frame)));
                }
            }
        }
        let targets = routes.iter().map(|route| route.host()).collect();
        Some((id, Sent { len, channel, broadcast, targets }, flights))
    }

    /// Returns the number of the next message, or a new one for a message that waits.
    pub(crate) fn next_number(&mut self, now: Instant) -> SequenceNumber {
        let sequence = self.sequence.next();
        self.numbers += 1;
        assert_eq!(u64::from(sequence.get()), (self.numbers - 1) % 65_535 + 1);
        if forced_ping_due(sequence) {
            self.engine.force_pings(now);
        }
        sequence
    }

    /// Returns the number of the last message.
    pub(crate) fn number(&self) -> SequenceNumber {
        self.sequence.current()
    }

    /// A control packet on its way, counted as sent.
    pub(crate) fn control(&self, transmit: Transmit) -> Flight {
        let mut packet = transmit.packet().to_vec();
        packet.resize(packet.len() + transmit.padding_len(), 0);
        let flight = self.flight(transmit.path(), packet, None);
        assert_eq!((flight.path.to, flight.path.link), (transmit.host(), transmit.link()));
        assert!(transmit.probe_size().is_none_or(|size| usize::from(size) == flight.onwire));
        transmit.record_sent(flight.datagram.len());
        flight
    }

    /// Returns this host's time when it is `now` for the others.
    pub(crate) fn clock(&self, now: Instant) -> Instant {
        now + self.ahead - self.behind
    }

    /// When its event loop next looks at its timers, as the others count time.
    pub(crate) fn next_wakeup(&self) -> Option<Instant> {
        // Before its clock jumped it may have been due already.
        let due = self.engine.poll_timeout()?;
        let due = due + self.behind;
        let due = due.checked_sub(self.ahead).unwrap_or(due);
        Some(self.stalled_until.map_or(due, |until| due.max(until)))
    }

    fn flight(&self, path: LinkPath, datagram: Vec<u8>, frame: Option<Frame>) -> Flight {
        let (to, link) = who_is_at(path.remote);
        assert_eq!(path.socket, socket(link), "sent from another link's socket");
        let onwire = datagram.len() + path_overhead(version(link));
        Flight { path: Path { from: self.life.host, to, link }, datagram, onwire, frame }
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

/// The IP version of a link.
fn version(link: LinkId) -> IpVersion {
    if link.get() == SIX { IpVersion::V6 } else { IpVersion::V4 }
}

/// The longest IP packet that every path of the link's address family takes.
pub(crate) fn promised(link: LinkId) -> usize {
    version(link).min_onwire()
}

/// The link that is IPv6.
const SIX: u8 = 2;

const PORT: u16 = 5405;
