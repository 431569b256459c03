//! The cost of a large cluster: every host with links to every other, all of them in this process,
//! in virtual time, idle but for the heartbeat and the path MTU.
//!
//! `cargo bench --package knet-engine --bench full_mesh -- [HOSTS [SECONDS]]`, by default 1000
//! hosts for 10 seconds of virtual time: 5 GB and some minutes. The results are in
//! `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends here")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
use knet_wire::{HostId, LinkId};

/// Links between each two hosts.
const LINKS: usize = 2;
/// Virtual time in which every link comes up and finds its MTU.
const SETTLING: Duration = Duration::from_secs(8);

fn main() {
    // `cargo bench` adds an argument of its own.
    let mut arguments = std::env::args().skip(1).filter_map(|number| number.parse().ok());
    let (hosts, seconds) = (arguments.next().unwrap_or(1000), arguments.next().unwrap_or(10));
    let before = resident_memory();
    let mut mesh = Mesh::new(hosts);
    mesh.run(SETTLING);
    let reached = |engine: &Engine| engine.data_mtu() == 65_481;
    assert!(mesh.engines.iter().all(reached), "not every link is up");
    let memory = resident_memory() - before;
    let (cpu, packets) = (cpu_time(), mesh.packets);
    mesh.run(Duration::from_secs(seconds as u64));
    let (cpu, packets) = (cpu_time() - cpu, mesh.packets - packets);

    let (per_host, seconds) = (hosts as f64, seconds as f64);
    let links = per_host * (per_host - 1.0) * LINKS as f64;
    println!("{hosts} hosts, {LINKS} links between each two, {seconds} s of virtual time");
    println!("memory of a host: {:.2} MB", memory as f64 / per_host / 1e6);
    println!("memory of a link end: {:.0} bytes", memory as f64 / links);
    println!("packets a host sends in a second: {:.0}", packets as f64 / per_host / seconds);
    let milliseconds = cpu.as_secs_f64() * 1e3 / per_host / seconds;
    println!("processor time of a host in a second: {milliseconds:.2} ms");
    let nanoseconds = cpu.as_secs_f64() * 1e9 / packets as f64;
    println!("processor time of a packet, sent and received: {nanoseconds:.0} ns");
}

/// Engines whose packets arrive as soon as they are sent.
struct Mesh {
    now: Instant,
    engines: Vec<Engine>,
    /// When each engine is served next: no later than its timeout.
    wakeups: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The earliest of these of each.
    noted: Vec<Option<Instant>>,
    /// Engines that may have something to send.
    busy: Vec<usize>,
    packets: u64,
}

impl Mesh {
    fn new(hosts: usize) -> Self {
        let now = Instant::now();
        let mut mesh = Self {
            now,
            engines: Vec::with_capacity(hosts),
            wakeups: BinaryHeap::new(),
            noted: vec![None; hosts],
            busy: Vec::new(),
            packets: 0,
        };
        for own in 0..hosts {
            let mut engine = Engine::new(now, &EngineConfig { host: id(own), cookie_key: [7; 16] });
            for peer in (0..hosts).filter(|&peer| peer != own) {
                engine.add_host(id(peer)).unwrap();
                for link in LinkId::ALL.into_iter().take(LINKS) {
                    let path = LinkPath { socket: socket(link), remote: address(peer, link) };
                    engine.add_link(now, id(peer), link, path).unwrap();
                }
            }
            mesh.engines.push(engine);
        }
        // Not all at the same moment, as hosts are not started either.
        for own in 0..hosts {
            mesh.now = now + Duration::from_secs(1) * own as u32 / hosts as u32;
            for peer in (0..hosts).filter(|&peer| peer != own) {
                for link in LinkId::ALL.into_iter().take(LINKS) {
                    mesh.engines[own].set_link_enabled(mesh.now, id(peer), link, true).unwrap();
                }
            }
            mesh.busy.push(own);
            mesh.carry();
        }
        mesh
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(&Reverse((at, host))) =
            self.wakeups.peek().filter(|wakeup| wakeup.0.0 <= end)
        {
            self.wakeups.pop();
            self.noted[host] = None;
            self.now = self.now.max(at);
            // Has no effect if it is too early.
            self.engines[host].handle_timeout(self.now);
            self.busy.push(host);
            self.carry();
        }
        self.now = end;
    }

    /// Carries packets until no engine has any, and updates the timeouts of all engines concerned.
    fn carry(&mut self) {
        let mut touched = Vec::new();
        while let Some(from) = self.busy.pop() {
            touched.push(from);
            while let Some(transmit) = self.engines[from].poll_transmit() {
                let (to, link) = (usize::from(transmit.host().get()), transmit.link());
                let meta =
                    DatagramMeta { socket: socket(link), source: address(from, link), local: None };
                // Without the padding of probes, which engines ignore.
                let _ = self.engines[to].handle_datagram(self.now, meta, transmit.packet());
                let length = transmit.packet().len();
                transmit.record_sent(length);
                self.packets += 1;
                if self.busy.last() != Some(&to) {
                    self.busy.push(to);
                }
            }
            while self.engines[from].poll_event().is_some() {}
            let _ = self.engines[from].poll_routes();
        }
        for host in touched {
            let Some(due) = self.engines[host].poll_timeout() else { continue };
            if self.noted[host].is_none_or(|noted| due < noted) {
                self.noted[host] = Some(due);
                self.wakeups.push(Reverse((due, host)));
            }
        }
    }
}

fn id(host: usize) -> HostId {
    HostId::new(host as u16)
}

fn socket(link: LinkId) -> SocketId {
    SocketId(link.get().into())
}

fn address(host: usize, link: LinkId) -> SocketAddr {
    let [high, low] = (host as u16).to_be_bytes();
    ([10, link.get(), high, low], 5405).into()
}

/// Processor time of this thread so far.
fn cpu_time() -> Duration {
    let all = fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(all.split_whitespace().next().unwrap().parse().unwrap())
}

/// Bytes of memory that this process has.
fn resident_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
