//! Path MTU discovery of one link: how long a packet may be, without stopping traffic
//! (`docs/protocol.md`, "Path MTU discovery").
//!
//! The size that is known to arrive stays in use while a search runs. A search starts at the top,
//! because a kernel that knows the limit refuses at once and reports it. Sizes that paths usually
//! have come next. The gap is halved only if no limit was reported. A probe that is not
//! answered is sent again before its size counts as too long, and only once a pong has shown that
//! the path works at all: neither a lost packet nor an interruption is a narrow path.
//!
//! That the path carries the least size is not taken for granted. As soon as a probe is not
//! answered at once while nothing is known to arrive, the least size is probed, and a path that
//! does not carry it is too narrow for data until it does.
//!
//! Each search starts with the size in use, and between searches probes of it detect a black hole
//! ([`BlackHoleCheck`]).

use std::time::{Duration, Instant};

use knet_wire::MAX_ONWIRE;

use super::black_hole::BlackHoleCheck;
use super::conditions::Conditions;
use super::narrow::NarrowCheck;
use super::probe::{Evidence, OutgoingProbe, Probe, ProbeStep, Reply};

/// The discovery of one link. All sizes are those of whole IP packets, in bytes.
#[derive(Debug, Default)]
pub(crate) struct PathMtu {
    /// The longest size known to arrive; `None` until one was found.
    verified: Option<usize>,
    /// `true` if the least size is known not to arrive.
    too_narrow: bool,
    phase: Phase,
    /// The probe that waits for its reply.
    probe: Option<Probe>,
    /// The cookie of the latest probe.
    cookie: u16,
    /// When a report of a router was last followed.
    suggested: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    /// The link is down, or its MTU was set by hand.
    #[default]
    Off,
    /// Between searches.
    Resting { next_search: Option<Instant>, check: BlackHoleCheck },
    /// A search runs.
    Searching(Search),
    /// The least size does not arrive. It is probed now and then.
    Narrow(NarrowCheck),
}

/// What a search knows so far.
#[derive(Clone, Copy, Debug)]
struct Search {
    /// The longest size that was answered in this search.
    good: Option<usize>,
    /// The shortest size that does not arrive.
    bad: usize,
    /// The size that was reported as the limit.
    hint: Option<usize>,
    /// `true` if the least size has to be probed next, unless a longer one was answered.
    least_first: bool,
}

impl PathMtu {
    /// Returns the longest size known to arrive.
    pub(crate) fn verified(&self) -> Option<usize> {
        self.verified
    }

    /// Returns `true` if the path does not carry packets of the least size.
    pub(crate) fn is_too_narrow(&self) -> bool {
        self.too_narrow
    }

    /// Returns `true` if nothing is probed.
    pub(crate) fn is_off(&self) -> bool {
        matches!(self.phase, Phase::Off)
    }

    /// Returns `true` while a search runs.
    pub(crate) fn is_searching(&self) -> bool {
        matches!(self.phase, Phase::Searching(_))
    }

    /// Starts a search. The size in use comes first, because the path may take less than before.
    pub(crate) fn search(&mut self) {
        self.search_from(None);
    }

