//! Restart detection from the sequence numbers in pings (`docs/protocol.md`, "Restart detection").
//!
//! A ping carries the number of the last message of its sender. If that is older than a number that
//! came more than [`STRAGGLER_TIME`] ago, and than the ping before over the same link, no delay
//! explains it: the sender is another process, whose numbers started over. Number 0, no message yet,
//! is older than any number.
//!
//! Anybody can forge one such ping. So while the host is reachable it decides nothing: the second
//! one does, unless something shows meanwhile that the numbers continue. A ping that may be of a
//! successor is not answered until that is decided. Because a process sends no data over a link
//! before one of its pings there was answered, no message of it is mistaken for an old one.

use std::time::{Duration, Instant};

use knet_wire::SequenceNumber;

use super::dedup::DuplicateWindow;

/// What is known about the process behind the numbers of one host.
#[derive(Debug, Default)]
pub(crate) struct RestartDetector {
    /// When the first number was heard of this process, or of one that may be this one.
    first: Option<Instant>,
    /// Where the window was when, at a ping within the last [`STRAGGLER_TIME`] or the one before.
    recent: Option<(u64, Instant)>,
    /// Where it was longer ago.
    passed: Option<u64>,
    /// A ping was heard that no delay explains, or only a long one.
    suspected: bool,
    /// The host is lost, and no ping has shown yet whether the process is the same.
    lost: bool,
}

/// What a ping shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Judgement {
    /// The process is the one that is known, or the ping is late.
    SameProcess,
    /// It may be of a successor, be forged, or be very late.
    Doubtful,
    /// The host was restarted.
    Restarted,
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
        let Some(first) = self.first else { return Judgement::SameProcess };
        self.take_position(now, window.position());
        let position = window.position_of(sequence);
        let is_old = if sequence == SequenceNumber::ZERO {
            now.saturating_duration_since(first) >= STRAGGLER_TIME
        } else if position >= window.position() {
            self.continues(now);
            // Pings that continue while the host is still lost decide nothing: our packets do not
            // reach it yet, and it may be restarted before they do.
            self.lost &= !reachable;
            return Judgement::SameProcess;
        } else if !self.lost && latest.is_some_and(|latest| position >= latest) {
            // The link goes forward and is late: a neighbour whose hardware address was unknown for
            // seconds gets what was sent meanwhile.
            return Judgement::SameProcess;
        } else {
            self.passed.is_some_and(|passed| position < passed)
        };
        if is_old && (self.lost || self.suspected) {
            return Judgement::Restarted;
        }
        if is_old || self.suspected || sequence == SequenceNumber::ZERO {
            self.suspected |= is_old || sequence == SequenceNumber::ZERO;
            return Judgement::Doubtful;
        }
        Judgement::SameProcess
    }

    /// Notes that a number of the host was heard, `newer` than all before or not.
    pub(crate) fn heard(&mut self, now: Instant, newer: bool) {
        self.first.get_or_insert(now);
        if newer {
            self.continues(now);
        }
    }

    /// Notes that the last usable link to the host went down.
    pub(crate) fn host_lost(&mut self, now: Instant, position: u64) {
        self.lost = self.first.is_some();
        if self.lost {
            self.recent = Some((position, now));
        }
    }

    /// Forgets what was heard of the process before, except that there was one if the host's numbers
    /// continue from an older one.
    pub(crate) fn start_over(&mut self, continues: bool) {
        let first = self.first.filter(|_| continues);
        *self = Self { first, ..Self::default() };
    }

    /// Notes that the numbers continue. If it is a successor that has sent more messages than its
    /// predecessor, its first pings, with number 0, may still be on their way.
    fn continues(&mut self, now: Instant) {
        if std::mem::take(&mut self.suspected) {
            self.first = Some(now);
        }
    }

    fn take_position(&mut self, now: Instant, position: u64) {
        let is_recent =
            |(_, at): &(u64, Instant)| now.saturating_duration_since(*at) < STRAGGLER_TIME;
        if !self.recent.as_ref().is_some_and(is_recent) {
            self.passed = self.recent.map(|(position, _)| position);
            self.recent = Some((position, now));
        }
    }
}

/// The longest time that a packet is expected to take.
pub(crate) const STRAGGLER_TIME: Duration = Duration::from_secs(1);
