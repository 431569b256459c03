//! A cluster in virtual time: hosts with an engine each, the network between them, and a ledger
//! that judges all they do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use knet_engine::{DatagramMeta, Event, PingTimers, Policy, Received};
use knet_wire::{HostId, LinkId, MAX_ONWIRE, SequenceNumber};

use crate::invariants::Ledger;
use crate::message::{Life, MessageId};
use crate::network::{Flight, Network, Path, Weather};
use crate::node::{Node, Target, address, socket};

/// What a cluster is made from.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Hosts 1, 2, ….
    pub(crate) hosts: u16,
    /// Links between each two of them, 1 to 3.
    pub(crate) links: u8,
    pub(crate) policy: Policy,
    pub(crate) timers: PingTimers,
    pub(crate) pong_count: u8,
    pub(crate) weather: Weather,
    pub(crate) shape: Shape,
}

/// Who has links to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Everybody to everybody.
    Mesh,
    /// Host 1 to everybody, and the others each to the next one.
    Wheel,
}

impl Plan {
    pub(crate) const fn new(hosts: u16, links: u8, policy: Policy) -> Self {
        let second = Duration::from_secs(1);
        let timers =
            PingTimers { interval: second, timeout: Duration::from_secs(2), precision: 2048 };
        Self {
            hosts,
            links,
            policy,
            timers,
            pong_count: 5,
            weather: Weather::CLEAR,
            shape: Shape::Mesh,
        }
    }

    pub(crate) fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (1..=self.hosts).map(HostId::new)
    }

    pub(crate) fn link_ids(&self) -> impl Iterator<Item = LinkId> + use<> {
        LinkId::ALL.into_iter().take(usize::from(self.links))
    }

    /// The hosts to which a host has links.
    pub(crate) fn peers_of(&self, host: HostId) -> impl Iterator<Item = HostId> + use<> {
        let (own, hosts, shape) = (host.get(), self.hosts, self.shape);
        let linked = move |peer: u16| match shape {
            Shape::Mesh => true,
            Shape::Wheel => own == 1 || peer == 1 || own.abs_diff(peer) == 1,
        };
        (1..=hosts).filter(move |&peer| peer != own && linked(peer)).map(HostId::new)
    }

    /// All directions of all links.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        for from in self.host_ids() {
            for to in self.peers_of(from) {
                paths.extend(self.link_ids().map(|link| Path { from, to, link }));
            }
        }
        paths
    }
}

pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
    /// The hosts that are running.
    pub(crate) nodes: BTreeMap<HostId, Node>,
    /// When each of them next does something of its own accord.
    wakeups: BTreeSet<(Instant, HostId)>,
    /// Who each host is by now, or was when it stopped.
    lives: BTreeMap<HostId, Life>,
    /// Whether a host that is not running is reported to those who send to it.
    pub(crate) refuses: bool,
    /// The longest IP packet that the hosts' kernels send, in bytes. They report this limit.
    pub(crate) interface: usize,
    /// Since when that is so.
    pub(crate) interface_since: Instant,
}

impl Cluster {
    /// Starts all hosts.
    pub(crate) fn start(seed: u64, plan: Plan) -> Self {
        let now = Instant::now();
        let mut cluster = Self {
            now,
            network: Network::new(seed, now, plan.weather),
            ledger: Ledger::default(),
            plan,
            nodes: BTreeMap::new(),
            wakeups: BTreeSet::new(),
            lives: BTreeMap::new(),
            refuses: false,
            interface: MAX_ONWIRE,
            interface_since: now,
        };
        for host in cluster.plan.host_ids() {
            cluster.start_host(host);
        }
        cluster
    }

    /// Starts all hosts and waits until every link is up.
    pub(crate) fn start_and_settle(seed: u64, plan: Plan) -> Self {
        let mut cluster = Self::start(seed, plan);
        cluster.heal();
        let weather = cluster.plan.weather;
        cluster.set_weather(weather);
        cluster
    }

    /// Starts a host that is not running, with an engine that knows nothing of the past.
    pub(crate) fn start_host(&mut self, host: HostId) {
        let incarnation = self.lives.get(&host).map_or(0, |life| life.incarnation + 1);
        let life = Life { host, incarnation };
        self.lives.insert(host, life);
        let mut cookie_key = [0; 16];
        self.network.rng.fill(&mut cookie_key);
        let node = Node::start(self.now, life, &self.plan, cookie_key);
        assert!(self.nodes.insert(host, node).is_none(), "{host} runs already");
        self.drain(host);
    }

    /// Stops a host as a crash would.
    pub(crate) fn stop_host(&mut self, host: HostId) {
        self.set_wakeup(host, None);
        self.nodes.remove(&host);
    }

    /// Lets a host's event loop stand still from now on for so long.
    pub(crate) fn stall(&mut self, host: HostId, time: Duration) {
        let until = self.now + time;
        let node = self.node(host);
        let until = node.stalled_until.map_or(until, |other| other.max(until));
        node.stalled_until = Some(until);
        node.steady_since = until;
        self.drain(host);
    }

