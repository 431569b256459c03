//! Restart detection from the sequence numbers in pings (`docs/protocol.md`, "Restart detection").
//!
//! A ping carries the number of the last message of its sender. If that is older than a number that
//! came more than [`STRAGGLER_TIME`] ago, no usual delay explains it: the sender is another process,
//! whose numbers started over. Number 0, no message yet, is older than any number.
//!
//! Anybody can forge such a ping. So while the host is reachable it only begins a doubt. A later
//! one decides, unless something has shown meanwhile that the numbers continue. A ping that may be
//! of a successor is not answered until then. Because a process sends no data over a link before
//! one of its pings there was answered, no message of it is mistaken for an old one.
//!
//! Forged pings could prolong a doubt, and a host that is not answered loses its links. So every
//! doubt ends soon: what an ended process has sent has arrived within [`LONGEST_DISPUTE`] after the
//! first ping of its successor, and what contradicts the doubt later ends it. For a while from then
//! on, such pings are answered at once.

use std::time::{Duration, Instant};

use knet_wire::SequenceNumber;

use super::dedup::DuplicateWindow;
use super::reached::{Reached, STRAGGLER_TIME};

/// What is known about the process behind the numbers of one host.
#[derive(Debug, Default)]
pub(crate) struct RestartDetector {
    /// How far its numbers have come, once one was heard.
    reached: Option<Reached>,
    /// When the first message came of this process, or of one that may be this one.
    first: Option<Instant>,
    doubt: Option<Doubt>,
    /// When a doubt last turned out to be unfounded.
    unfounded: Option<Instant>,
    /// The host is lost, and no ping has shown yet whether the process is the same.
    lost: bool,
}

/// Pings came that may be of a successor.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    since: Instant,
    /// When something last showed that the numbers continue.
    contradicted: Option<Instant>,
    /// One of the pings was too old to be late.
    is_strong: bool,
}

/// What a ping shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Judgement {
    /// The process is the one that is known, or the ping is late.
    SameProcess,
    /// The numbers start over, of a process of which no message came: nothing has to be protected.
    Unused,
    /// It may be of a successor, be forged, or be very late.
    Doubtful,
    /// The same, but such pings were forged or very late a while ago.
    Unfounded,
    /// The host was restarted, before this time.
    Restarted(Instant),
}

impl RestartDetector {
    /// Handles the number in a ping, before the window moves to it. `latest` is where the ping before
    /// over the same link was, and `reachable` is `true` unless the host is lost.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        window: &DuplicateWindow,
        latest: Option<u64>,
        reachable: bool,
    ) -> Judgement {
        let Some(reached) = &mut self.reached else { return Judgement::SameProcess };
        reached.look(now);
        let position = window.position_of(sequence);
        let nothing_sent = sequence == SequenceNumber::ZERO;
        if !nothing_sent && position >= reached.position() {
            if position == reached.position() {
                self.continues(now);
            }
            // Pings that continue while the host is still lost decide nothing: our packets do not
            // reach it yet, and it may be restarted before they do.
            self.lost &= !reachable;
            return Judgement::SameProcess;
        }
        let is_old = nothing_sent || reached.is_old(now, position);
        let Some(first) = self.first else {
            return if is_old { Judgement::Unused } else { Judgement::SameProcess };
        };
        let is_strong =
            is_old && (!nothing_sent || now.saturating_duration_since(first) >= STRAGGLER_TIME);
        if is_strong && self.lost {
            return Judgement::Restarted(now);
        }
        if !is_old && self.doubt.is_none() {
            return Judgement::SameProcess;
        }
        // A link whose numbers go forward may be late by seconds: a neighbour whose hardware address
        // was unknown gets what was sent meanwhile, all at once.
        let forward = !nothing_sent && latest.is_some_and(|latest| position >= latest);
        self.weigh(now, is_strong, if forward { STRAGGLER_TIME } else { LEAST_DOUBT })
    }

    /// Handles a ping that may be of a successor, which has to be in doubt for `least`.
    fn weigh(&mut self, now: Instant, is_strong: bool, least: Duration) -> Judgement {
        let was_unfounded = self.was_unfounded(now);
        let doubt = self.doubt.get_or_insert_with(|| Doubt::new(now));
        doubt.is_strong |= is_strong;
        if is_strong && doubt.is_certain(now, least) {
            return Judgement::Restarted(doubt.since);
        }
        if was_unfounded { Judgement::Unfounded } else { Judgement::Doubtful }
    }

    /// Notes that a number of the host was heard.
    pub(crate) fn heard(&mut self, now: Instant, position: u64) {
        let reached = self.reached.get_or_insert_with(|| Reached::new(now, position));
        if reached.heard(now, position) {
            self.continues(now);
        }
    }

    /// Notes that a message of the host came.
    pub(crate) fn message_came(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// Notes that the last usable link to the host went down.
    pub(crate) fn host_lost(&mut self, now: Instant) {
        self.lost = self.first.is_some();
        if let Some(reached) = &mut self.reached {
            reached.host_lost(now);
        }
    }

    /// Forgets what was heard of the process before, except that messages of it came if the host's
    /// numbers continue, from this older place.
    pub(crate) fn start_over(&mut self, now: Instant, continues: Option<u64>) {
        let reached = continues.map(|position| Reached::new(now, position));
        let first = self.first.filter(|_| continues.is_some());
        *self = Self { reached, first, ..Self::default() };
    }

    /// Notes that the numbers continue.
    fn continues(&mut self, now: Instant) {
        let was_unfounded = self.was_unfounded(now);
        let Some(doubt) = &mut self.doubt else { return };
        doubt.contradicted = Some(now);
        let is_over = doubt.lasts(now, LONGEST_DISPUTE);
        if doubt.is_strong && !was_unfounded {
            // If it is a successor that has sent more messages than its predecessor, its first
            // pings, with number 0, may still be on their way.
            self.first = Some(now);
        }
        if doubt.is_strong && is_over {
            self.unfounded = Some(now);
        }
        if is_over || !doubt.is_strong {
            self.doubt = None;
        }
    }

    /// Returns `true` if a doubt turned out to be unfounded not long ago.
    fn was_unfounded(&self, now: Instant) -> bool {
        self.unfounded.is_some_and(|at| now.saturating_duration_since(at) < UNFOUNDED_FOR)
    }
}

impl Doubt {
    fn new(now: Instant) -> Self {
        Self { since: now, contradicted: None, is_strong: false }
    }

    fn lasts(&self, now: Instant, time: Duration) -> bool {
        now.saturating_duration_since(self.since) >= time
    }

    /// Returns `true` if nothing has contradicted it for `least`, and packets of the process that
    /// has ended can do so no longer.
    fn is_certain(&self, now: Instant, least: Duration) -> bool {
        match self.contradicted {
            None => self.lasts(now, least),
            Some(at) => {
                now.saturating_duration_since(at) >= least && self.lasts(now, LONGEST_DISPUTE)
            }
        }
    }
}

/// How long nothing may contradict a doubt before it is certain: longer than a host that sends is
/// silent, shorter than two pings of a process that is not answered are apart.
const LEAST_DOUBT: Duration = Duration::from_millis(100);

/// How long packets of an ended process may contradict the pings of its successor: half of the time
/// between the first ping that is not answered and the loss of a link, with the default timers.
const LONGEST_DISPUTE: Duration = Duration::from_millis(500);

/// How long pings that may be of a successor are answered after an unfounded doubt.
const UNFOUNDED_FOR: Duration = Duration::from_secs(60);
