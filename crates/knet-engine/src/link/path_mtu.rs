//! Path MTU discovery of one link: how long a packet may be, without stopping traffic
//! (`docs/protocol.md`, "Path MTU discovery").
//!
//! The size that is known to arrive stays in use while a search runs. A search starts at the top,
//! because a kernel that knows the limit refuses at once and reports it. Sizes that paths usually
//! have come next. The gap is halved only if no limit was reported. A probe that is not
//! answered is sent again before its size counts as too long, and only once a pong has shown that
//! the path works at all: neither a lost packet nor an interruption is a narrow path.
//!
//! Each search starts with the size in use, and between searches probes of it detect a black hole
//! ([`BlackHoleCheck`]).

use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, IpVersion, MAX_ONWIRE, MTU_HEADER_LEN, path_overhead};

use super::black_hole::BlackHoleCheck;

/// The discovery of one link. All sizes are those of whole IP packets, in bytes.
#[derive(Debug)]
pub(crate) struct PathMtu {
    /// The longest size known to arrive; `None` until one was found.
    verified: Option<usize>,
    phase: Phase,
    /// The probe that waits for its reply.
    probe: Option<Probe>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The link is down, or its MTU was set by hand.
    Off,
    /// Between searches.
    Resting { next_search: Option<Instant>, check: BlackHoleCheck },
    /// Packets of `good` bytes arrive, those of `bad` do not, and `hint` was reported as the limit.
    /// `good` was answered in this search, or is what every path takes.
    Searching { good: usize, bad: usize, hint: Option<usize> },
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    onwire: usize,
    sends: u32,
    first_sent: Instant,
    lost_at: Instant,
    /// `true` if a pong came between the first and the last time it was sent.
    path_works: bool,
}

/// What the discovery needs from its link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) version: IpVersion,
    pub(crate) crypto: CryptoSizes,
    /// How long a reply may take before a probe counts as lost.
    pub(crate) patience: Duration,
    /// The time between two searches.
    pub(crate) interval: Duration,
    /// When the last pong came.
    pub(crate) last_pong: Option<Instant>,
    /// How many data packets have been sent on the link.
    pub(crate) data_packets: u64,
}

impl Default for PathMtu {
    fn default() -> Self {
        Self { verified: None, phase: Phase::Off, probe: None }
    }
}

impl PathMtu {
    /// Returns the longest size known to arrive.
    pub(crate) fn verified(&self) -> Option<usize> {
        self.verified
    }

