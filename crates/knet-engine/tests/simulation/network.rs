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
    };

    /// Everything that can go wrong does, but most packets arrive.
    pub(crate) const STORM: Self = Self {
        cut: false,
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(80),
        loss: 0.05,
        burst: 0.01,
        duplicate: 0.1,
    };

    pub(crate) const CUT: Self = Self { cut: true, ..Self::CLEAR };
}

/// A packet on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) path: Path,
    pub(crate) datagram: Vec<u8>,
    /// What it carries, if it carries data.
    pub(crate) frame: Option<Frame>,
}

/// The network between all hosts.
pub(crate) struct Network {
    pub(crate) rng: Rng,
    weather: Weather,
    /// Paths with a weather of their own.
    local: BTreeMap<Path, Weather>,
    in_burst: BTreeMap<Path, bool>,
    /// By arrival, then by the order in which they were sent.
    arrivals: BinaryHeap<Reverse<(Instant, u64)>>,
    flights: BTreeMap<u64, Flight>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            weather,
            local: BTreeMap::new(),
            in_burst: BTreeMap::new(),
            arrivals: BinaryHeap::new(),
            flights: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Gives all paths the same weather.
    pub(crate) fn set_all(&mut self, weather: Weather) {
        self.local.clear();
        self.weather = weather;
    }

    /// Gives one direction of a link a weather of its own.
    pub(crate) fn set(&mut self, path: Path, weather: Weather) {
        self.local.insert(path, weather);
    }

    pub(crate) fn weather(&self, path: Path) -> Weather {
        self.local.get(&path).copied().unwrap_or(self.weather)
    }

    /// Sends a packet off now.
    pub(crate) fn send(&mut self, now: Instant, flight: Flight) {
        let weather = self.weather(flight.path);
        if self.is_lost(flight.path, weather) {
            return;
        }
        if self.rng.f64() < weather.duplicate {
            let Flight { path, datagram, frame } = &flight;
            let copy = Flight { path: *path, datagram: datagram.clone(), frame: *frame };
            self.take_off(now, weather, copy);
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