    /// Sets a host's clock forward, which it only notices when it next looks at it.
    pub(crate) fn jump(&mut self, host: HostId, time: Duration) {
        let now = self.now;
        self.ledger.clock_jumps(self.life(host));
        let node = self.node(host);
        node.ahead += time;
        node.steady_since = node.steady_since.max(now);
        self.drain(host);
    }

    /// Suspends the machine of a host for so long: its clock stands still, and what is sent to it is
    /// lost.
    pub(crate) fn suspend(&mut self, host: HostId, time: Duration) {
        self.set_wakeup(host, None);
        let Some(mut node) = self.nodes.remove(&host) else { panic!("host {host} does not run") };
        self.run_for(time);
        node.behind += time;
        node.steady_since = self.now;
        self.nodes.insert(host, node);
        self.drain(host);
    }

    /// Gives the hosts interfaces that take packets of so many bytes.
    pub(crate) fn set_interface(&mut self, mtu: usize) {
        (self.interface, self.interface_since) = (mtu, self.now);
    }

    /// Gives all paths the same weather.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.network.set_all(self.now, weather);
    }

    /// Gives one direction of a link a weather of its own.
    pub(crate) fn set_weather_of(&mut self, path: Path, weather: Weather) {
        self.network.set(self.now, path, weather);
    }

    pub(crate) fn node(&mut self, host: HostId) -> &mut Node {
        self.nodes.get_mut(&host).unwrap_or_else(|| panic!("host {host} does not run"))
    }

    pub(crate) fn is_running(&self, host: HostId) -> bool {
        self.nodes.contains_key(&host)
    }

    pub(crate) fn life(&self, host: HostId) -> Life {
        self.lives[&host]
    }

    /// Sends a message, unless no host is reachable.
    pub(crate) fn send(
        &mut self,
        from: HostId,
        target: Target,
        len: usize,
        channel: u8,
    ) -> Option<MessageId> {
        let now = self.now;
        let (id, flights) = self.hold(from, target, len, channel)?;
        for flight in flights {
            if flight.onwire <= self.interface {
                self.network.send(now, flight);
            } else {
                self.refuse(from, flight.path);
            }
        }
        Some(id)
    }

    /// Prepares a message, unless no host is reachable. Returns its packets, which have not left.
    pub(crate) fn hold(
        &mut self,
        from: HostId,
        target: Target,
        len: usize,
        channel: u8,
    ) -> Option<(MessageId, Vec<Flight>)> {
        let now = self.now;
        let node = self.node(from);
        let message = node.message(node.clock(now), target, len, channel);
        // Forced pings go out before the message that caused them.
        self.drain(from);
        let (id, sent, flights) = message?;
        self.ledger.sent(id, sent);
        Some((id, flights))
    }

    /// Takes a new number for a message that waits.
    pub(crate) fn next_number(&mut self, host: HostId) -> SequenceNumber {
        let now = self.now;
        let node = self.node(host);
        let number = node.next_number(node.clock(now));
        self.drain(host);
        number
    }

    /// Makes all paths clear and waits until every link is up, which may take no longer than
    /// [`Plan::recovery`].
    pub(crate) fn heal(&mut self) {
        self.network.clear_up(self.now);
        self.run_for(self.plan.recovery());
        let now = self.now;
        for path in self.plan.paths() {
            let engine = &self.node(path.from).engine;
            let status = engine.link_status(now, path.to, path.link).unwrap();
            assert!(status.state.is_up(), "{path:?} is {}: {status:?}", status.state);
        }
        for host in self.plan.host_ids() {
            assert_eq!(self.node(host).routes.len(), self.plan.peers_of(host).count());
        }
    }

    /// Waits until no part of a message can be on its way or kept, and checks what is left behind.
    pub(crate) fn finish(mut self) {
        self.run_for(Duration::from_secs(15));
        for Node { life, engine, .. } in self.nodes.values() {
            assert_eq!(engine.reassembly_memory(), 0, "{life:?} still holds fragments");
            // Only the network touched packets, so no host may have found one invalid.
            let drops = engine.drops();
            let strange = [
                drops.malformed,
                drops.unknown_host,
                drops.unknown_link,
                drops.wrong_source,
                drops.compressed,
            ];
            assert_eq!(strange, [0; 5], "{life:?}: {drops:?}");
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Lets everything happen that is due until then, and looks whether all is well with the links.
    pub(crate) fn run_until(&mut self, end: Instant) {
        loop {
            let timer = self.wakeups.first().copied().filter(|&(at, _)| at <= end);
            let arrival = self.network.next_arrival().filter(|&at| at <= end);
            match (timer, arrival) {
                (Some((due, host)), None) => self.wake(due, host),
                (Some((due, host)), Some(arrival)) if due < arrival => self.wake(due, host),
                (_, Some(arrival)) => self.arrive(arrival),
                (None, None) => break,
            }
        }
        self.now = end;
        if self.plan.hosts <= ALWAYS_JUDGED {
            self.judge_links();
        }
    }

    fn wake(&mut self, due: Instant, host: HostId) {
        self.now = self.now.max(due);
        let now = self.now;
        let node = self.node(host);
        node.wakeups += 1;
        node.stalled_until = None;
        let clock = node.clock(now);
        node.engine.handle_timeout(clock);
        let next = node.engine.poll_timeout();
        assert!(next.is_none_or(|next| next > clock), "host {host} would never sleep");
        self.drain(host);
        // A loop that stood still finds its timers due first, and then what came meanwhile.
        while let Some(flight) = self.node(host).inbox.pop_front() {
            self.receive(flight);
            self.drain(host);
        }
    }

    fn arrive(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let now = self.now;
        let Some(flight) = self.network.land() else { return };
        let Path { from, to, link } = flight.path;
        if let Some(node) = self.nodes.get_mut(&to) {
            if node.stalled_until.is_some() {
                node.inbox.push_back(flight);
            } else {
                self.receive(flight);
                self.drain(to);
            }
        } else if let Some(node) = self.nodes.get_mut(&from).filter(|_| self.refuses) {
            let (clock, address) = (node.clock(now), address(to, link));
            node.engine.handle_transport_error(clock, socket(link), address, ECONNREFUSED);
            self.drain(from);
        }
    }

    fn receive(&mut self, flight: Flight) {
        let Flight { path, datagram, frame, .. } = flight;
        let sender = self.lives[&path.from];
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&path.to) else { return };
        let clock = node.clock(now);
        let arrival = DatagramMeta {
            socket: socket(path.link),
            source: address(path.from, path.link),
            local: None,
        };
        let refused = node.engine.drops().not_reachable;
        match node.engine.handle_datagram(clock, arrival, &datagram) {
            Received::Message(delivery, range) => {
                self.ledger.delivered(node.life, &delivery, &datagram[range]);
            }
            Received::Reassembled(delivery, message) => {
                self.ledger.delivered(node.life, &delivery, message.bytes());
                node.engine.recycle(message);
            }
            _ => {}
        }
        if let Some(frame) = frame.filter(|_| node.engine.drops().not_reachable == refused) {
            self.ledger.arrived(node.life, sender, frame);
        }
    }

    /// Drains the outputs in the order that the contract with a driver specifies.
    fn drain(&mut self, host: HostId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&host) else { return };
        let clock = node.clock(now);
        loop {
            if let Some(routes) = node.engine.poll_routes() {
                node.routes = routes;
            }
            while let Some(event) = node.engine.poll_event() {
                node.events.push((now, event));
            }
            let Some(transmit) = node.engine.poll_transmit() else { break };
            let (peer, link, probe) = (transmit.host(), transmit.link(), transmit.probe_size());
            let flight = node.control(transmit);
            if flight.onwire <= self.interface {
                self.network.send(now, flight);
            } else if let Some(size) = probe {
                let (limit, to) = (self.interface as u32, address(peer, link).ip());
                node.engine.handle_mtu_limit(clock, socket(link), to, limit);
                node.engine.handle_probe_refused(clock, peer, link, size);
            }
        }
        let held = node.engine.reassembly_memory();
        assert!(held <= MEMORY_A_PEER * usize::from(self.plan.hosts), "{held} bytes of fragments");
        let next = node.next_wakeup();
        self.set_wakeup(host, next);
    }

    /// The kernel does not let a data packet go, for its length.
    fn refuse(&mut self, from: HostId, path: Path) {
        let (now, limit) = (self.now, self.interface as u32);
        let node = self.node(from);
        let (clock, to) = (node.clock(now), address(path.to, path.link).ip());
        node.engine.handle_mtu_limit(clock, socket(path.link), to, limit);
        self.drain(from);
    }

    fn set_wakeup(&mut self, host: HostId, at: Option<Instant>) {
        let Some(node) = self.nodes.get_mut(&host) else { return };
        if let Some(old) = std::mem::replace(&mut node.wakeup, at) {
            self.wakeups.remove(&(old, host));
        }
        self.wakeups.extend(at.map(|at| (at, host)));
    }
}

/// Returns how often a host lost another one, by its events.
pub(crate) fn losses(events: &[(Instant, Event)]) -> usize {
    let lost = |event: &Event| matches!(event, Event::Host(host) if !host.reachable);
    events.iter().filter(|(_, event)| lost(event)).count()
}

/// What the incomplete messages of one host may hold: 32 of the longest.
const MEMORY_A_PEER: usize = 32 * 65_536;

/// Clusters of more hosts than this check their links only on request.
const ALWAYS_JUDGED: u16 = 8;

const ECONNREFUSED: i32 = 111;