    /// Stops the discovery, because the link went down.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Off;
        self.probe = None;
    }

    /// Stops the discovery, because the MTU was set by hand: the path is not judged.
    pub(crate) fn overrule(&mut self) {
        self.stop();
        self.too_narrow = false;
    }

    /// Forgets everything, because the path is another one.
    pub(crate) fn forget(&mut self) {
        *self = Self { cookie: self.cookie, suggested: self.suggested, ..Self::default() };
    }

    /// Returns when to call [`PathMtu::poll_probe`] next.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        match (self.probe, self.phase) {
            (_, Phase::Off) => None,
            (Some(probe), _) => Some(probe.next_timeout()),
            (None, Phase::Searching(_)) => Some(now),
            (None, Phase::Narrow(check)) => Some(check.next_timeout()),
            (None, Phase::Resting { next_search, check }) => {
                let next_check = check.next_timeout();
                Some(next_search.map_or(next_check, |search| search.min(next_check)))
            }
        }
    }

    /// Returns the probe that has to leave now, if one is due.
    pub(crate) fn poll_probe(
        &mut self,
        now: Instant,
        conditions: &Conditions,
    ) -> Option<OutgoingProbe> {
        if let Some(probe) = &mut self.probe {
            match probe.poll(now, conditions) {
                ProbeStep::Wait => return None,
                // One at a time is enough to find out that the path has become wider.
                _ if matches!(self.phase, Phase::Narrow(_)) => self.probe = None,
                ProbeStep::Again if self.phase.gives_way(probe, conditions) => {
                    self.probe = None;
                }
                ProbeStep::Again => return Some(probe.send(now, conditions)),
                ProbeStep::Lost => {
                    let onwire = probe.onwire;
                    self.probe_lost(onwire);
                }
            }
        }
        match &mut self.phase {
            Phase::Resting { next_search, .. } if next_search.is_some_and(|at| at <= now) => {
                self.search();
            }
            Phase::Resting { check, .. } => {
                if check.poll(now, conditions.data_packets) {
                    return Some(self.send(now, self.verified?, conditions));
                }
            }
            Phase::Narrow(check) => {
                let is_due = check.poll(now);
                return is_due.then(|| self.send(now, conditions.least(), conditions));
            }
            Phase::Off | Phase::Searching(_) => {}
        }
        let onwire = self.next_size(now, conditions)?;
        Some(self.send(now, onwire, conditions))
    }

    /// Handles a reply with this cookie. Returns `true` if it answers the probe.
    pub(crate) fn probe_answered(&mut self, cookie: u16) -> bool {
        let Some(probe) = self.probe.as_mut() else { return false };
        let (reply, onwire) = (probe.reply(cookie), probe.onwire);
        let is_narrow = matches!(self.phase, Phase::Narrow(_));
        if reply != Reply::None && is_narrow {
            // A doubtful reply is reason enough: the search finds out.
            self.search_from(None);
        }
        if reply != Reply::Answer {
            return false;
        }
        self.probe = None;
        if let Phase::Searching(search) = &mut self.phase {
            search.good = search.good.max(Some(onwire));
            // A size above the one in use is used at once, whatever the search finds further up.
            self.verified = self.verified.max(Some(onwire));
            self.too_narrow = false;
        }
        true
    }

    /// Handles a refusal of the kernel to send a probe of this size, of which [`PathMtu::limit`] has
    /// not reported the cause.
    ///
    /// The kernel may have returned what forged reports of routers left behind, so a size in use,
    /// and the least one, are not given up for that. Their probes count as not answered.
    pub(crate) fn probe_refused(&mut self, onwire: usize, conditions: &Conditions) {
        let in_use = self.verified.is_some_and(|verified| verified >= onwire);
        let is_out = self.probe.is_some_and(|probe| probe.onwire == onwire);
        if in_use || !is_out || onwire <= conditions.least() {
            return;
        }
        self.probe = None;
        if let Phase::Searching(search) = &mut self.phase {
            search.set_bad(onwire);
        }
    }

    /// Handles a report of the kernel that packets longer than `limit` cannot leave for this path.
    /// That is certain, so a longer size in use is shortened at once. Whether packets of `limit`
    /// bytes arrive still has to be found out.
    pub(crate) fn limit(&mut self, now: Instant, limit: usize, conditions: &Conditions) {
        if limit < conditions.least() {
            self.verified = None;
            if !matches!(self.phase, Phase::Off | Phase::Narrow(_)) {
                self.give_up(now);
            }
            return;
        }
        let limit = limit.min(MAX_ONWIRE);
        let narrower = self.verified.is_some_and(|verified| verified > limit);
        if narrower {
            self.verified = conditions.align_down(limit);
        }
        if narrower && matches!(self.phase, Phase::Resting { .. }) {
            self.search_from(None);
        }
        if let Phase::Searching(search) = &mut self.phase {
            search.set_bad(limit + 1);
            search.hint = Some(limit);
            self.probe = self.probe.filter(|probe| probe.onwire <= limit);
        }
    }

    /// Handles a report of a router that packets longer than `limit` do not pass. The report may be
    /// forged: it starts a search at that size, and the size in use stays until a probe of it is
    /// lost. One report per second is followed.
    pub(crate) fn suggest(&mut self, now: Instant, limit: usize) {
        if self.suggested.is_some_and(|at| now < at + BETWEEN_SUGGESTIONS) {
            return;
        }
        let narrower = self.verified.is_some_and(|verified| limit < verified);
        match &mut self.phase {
            Phase::Resting { .. } if narrower => self.search_from(Some(limit)),
            Phase::Searching(search) => search.hint = Some(limit),
            Phase::Resting { .. } | Phase::Narrow(_) | Phase::Off => return,
        }
        self.suggested = Some(now);
    }

    /// Starts a search without knowledge but for the reported limit. On a path that was too narrow
    /// it begins with the least size.
    fn search_from(&mut self, hint: Option<usize>) {
        self.probe = None;
        let least_first = self.too_narrow;
        self.phase =
            Phase::Searching(Search { good: None, bad: MAX_ONWIRE + 1, hint, least_first });
    }

    /// Ends the search, because the path does not even take the least size.
    fn give_up(&mut self, now: Instant) {
        (self.verified, self.too_narrow, self.probe) = (None, true, None);
        self.phase = Phase::Narrow(NarrowCheck::new(now));
    }

    /// Returns a new probe of this size.
    fn send(&mut self, now: Instant, onwire: usize, conditions: &Conditions) -> OutgoingProbe {
        let is_least = onwire <= conditions.least();
        let evidence = if is_least { Evidence::PongEach } else { Evidence::OnePong };
        let mut probe = Probe::new(now, onwire, evidence, self.cookie, conditions);
        let outgoing = probe.send(now, conditions);
        (self.probe, self.cookie) = (Some(probe), outgoing.cookie);
        outgoing
    }

    /// Handles a probe that was sent often enough without a reply.
    fn probe_lost(&mut self, onwire: usize) {
        self.probe = None;
        let in_use = self.verified.is_some_and(|verified| verified >= onwire);
        if !in_use {
            if let Phase::Searching(search) = &mut self.phase {
                search.set_bad(onwire);
            }
            return;
        }
        // Probably a black hole. Messages use what is known to arrive while this size gets another
        // chance: it did arrive once, and the probes may have been lost by chance.
        if matches!(self.phase, Phase::Resting { .. }) {
            self.search_from(None);
        }
        if let Phase::Searching(search) = &mut self.phase {
            self.verified = search.good;
            search.hint = Some(onwire);
        }
    }

    /// Returns the size to try next. If there is none, the search is over.
    fn next_size(&mut self, now: Instant, conditions: &Conditions) -> Option<usize> {
        let Phase::Searching(search) = &mut self.phase else { return None };
        let size = search.next_size(self.verified, conditions);
        if size.is_none() {
            let Some(good) = search.good else {
                self.give_up(now);
                return None;
            };
            self.verified = Some(good);
            let next_search = now.checked_add(conditions.interval);
            let check = BlackHoleCheck::new(now, conditions.data_packets);
            self.phase = Phase::Resting { next_search, check };
        }
        size
    }
}

