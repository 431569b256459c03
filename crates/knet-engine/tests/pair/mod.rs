//! Two engines with links between them and a network that loses only what a test specifies, for
//! tests of one behaviour at a time.

// Clippy knows tests, but not the functions that they call; and no test needs all of these.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use knet_engine::{
    AclAction, AclEntry, DatagramMeta, Delivery, Engine, EngineConfig, Event, FragmentPlan,
    LinkPath, LinkPeer, LinkStatus, Policy, Received, Routes, SocketId,
};
use knet_wire::{DataHeader, Fragment, HostId, IpVersion, LinkId, SequenceNumber};

/// The hosts. The first is called `A` in the tests, the second `B`.
pub(crate) const HOSTS: [HostId; 2] = [HostId::new(1), HostId::new(2)];
pub(crate) const A: usize = 0;
pub(crate) const B: usize = 1;

pub(crate) const LINK: LinkId = LinkId::ALL[0];

/// `ECONNREFUSED`, by which the kernel reports a closed port.
pub(crate) const REFUSED: i32 = 111;

/// How long a packet takes at first.
pub(crate) const LATENCY: Duration = Duration::from_millis(1);

/// A packet on its way.
pub(crate) struct Flight {
    pub(crate) to: usize,
    pub(crate) link: LinkId,
    pub(crate) datagram: Vec<u8>,
    at: Instant,
}

/// Two hosts that know each other.
pub(crate) struct Pair {
    pub(crate) now: Instant,
    pub(crate) engines: [Engine; 2],
    pub(crate) routes: [Routes; 2],
    /// The events of each, in order.
    pub(crate) events: [Vec<Event>; 2],
    /// What was delivered to each, in order.
    pub(crate) delivered: [Vec<(Delivery, Vec<u8>)>; 2],
    /// Whether what this host sends on this link is lost.
    pub(crate) cut: [[bool; LinkId::COUNT as usize]; 2],
    /// Whether this host has no process: its machine answers each packet with "port unreachable".
    pub(crate) gone: [bool; 2],
    pub(crate) flying: VecDeque<Flight>,
    /// Where each of them is on each link; the other end of a static link knows only the first
    /// place.
    pub(crate) addresses: [[SocketAddr; LinkId::COUNT as usize]; 2],
    /// The packets to addresses without a host, in order.
    pub(crate) astray: Vec<(SocketAddr, Vec<u8>)>,
    /// How long a packet takes from now on.
    pub(crate) latency: Duration,
    /// The path MTU of every link; by default the least that every path takes.
    pub(crate) mtu: u16,
    /// The path MTU of single links, where it differs.
    pub(crate) narrow: [Option<u16>; LinkId::COUNT as usize],
    links: usize,
    policy: Policy,
}

impl Pair {
    /// Two hosts with so many links between them, all disabled.
    pub(crate) fn new(links: usize, policy: Policy) -> Self {
        let now = Instant::now();
        let mut pair = Self {
            now,
            engines: [A, B].map(|at| engine(now, at, 0)),
            routes: Default::default(),
            events: Default::default(),
            delivered: Default::default(),
            cut: Default::default(),
            gone: [false; 2],
            flying: VecDeque::new(),
            addresses: [A, B].map(|at| LinkId::ALL.map(|link| address(at, link))),
            astray: Vec::new(),
            latency: LATENCY,
            mtu: 576,
            narrow: [None; LinkId::COUNT as usize],
            links,
            policy,
        };
        pair.configure(A);
        pair.configure(B);
        pair
    }

