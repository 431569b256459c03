//! The engines, the packets in transit, and the invariants.

use std::time::{Duration, Instant};

use knet_engine::{
    DatagramMeta, Engine, EngineConfig, FragmentPlan, LinkPath, LinkPeer, Policy, Received, Routes,
    Transmit,
};
use knet_wire::{
    Body, DataHeader, Fragment, FragmentPart, LinkId, MAX_MESSAGE, Packet, SequenceNumber,
};

use crate::admission::{Admission, check_way};
use crate::places::{
    HOSTS, PLACES, address, entry_of, id, is_dynamic, link_of, links, peer_of, resident, socket,
};
use crate::step::{Entry, Step};

/// A packet in transit.
#[derive(Clone)]
struct Flight {
    from: usize,
    /// The address of the sender.
    place: u8,
    to: usize,
    link: LinkId,
    datagram: Vec<u8>,
}

pub(crate) struct World {
    now: Instant,
    hosts: Vec<Host>,
    flying: Vec<Flight>,
}

/// An engine and the state of its driver.
struct Host {
    engine: Engine,
    admission: Admission,
    routes: Routes,
    /// Its address on links that are dynamic at the other end.
    place: u8,
}

impl World {
    /// All links are up.
    pub(crate) fn new() -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let mut world = Self { now, hosts: Vec::new(), flying: Vec::new() };
        for own in 0..HOSTS {
            let config = EngineConfig { host: id(own), cookie_key: [own as u8; 16] };
            let mut engine = Engine::new(now, &config);
            for peer in (0..HOSTS).filter(|&peer| peer != own) {
                engine.add_host(id(peer)).expect("each host is new");
            }
            let (admission, routes) = Default::default();
            world.hosts.push(Host { engine, admission, routes, place: 0 });
            for peer in (0..HOSTS).filter(|&peer| peer != own) {
                links().for_each(|link| world.add(own, peer, link));
            }
        }
        for at in 0..HOSTS {
            world.drain(at);
        }
        // On a dynamic link: a ping, a ping in return, its pong; then the pong to the first ping.
        for _ in 0..4 {
            world.take(Step::DeliverAll);
        }
        for (at, peer) in (0..HOSTS).flat_map(|at| (0..HOSTS).map(move |peer| (at, peer))) {
            for link in links().filter(|_| at != peer) {
                let status = world.hosts[at].engine.link_status(now, id(peer), link);
                assert!(status.is_ok_and(|status| status.state.is_up()), "the link comes up");
            }
        }
        world
    }

    /// Adds a link that accepts its peer from any address, unless it exists.
    fn add(&mut self, at: usize, peer: usize, link: LinkId) {
        let (now, engine) = (self.now, &mut self.hosts[at].engine);
        if engine.add_link(now, id(peer), link, peer_of(at, peer, link)).is_err() {
            return;
        }
        let all = Entry { accept: true, kind: 2, host: 0, place: 0, last: 0 };
        if let Some(all) = entry_of(all, link).filter(|_| is_dynamic(at, peer, link)) {
            engine.add_acl_entry(id(peer), link, all).expect("it is dynamic, the list is empty");
        }
        engine.set_pong_count(id(peer), link, 1).expect("it was added");
        engine.set_link_enabled(now, id(peer), link, true).expect("it was added");
    }

    pub(crate) fn take(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Wait { ms } => self.wait(Duration::from_millis(ms.into())),
            Step::Rewind { ms } => self.now -= Duration::from_millis(ms.into()),
            Step::Deliver { nth } => {
                if let Some(flight) = self.pick(nth) {
                    self.arrive(&flight);
                }
            }
            Step::DeliverAll => {
                for flight in std::mem::take(&mut self.flying) {
                    self.arrive(&flight);
                }
            }
            Step::Lose { nth } => drop(self.pick(nth)),
            Step::Copy { nth } => {
                if let Some(flight) = self.pick(nth) {
                    self.flying.extend([flight.clone(), flight]);
                }
            }
            Step::Change { nth, at, to } => self.change(nth, |flight| {
                if let Some(byte) = flight.datagram.get_mut(usize::from(at)) {
                    *byte = to;
                }
            }),
            Step::Cut { nth, to } => self.change(nth, |flight| flight.datagram.truncate(to.into())),
            Step::Move { nth, from, place, to, link } => self.change(nth, |flight| {
                flight.from = usize::from(from) % (HOSTS + 1);
                flight.place = place % PLACES;
                flight.to = usize::from(to) % HOSTS;
                flight.link = link_of(link);
            }),
            Step::Forge { from, place, to, link, datagram } => {
                self.forge(from, place, to, link, datagram);
            }
            Step::Data { from, to, link, sequence, index, count, channel, len } => {
                let part = FragmentPart::new(index, count);
                let fragment = part.map_or(Fragment::Whole, Fragment::Part);
                let sequence = SequenceNumber::new(sequence);
                let header =
                    DataHeader { sequence, compression: 0, broadcast: true, fragment, channel };
                let header = header.encode(id(usize::from(from) % HOSTS));
                self.forge(from, 0, to, link, [&header[..], &vec![7; len.into()]].concat());
            }
            Step::Send { from, len } => self.send(usize::from(from) % HOSTS, len.into()),
            Step::Skip { from, numbers } => {
                let sequence = self.hosts[usize::from(from) % HOSTS].engine.sequence();
                for _ in 0..numbers {
                    sequence.next();
                }
            }
            Step::Relocate { host, place } => {
                self.hosts[usize::from(host) % HOSTS].place = place % PLACES;
            }
            Step::ForcePings { at } => self.engine_of(at).force_pings(now),
            Step::ManualMtu { at, mtu } => drop(self.engine_of(at).set_manual_mtu(now, mtu)),
            Step::AccessLists { at, on } => self.engine_of(at).set_access_lists(on),
            Step::Loopback { at, on } => self.loopback(usize::from(at) % HOSTS, on),
            step => self.configure(step),
        }
    }

    /// Takes a step about a link, or about an error of the kernel on it.
    fn configure(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Enable { at, peer, link, on } => {
                let (engine, peer) = self.engine(at, peer);
                drop(engine.set_link_enabled(now, id(peer), link_of(link), on));
            }
            Step::Policy { at, peer, policy } => {
                let policies = [Policy::Passive, Policy::Active, Policy::RoundRobin];
                let (engine, peer) = self.engine(at, peer);
                drop(engine.set_policy(now, id(peer), policies[usize::from(policy) % 3]));
            }
            Step::Clear { at, peer, link } => {
                let (engine, peer) = self.engine(at, peer);
                drop(engine.set_link_enabled(now, id(peer), link_of(link), false));
                drop(engine.clear_link(id(peer), link_of(link)));
            }
            Step::Add { at, peer, link } => {
                let (_, peer) = self.engine(at, peer);
                self.add(usize::from(at) % HOSTS, peer, link_of(link));
            }
            Step::Insert { at, peer, link, index, entry } => {
                let ((engine, peer), link) = (self.engine(at, peer), link_of(link));
                let Some(entry) = entry_of(entry, link) else { return };
                drop(engine.insert_acl_entry(id(peer), link, index.into(), entry));
            }
            Step::Remove { at, peer, link, entry } => {
                let ((engine, peer), link) = (self.engine(at, peer), link_of(link));
                let Some(entry) = entry_of(entry, link) else { return };
                drop(engine.remove_acl_entry(id(peer), link, entry));
            }
            Step::ClearList { at, peer, link } => {
                let (engine, peer) = self.engine(at, peer);
                drop(engine.clear_acl(id(peer), link_of(link)));
            }
            Step::Refused { at, peer, link, size } => {
                let (engine, peer) = self.engine(at, peer);
                engine.handle_probe_refused(now, id(peer), link_of(link), size);
            }
            Step::PingRefused { at, peer, link, errno } => {
                let (engine, peer) = self.engine(at, peer);
                engine.handle_ping_refused(now, id(peer), link_of(link), errno);
            }
            Step::Limit { at, peer, link, limit, sure } => {
                let path = self.path(at, peer, link);
                let (engine, _) = self.engine(at, peer);
                if sure {
                    engine.handle_mtu_limit(now, path.socket, path.remote.ip(), limit);
                } else {
                    engine.handle_mtu_suggestion(now, path.socket, path.remote.ip(), limit);
                }
            }
            Step::Unreachable { at, peer, link, errno } => {
                let path = self.path(at, peer, link);
                let (engine, _) = self.engine(at, peer);
                engine.handle_transport_error(now, path.socket, path.remote, errno);
            }
            _ => {}
        }
    }

    /// Adds a link to the host itself, or removes it with the host.
    fn loopback(&mut self, at: usize, on: bool) {
        let (now, engine, own) = (self.now, &mut self.hosts[at].engine, id(at));
        let link = link_of(0);
        if on {
            drop(engine.add_host(own));
            drop(engine.add_link(now, own, link, LinkPeer::Loopback));
            drop(engine.set_link_enabled(now, own, link, true));
        } else {
            drop(engine.set_link_enabled(now, own, link, false));
            drop(engine.clear_link(own, link));
            drop(engine.remove_host(own));
        }
    }

    /// Lets time pass; timers are served as they expire, a bounded number of times.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..MAX_WAKEUPS {
            let due = |at: usize| Some((self.hosts[at].engine.poll_timeout()?, at));
            let Some((at, host)) = (0..HOSTS).filter_map(due).min().filter(|&(at, _)| at <= end)
            else {
                break;
            };
            self.now = self.now.max(at);
            self.drain(host);
        }
        self.now = end;
    }

    fn pick(&mut self, nth: u8) -> Option<Flight> {
        let nth = usize::from(nth).checked_rem(self.flying.len())?;
        Some(self.flying.swap_remove(nth))
    }

    fn change(&mut self, nth: u8, change: impl FnOnce(&mut Flight)) {
        let Some(nth) = usize::from(nth).checked_rem(self.flying.len()) else { return };
        change(&mut self.flying[nth]);
    }

    fn forge(&mut self, from: u8, place: u8, to: u8, link: u8, datagram: Vec<u8>) {
        let (from, to) = (usize::from(from) % (HOSTS + 1), usize::from(to) % HOSTS);
        let (place, link) = (place % PLACES, link_of(link));
        self.arrive(&Flight { from, place, to, link, datagram });
    }

    fn arrive(&mut self, flight: &Flight) {
        let Flight { from, place, to, link, datagram } = flight;
        let source = address(*from, *place, *link);
        let arrival = DatagramMeta { socket: socket(*to, *from, *link), source, local: None };
        let Host { engine, admission, .. } = &mut self.hosts[*to];
        let (received, transmits) = admission.receive(engine, self.now, arrival, datagram);
        match received {
            Received::Message(_, range) => assert!(!datagram[range].is_empty()),
            Received::Reassembled(delivery, message) => {
                assert!((2..=MAX_MESSAGE).contains(&message.bytes().len()));
                engine.recycle(message);
                engine.undelivered(delivery.token);
            }
            _ => {}
        }
        for transmit in transmits {
            self.transmit(*to, transmit);
        }
        self.drain(*to);
    }

    /// Sends a message to all hosts by the current routes.
    fn send(&mut self, from: usize, len: usize) {
        let Host { engine, routes, .. } = &self.hosts[from];
        let (sequence, routes) = (engine.sequence().next(), routes.clone());
        for route in routes.hosts() {
            let Ok(plan) = FragmentPlan::new(len.max(1), route.data_mtu()) else { continue };
            for (_, link) in route.links_of_next_message() {
                let Some(path) = link.path else { continue };
                for (fragment, bytes) in plan.iter() {
                    let header = DataHeader {
                        sequence,
                        compression: 0,
                        broadcast: true,
                        fragment,
                        channel: 0,
                    };
                    let datagram = [&header.encode(id(from))[..], &vec![1; bytes.len()]].concat();
                    self.fly(from, link.link, path, datagram);
                }
            }
        }
    }

    /// Does what a driver does after each call, and checks the invariants.
    pub(crate) fn drain(&mut self, at: usize) {
        let (now, engine) = (self.now, &mut self.hosts[at].engine);
        engine.handle_timeout(now);
        let next = engine.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "host {at} would never sleep");
        while let Some(transmit) = self.hosts[at].engine.poll_transmit() {
            check_way(&self.hosts[at].engine, now, &transmit, None);
            self.transmit(at, transmit);
        }
        let Host { engine, routes, .. } = &mut self.hosts[at];
        while engine.poll_event().is_some() {}
        if let Some(changed) = engine.poll_routes() {
            *routes = changed;
        }
        assert!(engine.reassembly_memory() <= 64 << 20);
        for peer in (0..HOSTS).filter(|&peer| peer != at) {
            for status in links().filter_map(|link| engine.link_status(now, id(peer), link).ok()) {
                assert!((1..=MAX_MESSAGE).contains(&status.data_mtu), "{status:?}");
                assert!(status.path_mtu.is_none_or(|mtu| (576..=65_535).contains(&mtu)));
                assert!(status.peer_known || !status.state.is_up(), "{status:?}");
            }
        }
    }

    fn transmit(&mut self, from: usize, transmit: Transmit) {
        let datagram = [transmit.packet(), &vec![0; transmit.padding_len()]].concat();
        self.fly(from, transmit.link(), transmit.path(), datagram);
        self.hosts[from].admission.sent(&transmit);
        transmit.record_sent(26);
    }

    /// Sends a packet to the host at its destination. A stranger answers each ping as if it were
    /// the intended host.
    fn fly(&mut self, from: usize, link: LinkId, path: LinkPath, datagram: Vec<u8>) {
        let Some((to, to_place)) = resident(path.remote, link) else { return };
        let flight = if to == HOSTS {
            let Ok(Packet { body: Body::Ping(ping), .. }) = Packet::decode(&datagram) else {
                return;
            };
            // The last of the hosts with unknown addresses.
            let datagram = ping.encode_pong(id(HOSTS - 1)).to_vec();
            Flight { from: HOSTS, place: to_place, to: from, link, datagram }
        } else {
            let place =
                |at, peer| if is_dynamic(peer, at, link) { self.hosts[at].place } else { 0 };
            if to_place != place(to, from) {
                return;
            }
            Flight { from, place: place(from, to), to, link, datagram }
        };
        if self.flying.len() < MAX_FLYING {
            self.flying.push(flight);
        }
    }

    fn engine_of(&mut self, at: u8) -> &mut Engine {
        &mut self.hosts[usize::from(at) % HOSTS].engine
    }

    /// Identifies an engine and one of its peers.
    fn engine(&mut self, at: u8, peer: u8) -> (&mut Engine, usize) {
        let at = usize::from(at) % HOSTS;
        (&mut self.hosts[at].engine, (at + 1 + usize::from(peer) % (HOSTS - 1)) % HOSTS)
    }

    /// Returns the path to a peer.
    fn path(&mut self, at: u8, peer: u8, link: u8) -> LinkPath {
        let ((_, peer), at, link) = (self.engine(at, peer), usize::from(at) % HOSTS, link_of(link));
        let place = if is_dynamic(at, peer, link) { self.hosts[peer].place } else { 0 };
        LinkPath { socket: socket(at, peer, link), remote: address(peer, place, link) }
    }
}

const MAX_FLYING: usize = 256;
const MAX_WAKEUPS: usize = 300;
