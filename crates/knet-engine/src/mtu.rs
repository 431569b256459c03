//! Finds out how long a packet may be on one link, without stopping traffic.
//!
//! The size that is known to arrive stays in use while a search runs. A search starts at the top,
//! because a kernel that knows better refuses at once and says what it takes; sizes that paths
//! usually have come next, and the gap is halved only where nobody says anything. A probe that is
//! not answered is sent again before it counts as too big: a lost packet is not a narrow path.
//! (`spec/engine.md` 15, with its rough edges gone.)
//!
//! Between searches, probes of the size in use watch for a black hole: a path that has become
//! narrower and drops long packets silently, while pings get through.

use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, IpVersion, MAX_ONWIRE, MTU_HEADER_LEN, path_overhead};

/// The discovery of one link. All sizes are those of whole IP packets, in bytes.
#[derive(Debug)]
pub(crate) struct PathMtu {
    /// The largest size known to arrive; `None` until one was found.
    verified: Option<usize>,
    phase: Phase,
    /// The probe that is out.
    probe: Option<Probe>,
    /// Whether data was sent since the last check.
    data_seen: u64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The link is down.
    Off,
    /// Between searches.
    Resting { next_search: Option<Instant>, next_check: Instant },
    /// The path takes `good` and not `bad`, as far as is known, and somebody said that it takes
    /// `hint`.
    Searching { good: usize, bad: usize, hint: Option<usize> },
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    onwire: usize,
    sends: u32,
    first_sent: Instant,
    lost_at: Instant,
}

/// What the discovery needs to know of its link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) version: IpVersion,
    pub(crate) crypto: CryptoSizes,
    /// How long an answer may take before a probe counts as lost.
    pub(crate) patience: Duration,
    /// Time between two searches.
    pub(crate) interval: Duration,
    /// When the last pong came.
    pub(crate) last_pong: Option<Instant>,
    /// How many data packets were ever sent on the link.
    pub(crate) data_packets: u64,
}

impl Default for PathMtu {
    fn default() -> Self {
        Self { verified: None, phase: Phase::Off, probe: None, data_seen: 0 }
    }
}

impl PathMtu {
    /// The largest size known to arrive.
    pub(crate) fn verified(&self) -> Option<usize> {
        self.verified
    }

