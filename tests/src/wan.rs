//! A path between two hosts that is narrow, slow or lossy: the kernels hand their IP packets to TUN
//! devices, and a thread passes them on as the test specifies.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::icmp;
use crate::lan::{Family, address};
use crate::namespace::Namespace;
use crate::tun::{Kind, device};

/// The path between two hosts, until it is dropped.
#[derive(Debug)]
pub struct Wan {
    state: Arc<Mutex<State>>,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

/// The conditions on the path.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "for tests to fill in")]
pub struct Conditions {
    /// The MTU: the length of the longest packet that passes, in bytes with its IP header.
    pub mtu: u16,
    /// Whether ICMP reports longer packets to their sender. Otherwise they vanish.
    pub reports: bool,
    /// The probability that a packet is lost, 0 to 1.
    pub loss: f64,
    /// The delay of every packet.
    pub delay: Duration,
    /// The maximum additional, random delay, which reorders packets.
    pub jitter: Duration,
}

impl Default for Conditions {
    fn default() -> Self {
        let none = Duration::ZERO;
        Self { mtu: 1500, reports: true, loss: 0.0, delay: none, jitter: none }
    }
}

#[derive(Debug)]
struct State {
    conditions: Conditions,
    random: fastrand::Rng,
    /// The lengths of the packets that the first host sent, whether they passed or not.
    lengths: BTreeSet<usize>,
    lost: Vec<usize>,
    overtaken: u64,
}

impl Wan {
    /// Connects hosts 1 and 2 by interfaces with the addresses of this link and with this MTU. The
    /// seed determines all random choices.
    ///
    /// # Panics
    /// If this machine does not permit it.
    #[must_use]
    pub fn new(hosts: [&Namespace; 2], link: u8, interface_mtu: u16, seed: u64) -> Self {
        let [one, two] = [(1, hosts[0]), (2, hosts[1])].map(|(host, namespace)| {
            let name = interface(link);
            let made = namespace.enter(|| device(Kind::Tun, &name));
            for family in [Family::V4, Family::V6] {
                namespace.add_address(&name, address(family, host, link), family.prefix());
            }
            namespace.ip(&format!("link set {name} mtu {interface_mtu} up"));
            File::from(made.unwrap_or_else(|lacking| panic!("{lacking}")))
        });
        let random = fastrand::Rng::with_seed(seed);
        let conditions = Conditions::default();
        let state =
            State { conditions, random, lengths: BTreeSet::new(), lost: Vec::new(), overtaken: 0 };
        let state = Arc::new(Mutex::new(state));
        let (stopped, stop) = UnixStream::pair().expect("a pair of sockets");
        let relay = Relay {
            devices: [one, two],
            routers: [Family::V4, Family::V6].map(|family| address(family, 254, link)),
            state: state.clone(),
            waiting: BinaryHeap::new(),
            order: 0,
            last_out: [0; 2],
        };
        let thread = Some(thread::spawn(move || relay.run(&stopped)));
        Self { state, stop: Some(stop), thread }
    }

    /// Changes the conditions from now on.
    pub fn set(&self, conditions: Conditions) {
        lock(&self.state).conditions = conditions;
    }

    /// Returns the lengths of the packets that the first host has sent, with their IP headers, whether
    /// they passed or not.
    #[must_use]
    pub fn lengths(&self) -> BTreeSet<usize> {
        lock(&self.state).lengths.clone()
    }

    /// Returns how many packets of at least this length were lost at random.
    #[must_use]
    pub fn lost(&self, at_least: usize) -> usize {
        lock(&self.state).lost.iter().filter(|&&length| length >= at_least).count()
    }

    /// Returns how many packets arrived after one that was sent later.
    #[must_use]
    pub fn overtaken(&self) -> u64 {
        lock(&self.state).overtaken
    }
}

/// Returns the name of a host's interface for a link.
#[must_use]
pub fn interface(link: u8) -> String {
    format!("wan{link}")
}

impl Drop for Wan {
    fn drop(&mut self) {
        // The thread reads the end of file.
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            assert!(ended.is_some_and(|ended| ended.is_ok()), "the relay has failed");
        }
    }
}

/// The state of the thread.
struct Relay {
    devices: [File; 2],
    routers: [IpAddr; 2],
    state: Arc<Mutex<State>>,
    waiting: BinaryHeap<Reverse<Packet>>,
    order: u64,
    /// The newest packet that was delivered, per direction.
    last_out: [u64; 2],
}

/// A packet in transit, ordered by its time of delivery.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Packet {
    due: Instant,
    order: u64,
    /// The device that it came from.
    from: usize,
    bytes: Vec<u8>,
}

impl Relay {
    fn run(mut self, stopped: &UnixStream) {
        loop {
            let wait = self.waiting.peek().map(|Reverse(packet)| {
                packet.due.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
            });
            let timeout = wait.map_or(PollTimeout::NONE, |wait| {
                PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)
            });
            let mut fds = [self.devices[0].as_fd(), self.devices[1].as_fd(), stopped.as_fd()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut fds, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => panic!("failed to wait for packets: {errno}"),
            }
            if fds[2].any() == Some(true) {
                return;
            }
            for from in 0..2 {
                self.receive(from);
            }
            self.deliver();
        }
    }

    /// Reads what a host has sent.
    fn receive(&mut self, from: usize) {
        let mut buffer = vec![0; 65_536];
        loop {
            match (&self.devices[from]).read(&mut buffer) {
                Ok(length) => self.handle(from, &buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("failed to read a packet: {error}"),
            }
        }
    }

    fn handle(&mut self, from: usize, packet: &[u8]) {
        let state = self.state.clone();
        let mut state = lock(&state);
        let Conditions { mtu, reports, loss, delay, jitter } = state.conditions;
        if from == 0 {
            state.lengths.insert(packet.len());
        }
        if packet.len() > mtu.into() {
            let answers = self.routers.iter().filter_map(|&at| icmp::too_big(at, packet, mtu));
            for answer in answers.filter(|_| reports) {
                write(&self.devices[from], &answer);
            }
        } else if state.random.f64() < loss {
            state.lost.push(packet.len());
        } else {
            self.order += 1;
            let due = Instant::now() + delay + jitter.mul_f64(state.random.f64());
            let packet = Packet { due, order: self.order, from, bytes: packet.to_vec() };
            self.waiting.push(Reverse(packet));
        }
    }

    /// Delivers the packets that are due.
    fn deliver(&mut self) {
        let now = Instant::now();
        while self.waiting.peek().is_some_and(|Reverse(packet)| packet.due <= now) {
            let Some(Reverse(Packet { order, from, bytes, .. })) = self.waiting.pop() else {
                return;
            };
            if order < self.last_out[from] {
                lock(&self.state).overtaken += 1;
            }
            self.last_out[from] = order.max(self.last_out[from]);
            write(&self.devices[1 - from], &bytes);
        }
    }
}

/// Writes a packet to an interface. If the interface is down, the packet is lost, as on any other
/// path.
fn write(mut device: &File, packet: &[u8]) {
    let _ = device.write(packet);
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