    /// Returns `true` while a search runs.
    pub(crate) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching { .. })
    }

    /// Starts a search. The size in use comes first, because the path may take less than before.
    pub(crate) fn search(&mut self, conditions: &Conditions) {
        self.search_from(None, conditions);
    }

    /// Stops the discovery, because the link went down or its MTU was set by hand.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Off;
        self.probe = None;
    }

    /// Forgets everything, because the path is another one.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns when to call [`PathMtu::poll_probe`] next.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        match (self.probe, self.phase) {
            (_, Phase::Off) => None,
            (Some(probe), _) => Some(probe.lost_at),
            (None, Phase::Searching { .. }) => Some(now),
            (None, Phase::Resting { next_search, check }) => {
                let next_check = check.next_timeout();
                Some(next_search.map_or(next_check, |search| search.min(next_check)))
            }
        }
    }

    /// Returns the size of a probe that has to leave now, if one is due.
    pub(crate) fn poll_probe(&mut self, now: Instant, conditions: &Conditions) -> Option<usize> {
        if let Some(probe) = self.probe {
            if now < probe.lost_at {
                return None;
            }
            if probe.sends < MAX_SENDS || !probe.path_works {
                return Some(self.send(now, probe, conditions));
            }
            self.probe_lost(probe.onwire, conditions);
        }
        if let Phase::Resting { next_search, check } = &mut self.phase {
            if next_search.is_some_and(|at| at <= now) {
                self.search(conditions);
            } else if check.poll(now, conditions.data_packets) {
                let onwire = self.verified?;
                return Some(self.send(now, Probe::new(now, onwire), conditions));
            }
        }
        let onwire = self.next_size(now, conditions)?;
        Some(self.send(now, Probe::new(now, onwire), conditions))
    }

    /// Handles a reply to a probe of this size. Returns `true` if one was expected.
    pub(crate) fn probe_answered(&mut self, onwire: usize) -> bool {
        if self.probe.is_none_or(|probe| probe.onwire != onwire) {
            return false;
        }
        self.probe = None;
        if let Phase::Searching { good, .. } = &mut self.phase {
            *good = onwire.max(*good);
            // A size above the one in use is used at once, whatever the search finds further up.
            self.verified = self.verified.max(Some(onwire));
        }
        true
    }

    /// Handles a refusal of the kernel to send a probe of this size.
    pub(crate) fn probe_refused(&mut self, onwire: usize, conditions: &Conditions) {
        if self.probe.is_none_or(|probe| probe.onwire != onwire) {
            return;
        }
        let in_use = self.verified.is_some_and(|verified| verified >= onwire);
        if in_use {
            self.verified = None;
        }
        if matches!(self.phase, Phase::Resting { .. }) {
            self.search_from(None, conditions);
        }
        self.probe = None;
        if let Phase::Searching { good, bad, .. } = &mut self.phase {
            *bad = onwire.min(*bad);
            if *good >= *bad {
                *good = conditions.least();
            }
        }
    }

    /// Handles a report of the kernel that packets longer than `limit` cannot leave for this path.
    /// That is certain, so a longer size in use is shortened at once. Whether packets of `limit`
    /// bytes arrive still has to be found out.
    pub(crate) fn limit(&mut self, limit: usize, conditions: &Conditions) {
        let limit = limit.clamp(conditions.least(), MAX_ONWIRE);
        let narrower = self.verified.is_some_and(|verified| verified > limit);
        if narrower {
            self.verified = conditions.align_down(limit);
        }
        if narrower && matches!(self.phase, Phase::Resting { .. }) {
            self.search_from(None, conditions);
        }
        if let Phase::Searching { good, bad, hint } = &mut self.phase {
            *bad = (*bad).min(limit + 1);
            if *good > limit {
                *good = conditions.least();
            }
            *hint = Some(limit);
            self.probe = self.probe.filter(|probe| probe.onwire <= limit);
        }
    }

    /// Handles a report of a router that packets longer than `limit` do not pass. The report may be
    /// forged: it starts a search at that size, and the size in use stays until a probe of it is
    /// lost.
    pub(crate) fn suggest(&mut self, limit: usize, conditions: &Conditions) {
        let narrower = self.verified.is_some_and(|verified| limit < verified);
        match &mut self.phase {
            Phase::Resting { .. } if narrower => self.search_from(Some(limit), conditions),
            Phase::Searching { hint, .. } => *hint = Some(limit),
            Phase::Resting { .. } | Phase::Off => {}
        }
    }

    /// Starts a search without knowledge but for the reported limit.
    fn search_from(&mut self, hint: Option<usize>, conditions: &Conditions) {
        self.probe = None;
        self.phase = Phase::Searching { good: conditions.least(), bad: MAX_ONWIRE + 1, hint };
    }

    /// Returns the size of the probe, which is about to be sent once more.
    fn send(&mut self, now: Instant, mut probe: Probe, conditions: &Conditions) -> usize {
        // The first probes follow each other quickly; the others allow for an interruption to end.
        let pause = FIRST_PAUSE * (1 << probe.sends.min(MAX_DOUBLINGS));
        probe.sends = probe.sends.saturating_add(1);
        probe.lost_at = now + conditions.patience.max(pause);
        probe.path_works = conditions.last_pong.is_some_and(|pong| pong > probe.first_sent);
        self.probe = Some(probe);
        probe.onwire
    }

    /// Handles a probe that was sent often enough without a reply.
    fn probe_lost(&mut self, onwire: usize, conditions: &Conditions) {
        self.probe = None;
        let in_use = self.verified.is_some_and(|verified| verified >= onwire);
        if !in_use {
            if let Phase::Searching { bad, .. } = &mut self.phase {
                *bad = onwire.min(*bad);
            }
            return;
        }
        // Probably a black hole. Messages use what is known to arrive while this size gets another
        // chance: it did arrive once, and the probes may have been lost by chance.
        if matches!(self.phase, Phase::Resting { .. }) {
            self.search_from(None, conditions);
        }
        if let Phase::Searching { good, hint, .. } = &mut self.phase {
            self.verified = (*good > conditions.least()).then_some(*good);
            *hint = Some(onwire);
        }
    }

    /// Returns the size to try next. If there is none, the search is over.
    fn next_size(&mut self, now: Instant, conditions: &Conditions) -> Option<usize> {
        let Phase::Searching { good, bad, hint } = &mut self.phase else { return None };
        let (low, high) = (*good, *bad);
        let between = |size: &usize| low < *size && *size < high;
        let hinted = hint.take().and_then(|hint| conditions.align_down(hint));
        let top = (high > MAX_ONWIRE).then(|| conditions.align_down(MAX_ONWIRE)).flatten();
        let likely = || LIKELY.iter().filter_map(|&size| conditions.align_down(size));
        let next = conditions.next_up(low);
        let confirm = likely().any(|size| size == low).then_some(next);
        let halved = conditions.align_down(low.midpoint(high)).map(|half| half.max(next));
        let size = hinted
            .filter(between)
            .or(self.verified.filter(between))
            .or(top.filter(between))
            .or(confirm.filter(between))
            .or_else(|| likely().find(between))
            .or(halved.filter(between));
        if size.is_none() {
            self.verified = Some(low);
            let next_search = now.checked_add(conditions.interval);
            let check = BlackHoleCheck::new(now, conditions.data_packets);
            self.phase = Phase::Resting { next_search, check };
        }
        size
    }
}

impl Probe {
    fn new(now: Instant, onwire: usize) -> Self {
        Self { onwire, sends: 0, first_sent: now, lost_at: now, path_works: false }
    }
}

impl Conditions {
    /// Returns the size that every path of the IP version takes.
    fn least(&self) -> usize {
        self.align_down(self.version.min_onwire()).unwrap_or(self.version.min_onwire())
    }

    /// Returns the longest packet of at most `onwire` bytes that the cipher can produce.
    fn align_down(&self, onwire: usize) -> Option<usize> {
        let overhead = path_overhead(self.version);
        let data = self.crypto.app_mtu(onwire.checked_sub(overhead)?)?;
        Some(self.crypto.wire_len(data + MTU_HEADER_LEN) + overhead)
    }

    /// Returns the next longer packet that the cipher can produce.
    fn next_up(&self, onwire: usize) -> usize {
        onwire + self.crypto.block.max(1)
    }
}

/// How often a probe is sent at least before its size counts as too long.
const MAX_SENDS: u32 = 4;
/// The least time to wait for the reply to the first probe, however quick the pongs are: a long
/// packet takes longer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often that time doubles.
const MAX_DOUBLINGS: u32 = 2;
/// Sizes that paths usually have, in the order of trial: Ethernet, the minimum of IPv6, jumbo
/// frames, tunnels, PPPoE.
const LIKELY: [usize; 6] = [1500, 1280, 9000, 1420, 1400, 1492];

#[cfg(test)]
mod tests;
