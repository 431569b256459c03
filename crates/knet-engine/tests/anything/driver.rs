//! An engine, its driver, and what must hold after each step.

use std::time::{Duration, Instant};

use knet_engine::{
    DatagramMeta, DeliveryToken, Engine, EngineConfig, LinkKind, LinkPath, LinkPeer, LinkState,
    Policy, Received, Routes, Transmit,
};
use knet_wire::{Body, HostId, IpVersion, LinkId, Packet, Ping, Pmtu};

use crate::admission::{Admission, check_way};
use crate::steps::{Step, path, place};

/// An engine and what its driver remembers.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    now: Instant,
    admission: Admission,
    /// Pings and probes that were not answered, and where they went.
    questions: Vec<(HostId, LinkPath, Question)>,
    /// Why the kernel refuses control packets, while it does.
    kernel_refuses: Option<i32>,
    latest: Option<DeliveryToken>,
    routes: Routes,
}

#[derive(Debug)]
enum Question {
    Ping(Ping),
    Probe(Pmtu),
}

impl Driver {
    pub(crate) fn new() -> Self {
        let now = Instant::now() + MARGIN;
        let config = EngineConfig { host: HostId::new(1), cookie_key: [5; 16] };
        Self {
            engine: Engine::new(now, &config),
            now,
            admission: Admission::default(),
            questions: Vec::new(),
            kernel_refuses: None,
            latest: None,
            routes: Routes::default(),
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        let now = self.now;
        let engine = &mut self.engine;
        match step {
            Step::AddHost(host) => drop(engine.add_host(host)),
            Step::RemoveHost(host) => drop(engine.remove_host(host)),
            Step::SetName(host, name) => drop(engine.set_host_name(host, &name)),
            Step::SetPolicy(host, policy) => drop(engine.set_policy(now, host, policy)),
            Step::AddLink(host, link) => drop(engine.add_link(now, host, link, path(host, link))),
            Step::AddDynamic(host, link, socket, version) => {
                drop(engine.add_link(now, host, link, LinkPeer::dynamic(socket, version)));
            }
            Step::AddLoopback(host, link) => {
                drop(engine.add_link(now, host, link, LinkPeer::Loopback));
            }
            Step::ClearLink(host, link) => drop(engine.clear_link(host, link)),
            Step::Enable(host, link, on) => drop(engine.set_link_enabled(now, host, link, on)),
            Step::InsertEntry(host, link, index, entry) => {
                drop(engine.insert_acl_entry(host, link, index, entry));
            }
            Step::RemoveEntry(host, link, entry) => {
                drop(engine.remove_acl_entry(host, link, entry));
            }
            Step::ClearList(host, link) => drop(engine.clear_acl(host, link)),
            Step::AccessLists(on) => engine.set_access_lists(on),
            Step::SetTimers(host, link, timers) => {
                drop(engine.set_ping_timers(now, host, link, timers));
            }
            Step::SetPongCount(host, link, count) => {
                drop(engine.set_pong_count(host, link, count));
            }
            Step::SetPriority(host, link, to) => drop(engine.set_priority(now, host, link, to)),
            Step::SetMtu(onwire) => drop(engine.set_manual_mtu(now, onwire)),
            Step::SetMtuInterval(interval) => drop(engine.set_mtu_interval(interval)),
            Step::MtuLimit(socket, to, limit) => engine.handle_mtu_limit(now, socket, to, limit),
            Step::MtuSuggestion(socket, to, limit) => {
                engine.handle_mtu_suggestion(now, socket, to, limit);
            }
            Step::TransportError(socket, to, errno) => {
                engine.handle_transport_error(now, socket, to, errno);
            }
            Step::KernelRefuses(errno) => self.kernel_refuses = errno,
            Step::ForcePings => engine.force_pings(now),
            Step::Wait(time) => self.now += time,
            Step::Sleep => {
                // Timers may be set to centuries, more of which the clock cannot add up.
                let next = engine.poll_timeout().filter(|&next| next < now + MARGIN);
                self.now = next.unwrap_or(now).max(now);
            }
            Step::Rewind(time) => self.now -= time,
            Step::Datagram(arrival, datagram) => self.receive(arrival, &datagram),
            Step::FromPeer(host, link, datagram) => {
                let status = engine.link_status(now, host, link).ok();
                if let Some((socket, source)) = status.and_then(|it| it.socket.zip(it.remote)) {
                    self.receive(DatagramMeta { socket, source, local: None }, &datagram);
                }
            }
            Step::Answer => self.answer(None),
            Step::Overheard(at) => self.answer(Some(at)),
            Step::DeliveryFailed => {
                if let Some(token) = self.latest.take() {
                    engine.undelivered(token);
                }
            }
            Step::CountMessages(count) => {
                let sequence = engine.sequence();
                for _ in 0..count {
                    sequence.next();
                }
            }
        }
    }

    fn receive(&mut self, arrival: DatagramMeta, datagram: &[u8]) {
        let (received, transmits) =
            self.admission.receive(&mut self.engine, self.now, arrival, datagram);
        match received {
            Received::Message(delivery, range) => {
                assert!(!datagram[range].is_empty());
                self.latest = Some(delivery.token);
            }
            Received::Reassembled(delivery, message) => {
                assert!((2..=65_536).contains(&message.bytes().len()));
                self.latest = Some(delivery.token);
                self.engine.recycle(message);
            }
            _ => {}
        }
        for transmit in transmits {
            self.send(transmit);
        }
    }

    /// Answers every ping and probe since the last call, from their destinations or from elsewhere.
    fn answer(&mut self, elsewhere: Option<u8>) {
        for (host, path, question) in std::mem::take(&mut self.questions) {
            let LinkPath { socket, remote } = path;
            let version = if remote.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
            let source = elsewhere.map_or(remote, |at| place(version, at));
            let arrival = DatagramMeta { socket, source, local: None };
            match question {
                Question::Ping(ping) => self.receive(arrival, &ping.encode_pong(host)),
                Question::Probe(probe) => self.receive(arrival, &probe.encode_reply(host)),
            }
            self.drain();
        }
    }

    /// Sends a packet, or reports that the kernel refused it.
    fn send(&mut self, transmit: Transmit) {
        let packet = Packet::decode(transmit.packet()).expect("we send what we accept");
        let (host, link) = (transmit.host(), transmit.link());
        if let Some(errno) = self.kernel_refuses {
            if let Some(size) = transmit.probe_size() {
                self.engine.handle_probe_refused(self.now, host, link, size);
            } else if transmit.is_ping() {
                self.engine.handle_ping_refused(self.now, host, link, errno);
            }
            return transmit.record_error();
        }
        match packet.body {
            Body::Ping(ping) => self.questions.push((host, transmit.path(), Question::Ping(ping))),
            Body::PmtuProbe(probe) => {
                self.questions.push((host, transmit.path(), Question::Probe(probe)));
            }
            _ => {}
        }
        self.admission.sent(&transmit);
        transmit.record_sent(26);
    }

    /// Drains the outputs as a driver does, and checks what must hold then.
    pub(crate) fn drain(&mut self) {
        self.engine.handle_timeout(self.now);
        let next = self.engine.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "the driver would never sleep");
        let mut sent = 0;
        while let Some(transmit) = self.engine.poll_transmit() {
            check_way(&self.engine, self.now, &transmit, None);
            self.send(transmit);
            sent += 1;
            assert!(sent < MOST_TRANSMITS, "the driver would never come to an end");
        }
        while self.engine.poll_event().is_some() {}
        if let Some(routes) = self.engine.poll_routes() {
            self.routes = routes;
        }
        let hosts = self.engine.hosts().count();
        assert!(self.engine.reassembly_memory() <= (64 << 20) + hosts * (128 << 10));
        self.check_hosts();
    }

