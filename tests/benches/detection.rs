//! How long it takes until a host that is gone is reported as unreachable, with default timers: ours, and
//! libknet's in the same case.
//!
//! `cargo bench --package knet-tests --features netns,interop --bench detection -- [ROUNDS]`, as root. The results are
//! in `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made ends here")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::{exactly, link_id, watch};
use knet_tests::lan::{Family, Lan, address};
use knet_tests::namespace::Namespace;
use kronosnet::{DatafdSource, Handle, HostEvent, HostId, PingTimers};
use libknet_peer::libknet::{self, Library};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn main() {
    // `cargo bench` adds an argument of its own.
    let rounds = std::env::args().skip(1).find_map(|number| number.parse().ok()).unwrap_or(5);
    println!(
        "milliseconds until the host is unreachable: median [least–most] of {rounds} rounds, default timers"
    );
    for fault in [Fault::Killed, Fault::Stopped, Fault::PeerCable, Fault::OwnCable] {
        for traffic in [false, true] {
            let mut ours: Vec<_> = Vec::new();
            let mut theirs: Vec<_> = Vec::new();
            // Alternating, so that both meet the same machine.
            for _ in 0..rounds {
                ours.push(measure::<Ours>(fault, traffic));
                theirs.push(measure::<Theirs>(fault, traffic));
            }
            let load = if traffic { "a message every 10 ms" } else { "idle" };
            println!("{fault:?}, {load}: ours {}, libknet {}", summary(ours), summary(theirs));
        }
    }
}

/// What happens to host 2.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Its process is killed: the kernel refuses packets to its port.
    Killed,
    /// Its process is stopped: nothing answers.
    Stopped,
    /// Its cable is pulled out of the switch: packets to it disappear.
    PeerCable,
    /// The cable of host 1, which measures, is pulled: its interface has no carrier.
    OwnCable,
}

impl Fault {
    fn happen(self, lan: &Lan, peer: &mut Peer) {
        match self {
            Self::Killed => peer.0.kill().unwrap(),
            Self::Stopped => peer.signal(Signal::SIGSTOP),
            Self::PeerCable => lan.pull(2, 0),
            Self::OwnCable => lan.pull(1, 0),
        }
    }
}

/// Host 1, which notices.
trait Observer: Sync {
    /// Starts it in the namespace, with a link to host 2.
    fn start(namespace: &Namespace) -> Self;
    fn send(&self);
    /// Waits until host 2 is reachable, or unreachable.
    fn wait(&self, reachable: bool);
}

fn measure<O: Observer>(fault: Fault, traffic: bool) -> Duration {
    let lan = Lan::new(2, 1);
    let mut peer = Peer::start(lan.host(2));
    let observer = O::start(lan.host(1));
    observer.wait(true);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        if traffic {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    observer.send();
                    // PAUSE: that is the rate of the traffic.
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        // PAUSE: the fault comes at any moment between two pings.
        thread::sleep(Duration::from_millis(1000 + fastrand::u64(0..1000)));
        let start = Instant::now();
        fault.happen(&lan, &mut peer);
        observer.wait(false);
        let elapsed = start.elapsed();
        done.store(true, Ordering::Relaxed);
        elapsed
    })
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let [least, median, most] =
        [0, times.len() / 2, times.len() - 1].map(|place| times[place].as_millis());
    format!("{median} [{least}–{most}]")
}

fn ends() -> [SocketAddr; 2] {
    [1, 2].map(|host| SocketAddr::new(address(Family::V4, host, 0), 5405))
}

/// Host 2, as a process of its own.
struct Peer(Child);

impl Peer {
    fn start(namespace: &Namespace) -> Self {
        let [remote, local] = ends().map(|end| end.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_netns-host"));
        command.args(["2", "1", &local, &remote, "1000", "2000"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = namespace.enter(|| command.spawn()).unwrap();
        // It listens once it answers.
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Ours {
    handle: Handle,
    datafd: kronosnet::Datafd,
    events: kronosnet::EventStream<HostEvent>,
}

impl Observer for Ours {
    fn start(namespace: &Namespace) -> Self {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let _ = handle.datafd_events();
        let events = handle.host_events();
        let datafd = handle.add_datafd(DatafdSource::Create, exactly(0)).unwrap();
        handle.set_forwarding(true).unwrap();
        let [local, remote] = ends();
        namespace.enter(|| watch(&handle, 2, 0, local, remote, PingTimers::default()));
        Self { handle, datafd, events }
    }

    fn send(&self) {
        // After the fault it fails, which is what it is for.
        let _ = self.datafd.send(b"tick");
    }

    fn wait(&self, reachable: bool) {
        let event = self.events.recv_timeout(DEADLINE).unwrap();
        assert_eq!(event.event.reachable, reachable, "host {}", self.handle.host_id());
    }
}

struct Theirs {
    datafd: libknet::Datafd,
    host: libknet::Host,
    // Freed last.
    _handle: libknet::Handle,
}

impl Observer for Theirs {
    fn start(namespace: &Namespace) -> Self {
        namespace.enter(|| {
            let handle = libknet::Handle::new(Library::open().unwrap(), HostId::new(1)).unwrap();
            handle.set_forwarding(true).unwrap();
            handle.set_access_lists(false).unwrap();
            let datafd = handle.add_datafd(exactly(0)).unwrap();
            let host = handle.add_host(HostId::new(2)).unwrap();
            let [local, remote] = ends();
            let link = host.add_link(link_id(0), local, Some(remote)).unwrap();
            link.set_ping_timers(PingTimers::default()).unwrap();
            link.set_pong_count(1).unwrap();
            link.enable().unwrap();
            Self { datafd, host, _handle: handle }
        })
    }

    fn send(&self) {
        let _ = self.datafd.send(b"tick");
    }

    fn wait(&self, reachable: bool) {
        if reachable {
            self.host.wait_until_reachable(DEADLINE).unwrap();
        } else {
            self.host.wait_unreachable(DEADLINE).unwrap();
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(60);