    /// Whether a search is running.
    pub(crate) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching { .. })
    }

    /// The link came up, or conditions changed: search now. The size in use comes first, because the
    /// path may take less than before.
    pub(crate) fn search(&mut self, conditions: &Conditions) {
        self.search_from(self.verified, conditions);
    }

    fn search_from(&mut self, hint: Option<usize>, conditions: &Conditions) {
        self.probe = None;
        self.phase = Phase::Searching { good: conditions.least(), bad: MAX_ONWIRE + 1, hint };
    }

    /// The link went down, or its MTU was set by hand.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Off;
        self.probe = None;
    }

    /// Another path: nothing is known of it.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// When [`PathMtu::poll_probe`] has to be asked next.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        match (self.probe, self.phase) {
            (_, Phase::Off) => None,
            (Some(probe), _) => Some(probe.lost_at),
            (None, Phase::Searching { .. }) => Some(now),
            (None, Phase::Resting { next_search, next_check }) => {
                Some(next_search.map_or(next_check, |search| search.min(next_check)))
            }
        }
    }

    /// The size of a probe that has to leave now.
    pub(crate) fn poll_probe(&mut self, now: Instant, conditions: &Conditions) -> Option<usize> {
        if let Some(probe) = self.probe {
            if now < probe.lost_at {
                return None;
            }
            if probe.sends < MAX_SENDS {
                return Some(self.send(now, probe, conditions));
            }
            self.lost(probe, conditions);
        }
        if let Phase::Resting { next_search, next_check } = self.phase {
            if next_search.is_some_and(|at| at <= now) {
                self.search(conditions);
            } else if next_check <= now {
                return self.check(now, next_search, conditions);
            }
        }
        let onwire = self.next_size(now, conditions)?;
        let probe = Probe { onwire, sends: 0, first_sent: now, lost_at: now };
        Some(self.send(now, probe, conditions))
    }

    /// A probe of this size was answered; whether one was out.
    pub(crate) fn answered(&mut self, onwire: usize) -> bool {
        if self.probe.is_none_or(|probe| probe.onwire != onwire) {
            return false;
        }
        self.probe = None;
        if let Phase::Searching { good, .. } = &mut self.phase {
            *good = onwire.max(*good);
            // Longer than what is in use: use it at once, whatever the search finds further up.
            self.verified = self.verified.max(Some(onwire));
        }
        true
    }

    /// The kernel did not let a probe of this size leave.
    pub(crate) fn refused(&mut self, onwire: usize) {
        if self.probe.is_none_or(|probe| probe.onwire != onwire) {
            return;
        }
        self.probe = None;
        if let Phase::Searching { good, bad, .. } = &mut self.phase {
            *bad = onwire.min(*bad);
            *good = (*good).min(bad.saturating_sub(1));
        }
    }

    /// The kernel says that packets longer than `limit` cannot leave on this link's path. That is
    /// certain: what is in use is shortened at once.
    pub(crate) fn limited(&mut self, limit: usize, conditions: &Conditions) {
        let limit = limit.max(conditions.least());
        let narrower = self.verified.is_some_and(|verified| verified > limit);
        if narrower {
            self.verified = conditions.align_down(limit);
        }
        match &mut self.phase {
            Phase::Off => {}
            Phase::Searching { good, bad, hint } => {
                *bad = (*bad).min(limit + 1);
                *good = (*good).min(limit);
                *hint = Some(limit);
                self.probe = self.probe.filter(|probe| probe.onwire <= limit);
            }
            Phase::Resting { .. } if narrower => {
                let (good, bad) = (conditions.least(), limit + 1);
                self.probe = None;
                self.phase = Phase::Searching { good, bad, hint: Some(limit) };
            }
            Phase::Resting { .. } => {}
        }
    }

    /// A router says that packets longer than `limit` do not pass it. Anybody can say so: it starts
    /// a search that begins there, and changes nothing until that has found out.
    pub(crate) fn suggested(&mut self, limit: usize, conditions: &Conditions) {
        let narrower = self.verified.is_some_and(|verified| limit < verified);
        match &mut self.phase {
            Phase::Resting { .. } if narrower => self.search_from(Some(limit), conditions),
            Phase::Searching { hint, .. } => *hint = Some(limit),
            Phase::Resting { .. } | Phase::Off => {}
        }
    }

    fn send(&mut self, now: Instant, mut probe: Probe, conditions: &Conditions) -> usize {
        probe.sends += 1;
        probe.lost_at = now + conditions.patience;
        self.probe = Some(probe);
        probe.onwire
    }

    fn check(
        &mut self,
        now: Instant,
        next_search: Option<Instant>,
        conditions: &Conditions,
    ) -> Option<usize> {
        self.phase = Phase::Resting { next_search, next_check: now + CHECK_INTERVAL };
        let sent = std::mem::replace(&mut self.data_seen, conditions.data_packets);
        // Nobody suffers from a black hole that nothing is sent into.
        let onwire = self.verified.filter(|_| sent != conditions.data_packets)?;
        let probe = Probe { onwire, sends: 0, first_sent: now, lost_at: now };
        Some(self.send(now, probe, conditions))
    }

    /// A probe was sent often enough without an answer.
    fn lost(&mut self, probe: Probe, conditions: &Conditions) {
        self.probe = None;
        // A path that lets nothing through at all is for the heartbeat to find out.
        let narrow = conditions.last_pong.is_some_and(|pong| pong > probe.first_sent);
        let unusable = narrow && self.verified.is_some_and(|verified| verified >= probe.onwire);
        match &mut self.phase {
            Phase::Off => {}
            Phase::Searching { good, bad, .. } => {
                *bad = probe.onwire.min(*bad);
                if unusable {
                    self.verified = Some(*good).filter(|&good| good > conditions.least());
                }
            }
            Phase::Resting { .. } if unusable => {
                self.verified = None;
                let good = conditions.least();
                self.phase = Phase::Searching { good, bad: probe.onwire, hint: None };
            }
            Phase::Resting { .. } => {}
        }
    }

    /// The size to try next. When there is none the search is over.
    fn next_size(&mut self, now: Instant, conditions: &Conditions) -> Option<usize> {
        let Phase::Searching { good, bad, hint } = &mut self.phase else { return None };
        let (low, high) = (*good, *bad);
        let between = |size: &usize| low < *size && *size < high;
        let hinted = hint.take().and_then(|hint| conditions.align_down(hint));
        let top = (high > MAX_ONWIRE).then(|| conditions.align_down(MAX_ONWIRE)).flatten();
        let likely = || LIKELY.iter().rev().filter_map(|&size| conditions.align_down(size));
        let next = conditions.next_up(low);
        let confirm = likely().any(|size| size == low).then_some(next);
        let halved = conditions.align_down(low.midpoint(high)).map(|half| half.max(next));
        let size = hinted
            .filter(between)
            .or(top.filter(between))
            .or(confirm.filter(between))
            .or_else(|| likely().find(between))
            .or(halved.filter(between));
        if size.is_none() {
            self.verified = Some(low);
            self.data_seen = conditions.data_packets;
            let next_search = now.checked_add(conditions.interval);
            self.phase = Phase::Resting { next_search, next_check: now + CHECK_INTERVAL };
        }
        size
    }
}

