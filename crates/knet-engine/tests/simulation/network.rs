//! The pretend network: it carries datagrams between hosts in virtual time, badly if asked to.
//!
//! All randomness comes from one seeded generator, and packets that arrive at the same moment
//! arrive in the order in which they were sent, so that a seed always gives the same run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use fastrand::Rng;
use knet_wire::{HostId, LinkId};

use crate::message::Frame;
use crate::node::promised;

/// One direction of one link between two hosts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Path {
    pub(crate) from: HostId,
    pub(crate) to: HostId,
    pub(crate) link: LinkId,
}

/// How a path treats its packets. Probabilities are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weather {
    /// Nothing arrives, not even what is on its way already.
    pub(crate) cut: bool,
    /// The shortest time that a packet takes.
    pub(crate) latency: Duration,
    /// The most that is added to it at random, each packet by itself: they overtake each other.
    pub(crate) jitter: Duration,
    /// How likely a packet is lost, by itself.
    pub(crate) loss: f64,
    /// How likely a packet begins a burst in which all are lost. A burst lasts eight packets in
    /// the mean.
    pub(crate) burst: f64,
    /// How likely a packet arrives twice.
    pub(crate) duplicate: f64,
    /// The longest IP packet that passes, in bytes: longer ones disappear. `None`: what the address
    /// family promises.
    pub(crate) mtu: Option<u16>,
}

impl Weather {
    /// A quick path that loses nothing.
    pub(crate) const CLEAR: Self = Self {
        cut: false,
        latency: Duration::from_millis(1),
        jitter: Duration::ZERO,
        loss: 0.0,
        burst: 0.0,
        duplicate: 0.0,
        mtu: None,
    };

    /// Everything that can go wrong does, but most packets arrive.
    pub(crate) const STORM: Self = Self {
        cut: false,
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(80),
        loss: 0.05,
        burst: 0.01,
        duplicate: 0.1,
        mtu: None,
    };

    pub(crate) const CUT: Self = Self { cut: true, ..Self::CLEAR };

    /// Whether every packet that is not too long arrives, and soon.
    fn is_good(&self) -> bool {
        let quick = self.latency + self.jitter <= Duration::from_millis(300);
        !self.cut && quick && self.loss == 0.0 && self.burst == 0.0
    }
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) path: Path,
    pub(crate) datagram: Vec<u8>,
    /// How long it is with its IP header.
    pub(crate) onwire: usize,
    /// What it carries, if it carries data.
    pub(crate) frame: Option<Frame>,
}

/// A weather and how long it lasts already.
#[derive(Clone, Copy, Debug)]
struct Lasting {
    weather: Weather,
    /// Since when every packet arrives that is not too long, if it does.
    good_since: Option<Instant>,
    /// Since when packets may be as long as they may.
    mtu_since: Instant,
}

impl Lasting {
    fn new(now: Instant, weather: Weather) -> Self {
        Self { weather, good_since: weather.is_good().then_some(now), mtu_since: now }
    }

    fn change(self, now: Instant, weather: Weather) -> Self {
        let good_since = self.good_since.or(Some(now)).filter(|_| weather.is_good());
        let mtu_since = if weather.mtu == self.weather.mtu { self.mtu_since } else { now };
        Self { weather, good_since, mtu_since }
    }
}

/// The network between all hosts.
pub(crate) struct Network {
    pub(crate) rng: Rng,
    weather: Lasting,
    /// Paths with a weather of their own.
    local: BTreeMap<Path, Lasting>,
    in_burst: BTreeMap<Path, bool>,
    /// By arrival, then by the order in which they were sent.
    arrivals: BinaryHeap<Reverse<(Instant, u64)>>,
    flights: BTreeMap<u64, Flight>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(seed: u64, now: Instant, weather: Weather) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            weather: Lasting::new(now, weather),
            local: BTreeMap::new(),
            in_burst: BTreeMap::new(),
            arrivals: BinaryHeap::new(),
            flights: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Gives all paths the same weather.
    pub(crate) fn set_all(&mut self, now: Instant, weather: Weather) {
        for path in self.local.values_mut().chain([&mut self.weather]) {
            *path = path.change(now, weather);
        }
    }

    /// Clears up everywhere. Packets may not be longer than before.
    pub(crate) fn clear_up(&mut self, now: Instant) {
        for path in self.local.values_mut().chain([&mut self.weather]) {
            *path = path.change(now, Weather { mtu: path.weather.mtu, ..Weather::CLEAR });
        }
    }

    /// Gives one direction of a link a weather of its own.
    pub(crate) fn set(&mut self, now: Instant, path: Path, weather: Weather) {
        let changed = self.lasting(path).change(now, weather);
        self.local.insert(path, changed);
    }

    pub(crate) fn weather(&self, path: Path) -> Weather {
        self.lasting(path).weather
    }

    /// Since when every packet arrives that is not too long, if it does.
    pub(crate) fn good_since(&self, path: Path) -> Option<Instant> {
        self.lasting(path).good_since
    }

    /// Since when the longest packet that passes is as long as it is.
    pub(crate) fn mtu_since(&self, path: Path) -> Instant {
        self.lasting(path).mtu_since
    }

    fn lasting(&self, path: Path) -> Lasting {
        self.local.get(&path).copied().unwrap_or(self.weather)
    }

    /// Sends a packet off now.
    pub(crate) fn send(&mut self, now: Instant, flight: Flight) {
        let weather = self.weather(flight.path);
        let longest = weather.mtu.map_or_else(|| promised(flight.path.link), usize::from);
        if self.is_lost(flight.path, weather) || flight.onwire > longest {
            return;
        }
        if self.rng.f64() < weather.duplicate {
            self.take_off(now, weather, flight.clone());
        }
        self.take_off(now, weather, flight);
    }

    /// When the next packet arrives.
    pub(crate) fn next_arrival(&self) -> Option<Instant> {
        self.arrivals.peek().map(|Reverse((at, _))| *at)
    }

    /// The next packet, unless its path was cut while it was on its way.
    pub(crate) fn land(&mut self) -> Option<Flight> {
        let Reverse((_, number)) = self.arrivals.pop()?;
        let flight = self.flights.remove(&number)?;
        (!self.weather(flight.path).cut).then_some(flight)
    }

    fn is_lost(&mut self, path: Path, weather: Weather) -> bool {
        if weather.cut {
            return true;
        }
        if weather.burst == 0.0 && weather.loss == 0.0 {
            return false;
        }
        let in_burst = self.in_burst.entry(path).or_default();
        let turns = if *in_burst { 1.0 / BURST_LENGTH } else { weather.burst };
        *in_burst ^= self.rng.f64() < turns;
        *in_burst || self.rng.f64() < weather.loss
    }

    fn take_off(&mut self, now: Instant, weather: Weather, flight: Flight) {
        let delay = weather.latency + weather.jitter.mul_f64(self.rng.f64());
        self.sent += 1;
        self.arrivals.push(Reverse((now + delay, self.sent)));
        self.flights.insert(self.sent, flight);
    }
}

/// How many packets a burst of losses takes in the mean.
const BURST_LENGTH: f64 = 8.0;