    fn check_hosts(&self) {
        for host in self.engine.hosts() {
            let status = self.engine.host_status(host).expect("it is listed");
            assert_eq!(self.engine.host_by_name(&status.name), Ok(host));
            let links: Vec<_> = self.engine.links(host).expect("it is listed").collect();
            let up: Vec<_> = links.iter().copied().filter(|&link| self.is_up(host, link)).collect();
            assert_eq!(status.reachable, !up.is_empty());
            assert_eq!(status.data_mtu.is_some(), status.reachable);
            if status.policy == Policy::Passive {
                assert!(status.active_links.len() <= 1);
                assert!(status.active_links.iter().all(|link| up.contains(link)));
            } else {
                assert_eq!(status.active_links, up);
            }
        }
        for route in self.routes.hosts() {
            for link in route.links() {
                let status = self.engine.link_status(self.now, route.host(), link.link);
                let remote = status.expect("data goes there").remote;
                assert_eq!(link.path.map(|path| path.remote), remote, "data goes elsewhere");
            }
        }
    }

    /// Returns `true` if a link is up, after checking that it may be.
    pub(crate) fn is_up(&self, host: HostId, link: LinkId) -> bool {
        let status = self.engine.link_status(self.now, host, link).expect("it is listed");
        let is_up = status.state == LinkState::Up;
        assert!(status.enabled || !is_up, "a disabled link is up");
        assert!(status.peer_known || !is_up, "a link without a peer is up");
        let list = self.engine.acl(host, link).expect("it is listed");
        match status.kind {
            LinkKind::Dynamic => {
                assert!(status.enabled || !status.peer_known, "a disabled link knows a peer");
                let is_twice = |(at, entry)| list[..at].contains(entry);
                assert!(!list.iter().enumerate().any(is_twice), "{list:?}");
            }
            LinkKind::Loopback => {
                assert_eq!((host, links_of(&self.engine, host)), (self.engine.own_id(), 1));
                assert!(is_up == status.enabled && list.is_empty());
            }
            _ => assert!(list.is_empty()),
        }
        is_up
    }
}

fn links_of(engine: &Engine, host: HostId) -> usize {
    engine.links(host).map_or(0, Iterator::count)
}

/// No clock of a test is further from its start than this.
const MARGIN: Duration = Duration::from_secs(100 * 365 * 86_400);
/// No call brings about so many packets.
const MOST_TRANSMITS: usize = 1000;