impl Conditions {
    /// The size that every path of the address family takes.
    fn least(&self) -> usize {
        self.align_down(self.version.min_onwire()).unwrap_or(self.version.min_onwire())
    }

    /// The longest packet up to `onwire` that the cipher can make.
    fn align_down(&self, onwire: usize) -> Option<usize> {
        let overhead = path_overhead(self.version);
        let data = self.crypto.app_mtu(onwire.checked_sub(overhead)?)?;
        Some(self.crypto.wire_len(data + MTU_HEADER_LEN) + overhead)
    }

    /// The next longer packet that the cipher can make.
    fn next_up(&self, onwire: usize) -> usize {
        onwire + self.crypto.block.max(1)
    }
}

/// How often a probe is sent before its size counts as too big.
const MAX_SENDS: u32 = 3;
/// How often the size in use is checked while data is sent.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Sizes that paths usually have, in ascending order: IPv6's minimum, tunnels, PPPoE, Ethernet,
/// jumbo frames.
const LIKELY: [usize; 6] = [1280, 1400, 1420, 1492, 1500, 9000];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLEAR: CryptoSizes = CryptoSizes::CLEAR;
    const AES_SHA1: CryptoSizes = CryptoSizes { block: 16, salt: 16, hash: 20 };
    const AES_SHA256: CryptoSizes = CryptoSizes { block: 16, salt: 16, hash: 32 };

    /// A path with a narrow place, and what the sender's kernel knows of it.
    struct Path {
        now: Instant,
        conditions: Conditions,
        /// The narrowest place on the way.
        mtu: usize,
        /// The sender's own interface: the kernel refuses what is longer, and says so.
        interface: usize,
        /// Whether its refusals come with the size that it takes.
        hints: bool,
        probes: Vec<usize>,
    }

    fn path(mtu: usize, interface: usize, crypto: CryptoSizes, version: IpVersion) -> Path {
        let now = Instant::now();
        let patience = Duration::from_millis(100);
        let interval = Duration::from_secs(60);
        let last_pong = Some(now);
        let conditions =
            Conditions { version, crypto, patience, interval, last_pong, data_packets: 0 };
        Path { now, conditions, mtu, interface, hints: true, probes: Vec::new() }
    }

    impl Path {
        /// Plays until nothing is to be done for `time`, with a pong and a data packet every second.
        fn run(&mut self, discovery: &mut PathMtu, time: Duration) {
            let end = self.now + time;
            while let Some(at) = discovery.next_timeout(self.now).filter(|&at| at <= end) {
                self.now = at.max(self.now);
                self.conditions.last_pong = Some(self.now + Duration::from_nanos(1));
                self.conditions.data_packets += 1;
                let Some(onwire) = discovery.poll_probe(self.now, &self.conditions) else {
                    continue;
                };
                self.probes.push(onwire);
                if onwire > self.interface {
                    if self.hints {
                        discovery.limited(self.interface, &self.conditions);
                    }
                    discovery.refused(onwire);
                } else if onwire <= self.mtu {
                    assert!(discovery.answered(onwire));
                }
            }
            self.now = end;
        }

        /// Finds the MTU from nothing.
        fn find(&mut self) -> Option<usize> {
            let mut discovery = PathMtu::default();
            discovery.search(&self.conditions);
            while discovery.is_searching() {
                self.run(&mut discovery, Duration::from_millis(100));
            }
            discovery.verified()
        }
    }

    #[test]
    fn with_the_kernels_hint_ethernet_takes_two_probes() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        assert_eq!(path.find(), Some(1500));
        assert_eq!(path.probes, [65_535, 1500]);
        let mut path = super::tests::path(1500, 1500, AES_SHA1, IpVersion::V4);
        assert_eq!(path.find(), Some(1488), "as captured in wire.md V16");
        assert!(path.probes.len() <= 3, "{:?}", path.probes);
    }

    #[test]
    fn a_silent_ethernet_behind_a_wide_interface_takes_few_sizes() {
        let mut path = path(1500, 65_535, CLEAR, IpVersion::V4);
        assert_eq!(path.find(), Some(1500));
        let mut sizes = path.probes.clone();
        sizes.dedup();
        assert_eq!(sizes, [65_535, 9000, 1500, 1501]);
    }

    #[test]
    fn a_lost_probe_is_sent_again_before_it_counts() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.mtu = 0;
        path.run(&mut discovery, Duration::from_millis(150));
        assert_eq!(path.probes, [65_535, 1500, 1500], "the first was lost");
        path.mtu = 1500;
        path.run(&mut discovery, Duration::from_secs(5));
        assert_eq!(discovery.verified(), Some(1500));
    }

    #[test]
    fn the_size_in_use_stays_while_a_search_runs() {
        let mut path = path(9000, 9000, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        assert_eq!(discovery.verified(), Some(9000));
        discovery.search(&path.conditions);
        assert!(discovery.is_searching());
        assert_eq!(discovery.verified(), Some(9000));
    }

    #[test]
    fn a_narrower_interface_is_heeded_at_once() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        discovery.limited(1400, &path.conditions);
        assert_eq!(discovery.verified(), Some(1400));
        (path.mtu, path.interface) = (1400, 1400);
        path.run(&mut discovery, Duration::from_secs(1));
        assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1400), false));
    }

    #[test]
    fn a_black_hole_is_noticed_and_searched() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        path.mtu = 1420;
        path.run(&mut discovery, Duration::from_secs(10));
        assert_eq!(discovery.verified(), Some(1420));
    }

    #[test]
    fn a_black_hole_is_noticed_however_often_wider_paths_are_looked_for() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        path.conditions.interval = Duration::from_secs(1);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(3));
        path.mtu = 1420;
        path.run(&mut discovery, Duration::from_secs(10));
        assert_eq!(discovery.verified(), Some(1420));
    }

    #[test]
    fn what_a_path_does_not_take_any_more_is_out_of_use_before_the_search_is_over() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        path.mtu = 1390;
        discovery.suggested(1390, &path.conditions);
        // Two answers at once, three probes of what was in use without one.
        path.run(&mut discovery, Duration::from_millis(350));
        assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1390), true));
    }

    #[test]
    fn a_silent_link_is_not_taken_for_a_narrow_one() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        discovery.search(&path.conditions);
        let mut now = path.now;
        for _ in 0..MAX_SENDS {
            assert_eq!(discovery.poll_probe(now, &path.conditions), Some(1500));
            now += path.conditions.patience;
        }
        let _ = discovery.poll_probe(now, &path.conditions);
        assert_eq!(discovery.verified(), Some(1500));
    }

    #[test]
    fn a_wider_path_is_found_at_the_next_search() {
        let mut path = path(1400, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(10));
        assert_eq!(discovery.verified(), Some(1400));
        path.mtu = 1500;
        path.run(&mut discovery, Duration::from_secs(70));
        assert_eq!(discovery.verified(), Some(1500));
    }

    #[test]
    fn a_forged_hint_costs_a_search_and_nothing_else() {
        let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
        let mut discovery = PathMtu::default();
        discovery.search(&path.conditions);
        path.run(&mut discovery, Duration::from_secs(1));
        discovery.suggested(600, &path.conditions);
        assert_eq!(discovery.verified(), Some(1500));
        path.run(&mut discovery, Duration::from_secs(3));
        assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
    }

    #[test]
    fn an_answer_that_nobody_waits_for_changes_nothing() {
        let mut discovery = PathMtu::default();
        assert!(!discovery.answered(9000));
        discovery.refused(100);
        assert_eq!(discovery.verified(), None);
        let path = path(1500, 1500, CLEAR, IpVersion::V4);
        discovery.search(&path.conditions);
        assert!(!discovery.answered(9000));
        assert_eq!(discovery.verified(), None);
    }

    proptest! {
        /// Whatever the path, the kernel and the cipher: what is found is what the path takes.
        #[test]
        fn what_is_found_is_what_the_path_takes(
            mtu in 1280usize..=65_535,
            extra in 0usize..70_000,
            hints: bool,
            v6: bool,
            crypto in prop_oneof![Just(CLEAR), Just(AES_SHA1), Just(AES_SHA256)],
        ) {
            let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
            let mut path = path(mtu, mtu + extra, crypto, version);
            path.hints = hints;
            let expected = path.conditions.align_down(mtu);
            prop_assert_eq!(path.find(), expected);
            prop_assert!(path.probes.len() <= 3 * 25, "{} probes", path.probes.len());
        }
    }
}