impl Phase {
    /// Returns `true` if another size has to be probed before this probe is sent again: it was not
    /// answered the first time, and nothing is known to arrive. A shorter size that was reported
    /// goes first, or else the least one. This one gets its other times later.
    fn gives_way(&mut self, probe: &Probe, conditions: &Conditions) -> bool {
        let (Self::Searching(search), least) = (self, conditions.least()) else { return false };
        let unknown = search.good.is_none() && !search.least_first;
        if !unknown || !probe.is_first() || probe.onwire <= least {
            return false;
        }
        if search.hint.is_none_or(|hint| hint < least || probe.onwire <= hint) {
            (search.least_first, search.hint) = (true, Some(probe.onwire));
        }
        true
    }
}

impl Search {
    /// Notes that packets of this length do not arrive.
    fn set_bad(&mut self, onwire: usize) {
        self.bad = onwire.min(self.bad);
        self.good = self.good.filter(|&good| good < self.bad);
    }

    /// Returns the size to try next, `None` if nothing is left to try.
    fn next_size(&mut self, verified: Option<usize>, conditions: &Conditions) -> Option<usize> {
        let (good, high, least) = (self.good, self.bad, conditions.least());
        let between = |&size: &usize| good.is_none_or(|good| good < size) && size < high;
        if good.is_none() && self.least_first {
            return Some(least).filter(between);
        }
        let likely = || LIKELY.iter().filter_map(|&size| conditions.align_down(size));
        let hinted = self.hint.take().and_then(|hint| conditions.align_down(hint));
        let top = (high > MAX_ONWIRE).then(|| conditions.align_down(MAX_ONWIRE)).flatten();
        let next = good.map_or(least, |good| conditions.next_up(good));
        let confirm = good.filter(|&good| likely().any(|size| size == good)).map(|_| next);
        let halved = conditions.align_down(good.unwrap_or(least).midpoint(high));
        hinted
            .into_iter()
            .chain(verified)
            .chain(top)
            .chain(confirm)
            .chain(likely())
            .chain(halved.map(|half| half.max(next)))
            .find(|size| *size >= least && between(size))
    }
}

/// The least time between two reports of routers that are followed.
const BETWEEN_SUGGESTIONS: Duration = Duration::from_secs(1);
/// Sizes that paths usually have, in the order of trial: Ethernet, the minimum of IPv6, jumbo
/// frames, tunnels, PPPoE.
const LIKELY: [usize; 6] = [1500, 1280, 9000, 1420, 1400, 1492];

#[cfg(test)]
mod tests;