    /// Two hosts with a link between them, both disabled. `B` does not know where `A` is, and would
    /// take it from anywhere.
    pub(crate) fn dynamic() -> Self {
        let mut pair = Self::new(1, Policy::Passive);
        let peer = LinkPeer::dynamic(socket(LINK), IpVersion::V4);
        pair.engines[B].clear_link(HOSTS[A], LINK).unwrap();
        pair.engines[B].add_link(pair.now, HOSTS[A], LINK, peer).unwrap();
        let (any, none) = (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
        let everybody = AclEntry::mask(AclAction::Accept, any, none).unwrap();
        pair.engines[B].add_acl_entry(HOSTS[A], LINK, everybody).unwrap();
        pair
    }

    /// Moves a host to another address, without a report to its peer.
    pub(crate) fn move_to(&mut self, at: usize, address: SocketAddr) {
        self.addresses[at][LINK.index()] = address;
    }

    /// Two hosts whose links have just come up.
    pub(crate) fn up(links: usize, policy: Policy) -> Self {
        let mut pair = Self::new(links, policy);
        pair.enable(A);
        pair.enable(B);
        pair.run(Duration::from_secs(6));
        for at in [A, B] {
            for link in pair.links() {
                assert!(pair.status(at, link).state.is_up(), "{link} of {at}");
            }
            pair.events[at].clear();
        }
        pair
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> + use<> {
        LinkId::ALL.into_iter().take(self.links)
    }

    /// Enables all links of one end.
    pub(crate) fn enable(&mut self, at: usize) {
        for link in self.links() {
            self.engines[at].set_link_enabled(self.now, HOSTS[1 - at], link, true).unwrap();
        }
        self.drain(at);
    }

    /// Puts a new process in the place of one that ends now, with its links enabled.
    pub(crate) fn restart(&mut self, at: usize) {
        self.engines[at] = engine(self.now, at, 1);
        self.gone[at] = false;
        self.routes[at] = Routes::default();
        self.configure(at);
        self.enable(at);
    }

    /// Removes the peer of a host from its configuration and adds it again, with its links enabled.
    pub(crate) fn replace_host(&mut self, at: usize) {
        let peer = HOSTS[1 - at];
        for link in self.links() {
            self.engines[at].set_link_enabled(self.now, peer, link, false).unwrap();
            self.engines[at].clear_link(peer, link).unwrap();
        }
        self.engines[at].remove_host(peer).unwrap();
        self.configure(at);
        self.enable(at);
    }

    /// Loses all that this host sends on any link from now on, or stops to lose it.
    pub(crate) fn set_cut(&mut self, from: usize, cut: bool) {
        self.cut[from] = [cut; LinkId::COUNT as usize];
    }

    pub(crate) fn status(&self, at: usize, link: LinkId) -> LinkStatus {
        self.engines[at].link_status(self.now, HOSTS[1 - at], link).unwrap()
    }

    pub(crate) fn reachable(&self, at: usize) -> bool {
        self.engines[at].host_status(HOSTS[1 - at]).unwrap().reachable
    }

    /// Lets everything happen that is due within this time.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.flying.front().map(|flight| (flight.at, None));
            let timer = |at: usize| Some((self.engines[at].poll_timeout()?, Some(at)));
            let next = [arrival, timer(A), timer(B)].into_iter().flatten().min();
            let Some((due, what)) = next.filter(|&(due, _)| due <= end) else { break };
            self.now = self.now.max(due);
            if let Some(at) = what {
                self.engines[at].handle_timeout(self.now);
                assert!(self.engines[at].poll_timeout().is_none_or(|next| next > self.now));
                self.drain(at);
            } else if let Some(Flight { to, link, datagram, .. }) = self.flying.pop_front() {
                if self.gone[to] {
                    self.report(1 - to, link);
                } else {
                    self.arrive(to, link, &datagram);
                }
            }
        }
        self.now = end;
    }

    /// The packets of a message as this host would send them now, by link.
    pub(crate) fn packets(&mut self, from: usize, message: &[u8]) -> Vec<(LinkId, Vec<u8>)> {
        let route = self.routes[from].get(HOSTS[1 - from]).expect("the peer is reachable");
        let sequence = self.engines[from].sequence().next();
        let plan = FragmentPlan::new(message.len(), route.data_mtu()).unwrap();
        let mut packets = Vec::new();
        for (_, link) in route.links_of_next_message() {
            for (fragment, bytes) in plan.iter() {
                packets.push((link.link, data(from, sequence, fragment, 3, &message[bytes])));
            }
        }
        packets
    }

    /// Sends a message and gives the links that it takes, one for each packet.
    pub(crate) fn send(&mut self, from: usize, message: &[u8]) -> Vec<LinkId> {
        let packets = self.packets(from, message);
        let links = packets.iter().map(|(link, _)| *link).collect();
        for (link, packet) in packets {
            self.fly(1 - from, link, packet);
        }
        links
    }

    /// Gives a packet to a host as if it came on this link from the other host.
    pub(crate) fn arrive(&mut self, to: usize, link: LinkId, datagram: &[u8]) {
        self.arrive_from(to, socket(link), self.addresses[1 - to][link.index()], datagram);
    }

