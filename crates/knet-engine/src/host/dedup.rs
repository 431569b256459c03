//! The duplicate window: which of a host's latest messages were seen before (`docs/protocol.md`,
//! "Duplicate window").

use knet_wire::SequenceNumber;

mod bits;
use bits::Bits;

/// The numbers of one host's messages: for each of the 65536, whether it was seen in this round.
///
/// ```text
///   ┌────────────── 49152 numbers ────────────┬─── 16384 numbers ───┐
///   │ 1 0 1 1 ...                 1 0 0 1 1 0 │ 0 0 0 ...       0 0 │
///   └─────────────────────────────────────────┴─────────────────────┘
///   newest − 49151                     newest              newest + 16384
/// ```
///
/// Two bits belong to each number: *delivered*, the message reached the application, and
/// *started*, a fragment of it was taken for reassembly. A number up to 32767 ahead of `newest`
/// becomes `newest`, and the numbers that come into reach of the next round are forgotten. Other
/// numbers are behind: their bits count, and nothing moves, however late they are.
///
/// A single number, wrong or forged, therefore never makes one of the last 16384 numbers forgotten.
/// Only what shows a restart does: [`DuplicateWindow::reset`] and [`DuplicateWindow::rewind`].
///
/// No operation waits or depends on a clock. The bits are allocated with the first message.
#[derive(Clone, Debug)]
pub(crate) struct DuplicateWindow {
    /// The newest number seen. While it is `None`, both tables are empty.
    newest: Option<SequenceNumber>,
    /// The number of messages of this host by the time of `newest`, plus a constant: a number that
    /// does not wrap.
    position: u64,
    delivered: Bits,
    started: Bits,
    generation: u32,
}

/// Whether a number was marked before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Not marked in this window.
    New,
    /// Marked: the packet with this number is a duplicate.
    Seen,
}

impl Verdict {
    pub(crate) fn is_seen(self) -> bool {
        self == Self::Seen
    }
}

impl DuplicateWindow {
    /// Moves the window if `s` is ahead, and returns whether `s` was delivered before.
    ///
    /// Marks nothing: a message that cannot be delivered now may arrive again over another link.
    pub(crate) fn check_delivered(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.delivered.verdict(s)
    }

    /// Moves the window if `s` is ahead, and returns whether reassembly of `s` began before.
    pub(crate) fn check_started(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.started.verdict(s)
    }

    /// Marks `s` as delivered. Has no effect if no number was seen yet.
    pub(crate) fn mark_delivered(&mut self, s: SequenceNumber) {
        if self.newest.is_some() {
            self.delivered.set(s);
        }
    }

    /// Marks `s` as started. Has no effect if no number was seen yet.
    pub(crate) fn mark_started(&mut self, s: SequenceNumber) {
        if self.newest.is_some() {
            self.started.set(s);
        }
    }

    /// Reverts [`DuplicateWindow::mark_delivered`] for a message whose delivery failed.
    ///
    /// `generation` is the value of [`DuplicateWindow::generation`] when `s` was marked. If
    /// numbers were forgotten since, `s` may be another message by now and keeps its mark.
    pub(crate) fn unmark_delivered(&mut self, s: SequenceNumber, generation: u32) {
        if generation == self.generation {
            self.delivered.unset(s);
        }
    }

    /// Makes `s` the newest number if it is ahead. Returns `true` if it is.
    pub(crate) fn follow(&mut self, s: SequenceNumber) -> bool {
        let Some(newest) = self.newest else {
            self.newest = Some(s);
            // No number of this process has a position up to the one before.
            self.position += u64::from(FURTHEST) + 2;
            return true;
        };
        let ahead = s.ahead_of(newest);
        if ahead == 0 || ahead > FURTHEST {
            return false;
        }
        let empty_until = SequenceNumber::new(newest.get().wrapping_add(EMPTY));
        self.delivered.clear_after(empty_until, ahead);
        self.started.clear_after(empty_until, ahead);
        self.newest = Some(s);
        self.position += u64::from(ahead);
        true
    }

    /// Forgets everything: the next number becomes `newest`, whatever it is.
    pub(crate) fn reset(&mut self) {
        self.delivered.clear();
        self.started.clear();
        self.newest = None;
        self.position += u64::from(SPAN);
        self.generation = self.generation.wrapping_add(1);
    }

    /// Makes `s`, which is behind, the newest number, and forgets the numbers ahead of it.
    pub(crate) fn rewind(&mut self, s: SequenceNumber) {
        self.position = self.position_of(s);
        self.newest = Some(s);
        self.delivered.clear_after(s, FURTHEST + 1);
        self.started.clear_after(s, FURTHEST + 1);
        self.generation = self.generation.wrapping_add(1);
    }

    /// Returns the newest number seen, or `None` before the first one and after a reset.
    #[cfg(test)]
    pub(crate) fn newest(&self) -> Option<SequenceNumber> {
        self.newest
    }

    /// Returns the place of the newest number in an endless row of numbers.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the place of a number in the same row: up to 32767 ahead of the newest, or up to
    /// 32768 behind.
    pub(crate) fn position_of(&self, s: SequenceNumber) -> u64 {
        let Some(newest) = self.newest else { return self.position };
        match s.ahead_of(newest) {
            ahead if ahead <= FURTHEST => self.position + u64::from(ahead),
            _ => self.position - u64::from(newest.ahead_of(s)),
        }
    }

    /// Returns how often numbers were forgotten because of a restart. What is known outside this
    /// window about deliveries is void once this has changed.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }
}

impl Default for DuplicateWindow {
    fn default() -> Self {
        Self {
            newest: None,
            position: START,
            delivered: Bits::default(),
            started: Bits::default(),
            generation: 0,
        }
    }
}

/// How many numbers are remembered behind the newest one, itself included.
pub(crate) const SPAN: u16 = u16::MAX - EMPTY + 1;

/// How many numbers ahead of the newest one have no mark: an eighth of the round for a burst of
/// forced pings, and as much again for one that is lost.
const EMPTY: u16 = 1 << 14;

/// Numbers up to this far ahead count as newer, the others as older.
const FURTHEST: u16 = (1 << 15) - 1;

/// The first position: high enough that no number of rewinds leads below 0.
const START: u64 = 1 << 62;

#[cfg(test)]
mod tests;
