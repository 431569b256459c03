//! The cost of single events in large clusters: what it takes a host with 100, 1000 or 2000 peers of
//! 8 links each to add the links, to bring them up with routes published after each change, and to
//! handle errors, settings and forced pings.
//!
//! `cargo bench --package knet-engine --bench cluster_events`. The results are in
//! `docs/performance.md`.
//!
//! With an event and a count, as in `-- icmp-error 100`, it does that event so often and measures nothing:
//! `cargo xtask bench --check` counts the instructions.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends here")]

use std::env;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
use knet_wire::{Body, HostId, LinkId, Packet};

const SIZES: [u16; 3] = [100, 1000, 2000];
/// How often an event that concerns one link is repeated, each time for another link.
const EVENTS: usize = 1000;

fn main() {
    // cargo passes `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.as_slice() {
        [] => print_table(),
        [event, count] => repeat(event, count.parse().unwrap()),
        _ => panic!("usage: cluster_events [EVENT COUNT]"),
    }
}

/// Does one event so often: for `add-link` a host with 8 links, for the others each time a link of another host.
fn repeat(event: &str, count: usize) {
    let event = match event {
        "add-link" => {
            let mut cluster = Cluster::new(u16::try_from(count).unwrap());
            cluster.add_links();
            cluster.enable_links();
            return;
        }
        "icmp-error" => Cluster::transport_error,
        "mtu-suggestion" => Cluster::suggested_mtu,
        "link-change" => Cluster::down_and_up,
        other => panic!("unknown event {other}"),
    };
    let mut cluster = Cluster::new(SIZES[2]);
    cluster.add_links();
    cluster.enable_links();
    while cluster.engine.poll_transmit().is_some() {}
    cluster.for_some(count, event);
}

fn print_table() {
    println!("peers with 8 links each         {:>12} {:>12} {:>12}", SIZES[0], SIZES[1], SIZES[2]);
    let columns = SIZES.map(measure);
    for row in 0..columns[0].len() {
        let [a, b, c] = &columns;
        let [x, y, z] = [a, b, c].map(|column| format!("{:.2} µs", column[row].1));
        println!("{:<31} {x:>12} {y:>12} {z:>12}", a[row].0);
    }
}

/// Returns what each event costs, in microseconds per link that it concerns.
fn measure(peers: u16) -> Vec<(&'static str, f64)> {
    let mut cluster = Cluster::new(peers);
    let links = usize::from(peers) * LinkId::ALL.len();
    let mut rows = Vec::new();
    let mut row = |name, count: usize, work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        rows.push((name, start.elapsed().as_secs_f64() * 1e6 / count as f64));
    };
    row("add_link, per link", links, &mut || cluster.add_links());
    row("coming up, per link", links, &mut || cluster.come_up());
    row("ICMP error", EVENTS, &mut || cluster.for_some(EVENTS, Cluster::transport_error));
    row("suggested MTU", EVENTS, &mut || cluster.for_some(EVENTS, Cluster::suggested_mtu));
    row("a link down and up", EVENTS, &mut || cluster.for_some(EVENTS, Cluster::down_and_up));
    row("forced pings, per link", links, &mut || cluster.forced_pings());
    rows
}

/// A host, and the packets of its peers.
struct Cluster {
    now: Instant,
    peers: u16,
    engine: Engine,
}

impl Cluster {
    fn new(peers: u16) -> Self {
        let now = Instant::now();
        let engine = Engine::new(now, &EngineConfig { host: HostId::new(0), cookie_key: [7; 16] });
        Self { now, peers, engine }
    }

    fn links(&self) -> impl Iterator<Item = (HostId, LinkId)> + use<> {
        let hosts = (1..=self.peers).map(HostId::new);
        hosts.flat_map(|host| LinkId::ALL.into_iter().map(move |link| (host, link)))
    }

    fn add_links(&mut self) {
        for (host, link) in self.links() {
            if link == LinkId::ALL[0] {
                self.engine.add_host(host).unwrap();
            }
            let path = LinkPath { socket: socket(link), remote: address(host, link) };
            self.engine.add_link(self.now, host, link, path).unwrap();
        }
    }

    fn enable_links(&mut self) {
        for (host, link) in self.links() {
            self.engine.set_link_enabled(self.now, host, link, true).unwrap();
            self.publish();
        }
    }

    /// Enables all links, and answers their pings until they are up.
    fn come_up(&mut self) {
        self.enable_links();
        while self.engine.totals().usable_links < self.links().count() {
            self.engine.handle_timeout(self.now);
            self.answer();
            self.now += Duration::from_millis(200);
        }
    }

    /// Answers all pings.
    fn answer(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            if let Body::Ping(ping) = Packet::decode(transmit.packet()).unwrap().body {
                let (path, pong) = (transmit.path(), ping.encode_pong(transmit.host()));
                let meta = DatagramMeta { socket: path.socket, source: path.remote, local: None };
                let _ = self.engine.handle_datagram(self.now, meta, &pong);
            }
            self.publish();
        }
    }

    /// Takes the routes and events, as a driver does after each call.
    fn publish(&mut self) {
        let _ = self.engine.poll_routes();
        while self.engine.poll_event().is_some() {}
    }

    /// Calls `event` so often, for links spread over all hosts.
    fn for_some(&mut self, count: usize, event: fn(&mut Self, HostId, LinkId)) {
        let links: Vec<_> = self.links().collect();
        for at in 0..count {
            let (host, link) = links[at * 7919 % links.len()];
            event(self, host, link);
            self.publish();
        }
        while self.engine.poll_transmit().is_some() {}
    }

    fn transport_error(&mut self, host: HostId, link: LinkId) {
        let unreachable = 113;
        let (socket, remote) = (socket(link), address(host, link));
        self.engine.handle_transport_error(self.now, socket, remote, unreachable);
    }

    fn suggested_mtu(&mut self, host: HostId, link: LinkId) {
        let remote = address(host, link).ip();
        self.engine.handle_mtu_suggestion(self.now, socket(link), remote, 1400);
    }

    fn down_and_up(&mut self, host: HostId, link: LinkId) {
        for enabled in [false, true] {
            self.engine.set_link_enabled(self.now, host, link, enabled).unwrap();
            self.publish();
        }
    }

    fn forced_pings(&mut self) {
        self.engine.force_pings(self.now);
        while self.engine.poll_transmit().is_some() {}
    }
}

fn socket(link: LinkId) -> SocketId {
    SocketId(u64::from(link.get()))
}

fn address(host: HostId, link: LinkId) -> SocketAddr {
    let [high, low] = host.get().to_be_bytes();
    ([10, link.get(), high, low], 5405).into()
}