    /// Reports to a host that nothing listens at the other end of this link. Anybody can do that.
    pub(crate) fn report(&mut self, to: usize, link: LinkId) {
        let destination = address(1 - to, link);
        self.engines[to].handle_transport_error(self.now, socket(link), destination, REFUSED);
        self.drain(to);
    }

    /// Gives a packet to a host.
    pub(crate) fn arrive_from(
        &mut self,
        to: usize,
        socket: SocketId,
        source: SocketAddr,
        datagram: &[u8],
    ) {
        let arrival = DatagramMeta { socket, source, local: None };
        match self.engines[to].handle_datagram(self.now, arrival, datagram) {
            Received::Message(delivery, range) => {
                self.delivered[to].push((delivery, datagram[range].to_vec()));
            }
            Received::Reassembled(delivery, message) => {
                self.delivered[to].push((delivery, message.bytes().to_vec()));
                self.engines[to].recycle(message);
            }
            _ => {}
        }
        self.drain(to);
    }

    /// The messages that were delivered since the last call.
    pub(crate) fn take_delivered(&mut self, at: usize) -> Vec<Vec<u8>> {
        self.delivered[at].drain(..).map(|(_, message)| message).collect()
    }

    pub(crate) fn take_events(&mut self, at: usize) -> Vec<Event> {
        std::mem::take(&mut self.events[at])
    }

    /// Does what a driver does after each call.
    pub(crate) fn drain(&mut self, at: usize) {
        while let Some(transmit) = self.engines[at].poll_transmit() {
            let (link, mut packet) = (transmit.link(), transmit.packet().to_vec());
            let LinkPath { socket: from, remote } = transmit.path();
            assert_eq!(from, socket(link));
            packet.resize(packet.len() + transmit.padding_len(), 0);
            transmit.record_sent(packet.len());
            if remote != self.addresses[1 - at][link.index()] {
                self.astray.push((remote, packet));
            } else {
                self.fly(1 - at, link, packet);
            }
        }
        while let Some(event) = self.engines[at].poll_event() {
            self.events[at].push(event);
        }
        if let Some(routes) = self.engines[at].poll_routes() {
            self.routes[at] = routes;
        }
    }

    fn fly(&mut self, to: usize, link: LinkId, datagram: Vec<u8>) {
        // A silent path: what is too long for it disappears.
        let mtu = self.narrow[link.index()].unwrap_or(self.mtu);
        let too_long = datagram.len() + 28 > usize::from(mtu);
        if !self.cut[1 - to][link.index()] && !too_long {
            self.flying.push_back(Flight { to, link, datagram, at: self.now + self.latency });
        }
    }

    fn configure(&mut self, at: usize) {
        let peer = HOSTS[1 - at];
        self.engines[at].add_host(peer).unwrap();
        self.engines[at].set_policy(self.now, peer, self.policy).unwrap();
        for link in self.links() {
            self.engines[at].add_link(self.now, peer, link, path(1 - at, link)).unwrap();
        }
    }
}

fn engine(now: Instant, at: usize, incarnation: u8) -> Engine {
    let cookie_key = [incarnation * 2 + at as u8; 16];
    Engine::new(now, &EngineConfig { host: HOSTS[at], cookie_key })
}

/// The path to a host on a link.
pub(crate) fn path(to: usize, link: LinkId) -> LinkPath {
    LinkPath { socket: socket(link), remote: address(to, link) }
}

pub(crate) fn socket(link: LinkId) -> SocketId {
    SocketId(u64::from(link.get()))
}

pub(crate) fn address(at: usize, link: LinkId) -> SocketAddr {
    ([10, 0, link.get(), HOSTS[at].get() as u8], 5405).into()
}

/// A message, or a fragment of one, as this host would send it.
pub(crate) fn data(
    from: usize,
    sequence: SequenceNumber,
    fragment: Fragment,
    channel: u8,
    bytes: &[u8],
) -> Vec<u8> {
    let header = DataHeader { sequence, compression: 0, broadcast: true, fragment, channel };
    [&header.encode(HOSTS[from])[..], bytes].concat()
}

/// Sequence number `n`.
pub(crate) fn number(n: u16) -> SequenceNumber {
    SequenceNumber::new(n)
}
