//! How far a host's numbers have come, now and a while ago.

use std::time::{Duration, Instant};

/// The place that a host has reached in the endless row of its numbers
/// ([`DuplicateWindow::position_of`](super::dedup::DuplicateWindow::position_of)).
///
/// A single number far ahead of the others may be wrong or forged. It counts once another one near
/// it has come a moment later, and none near the others in between.
#[derive(Debug)]
pub(super) struct Reached {
    position: u64,
    /// When the host was first heard to be there.
    since: Instant,
    /// The first number far ahead, and when it came.
    far: Option<(u64, Instant)>,
    /// Where it was when, at a ping within the last [`STRAGGLER_TIME`] or the one before.
    recent: (u64, Instant),
    /// Where it was longer ago.
    passed: Option<u64>,
}

impl Reached {
    pub(super) fn new(now: Instant, position: u64) -> Self {
        Self { position, since: now, far: None, recent: (position, now), passed: None }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Notes that a number of the host was heard. Returns `true` if it shows that the host has come
    /// further.
    pub(super) fn heard(&mut self, now: Instant, position: u64) -> bool {
        if position > self.position.saturating_add(FAR) {
            let (first, at) = *self.far.get_or_insert((position, now));
            if position.abs_diff(first) > FAR {
                self.far = Some((position, now));
                return false;
            }
            if now.saturating_duration_since(at) < FAR_AFTER {
                return false;
            }
        } else if position <= self.position {
            if self.position - position <= FAR {
                self.far = None;
            }
            return false;
        }
        self.far = None;
        (self.position, self.since) = (position, now);
        true
    }

    /// Returns `true` if the host was heard to be further ahead more than [`STRAGGLER_TIME`] ago.
    pub(super) fn is_old(&self, now: Instant, position: u64) -> bool {
        self.passed.is_some_and(|passed| position < passed)
            || position < self.position
                && now.saturating_duration_since(self.since) >= STRAGGLER_TIME
    }

    /// Notes where the host is before a ping is judged.
    pub(super) fn look(&mut self, now: Instant) {
        let (position, at) = self.recent;
        if now.saturating_duration_since(at) >= STRAGGLER_TIME {
            self.passed = Some(position);
            self.recent = (self.position, now);
        }
    }

    /// Notes where the host is at its loss.
    pub(super) fn host_lost(&mut self, now: Instant) {
        self.recent = (self.position, now);
    }
}

/// The longest time that a packet is expected to take.
pub(super) const STRAGGLER_TIME: Duration = Duration::from_secs(1);

/// Numbers further than this from another one are not near it: twice the distance of two forced
/// pings, so that one of them may be lost.
const FAR: u64 = 1 << 14;

/// How long after a number far ahead another one has to come. A host that sends is heard near its
/// true place meanwhile.
const FAR_AFTER: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
