//! A cluster in virtual time: hosts with an engine each, the network between them, and a ledger
//! that judges all they do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use knet_engine::{Arrival, Event, PingTimers, Policy, Received};
use knet_wire::{HostId, LinkId};

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
}

impl Plan {
    pub(crate) const fn new(hosts: u16, links: u8, policy: Policy) -> Self {
        let second = Duration::from_secs(1);
        let timers =
            PingTimers { interval: second, timeout: Duration::from_secs(2), precision: 2048 };
        Self { hosts, links, policy, timers, pong_count: 5, weather: Weather::CLEAR }
    }

    pub(crate) fn host_ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (1..=self.hosts).map(HostId::new)
    }

    pub(crate) fn link_ids(&self) -> impl Iterator<Item = LinkId> + use<> {
        LinkId::ALL.into_iter().take(usize::from(self.links))
    }

    /// All directions of all links.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        for from in self.host_ids() {
            for to in self.host_ids().filter(|&to| to != from) {
                paths.extend(self.link_ids().map(|link| Path { from, to, link }));
            }
        }
        paths
    }

    /// Within this time after the network has healed every link is up and stays up: one that was
    /// about to be given up is, then come the pongs that bring it up, one an interval.
    pub(crate) fn recovery(&self) -> Duration {
        let PingTimers { interval, timeout, .. } = self.timers;
        timeout + interval * (u32::from(self.pong_count) + 1)
    }
}

pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) plan: Plan,
    /// The hosts that are running.
    nodes: BTreeMap<HostId, Node>,
    /// Who each host is by now, or was when it stopped.
    lives: BTreeMap<HostId, Life>,
    /// Whether a host that is not running is reported to those who send to it.
    pub(crate) refuses: bool,
}

impl Cluster {
    /// Starts all hosts.
    pub(crate) fn start(seed: u64, plan: Plan) -> Self {
        let mut cluster = Self {
            now: Instant::now(),
            network: Network::new(seed, plan.weather),
            ledger: Ledger::default(),
            plan,
            nodes: BTreeMap::new(),
            lives: BTreeMap::new(),
            refuses: false,
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
        cluster.network.set_all(weather);
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
        self.nodes.remove(&host);
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

    /// Sends a message, unless nobody can be reached.
    pub(crate) fn send(
        &mut self,
        from: HostId,
        target: Target,
        len: usize,
        channel: u8,
    ) -> Option<MessageId> {
        let now = self.now;
        let message = self.node(from).message(now, target, len, channel);
        // Forced pings go out before the message that caused them.
        self.drain(from);
        let (id, sent, flights) = message?;
        self.ledger.sent(id, sent);
        for flight in flights {
            self.network.send(now, flight);
        }
        Some(id)
    }

    /// Makes all paths clear and waits until every link is up, which may take no longer than
    /// [`Plan::recovery`].
    pub(crate) fn heal(&mut self) {
        self.network.set_all(Weather::CLEAR);
        self.run_for(self.plan.recovery());
        let now = self.now;
        for path in self.plan.paths() {
            let engine = &self.node(path.from).engine;
            let status = engine.link_status(now, path.to, path.link).unwrap();
            assert!(status.state.is_up(), "{path:?} is {}: {status:?}", status.state);
        }
        for host in self.plan.host_ids() {
            assert_eq!(self.node(host).routes.len(), usize::from(self.plan.hosts) - 1);
        }
    }

    /// Waits until nothing of a message can be on its way or kept any more, and looks at what is
    /// left behind.
    pub(crate) fn finish(mut self) {
        self.run_for(Duration::from_secs(15));
        for Node { life, engine, .. } in self.nodes.values() {
            assert_eq!(engine.reassembly_memory(), 0, "{life:?} still holds fragments");
            // Nobody but the network touched a packet, so nobody may have found one strange.
            let drops = engine.drops();
            let strange = [
                drops.malformed,
                drops.unknown_host,
                drops.unknown_link,
                drops.wrong_source,
                drops.unexpected,
                drops.compressed,
            ];
            assert_eq!(strange, [0; 6], "{life:?}: {drops:?}");
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// Lets everything happen that is due until then.
    pub(crate) fn run_until(&mut self, end: Instant) {
        loop {
            let timer = self
                .nodes
                .values()
                .filter_map(|node| Some((node.engine.poll_timeout()?, node.life.host)))
                .min();
            let arrival = self.network.next_arrival().filter(|&at| at <= end);
            match (timer.filter(|&(at, _)| at <= end), arrival) {
                (Some((due, host)), None) => self.wake(due, host),
                (Some((due, host)), Some(arrival)) if due < arrival => self.wake(due, host),
                (_, Some(arrival)) => self.arrive(arrival),
                (None, None) => break,
            }
        }
        self.now = end;
    }

    fn wake(&mut self, due: Instant, host: HostId) {
        self.now = self.now.max(due);
        let now = self.now;
        let node = self.node(host);
        node.wakeups += 1;
        node.engine.handle_timeout(now);
        let next = node.engine.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "host {host} would never sleep");
        self.drain(host);
    }

    fn arrive(&mut self, at: Instant) {
        self.now = self.now.max(at);
        let Some(flight) = self.network.land() else { return };
        let Path { from, to, link } = flight.path;
        if self.nodes.contains_key(&to) {
            self.receive(flight);
            self.drain(to);
        } else if self.refuses && self.nodes.contains_key(&from) {
            let now = self.now;
            let engine = &mut self.node(from).engine;
            engine.handle_transport_error(now, socket(link), address(to, link), ECONNREFUSED);
            self.drain(from);
        }
    }

    fn receive(&mut self, flight: Flight) {
        let Flight { path, datagram, frame } = flight;
        let sender = self.lives[&path.from];
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&path.to) else { return };
        let arrival = Arrival { socket: socket(path.link), source: address(path.from, path.link) };
        let refused = node.engine.drops().not_reachable;
        match node.engine.handle_datagram(now, arrival, &datagram) {
            Received::Whole(delivery, range) => {
                self.ledger.delivered(node.life, &delivery, &datagram[range]);
            }
            Received::Assembled(delivery, message) => {
                self.ledger.delivered(node.life, &delivery, message.bytes());
                node.engine.recycle(message);
            }
            _ => {}
        }
        if let Some(frame) = frame.filter(|_| node.engine.drops().not_reachable == refused) {
            self.ledger.arrived(node.life, sender, frame);
        }
    }

    /// Does what a driver does after each call.
    fn drain(&mut self, host: HostId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&host) else { return };
        while let Some(transmit) = node.engine.poll_transmit() {
            if let Some(flight) = node.control(transmit) {
                self.network.send(now, flight);
            }
        }
        while let Some(event) = node.engine.poll_event() {
            node.events.push((now, event));
        }
        if let Some(routes) = node.engine.poll_routes() {
            node.routes = routes;
        }
        let held = node.engine.reassembly_memory();
        assert!(held <= MEMORY_A_PEER * usize::from(self.plan.hosts), "{held} bytes of fragments");
    }
}

/// Whether a host's events say that it ever lost somebody.
pub(crate) fn losses(events: &[(Instant, Event)]) -> usize {
    let lost = |event: &Event| matches!(event, Event::Host(host) if !host.reachable);
    events.iter().filter(|(_, event)| lost(event)).count()
}

/// What the incomplete messages of one host may hold: 32 of the longest.
const MEMORY_A_PEER: usize = 32 * 65_536;

const ECONNREFUSED: i32 = 111;
