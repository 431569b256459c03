//! The duplicate window: which of a host's latest messages were seen before (`docs/protocol.md`,
//! "Duplicate window").

use knet_wire::SequenceNumber;

/// The numbers of one host's messages, from the newest back over 4096 of them.
///
/// ```text
///                 ┌───────── 4096 numbers ────────┐
///   forgotten ... │ 1 0 1 1 ...       1 0 0 1 1 0 │ ... not seen yet
///                 ▲                             ▲
///          newest − 4095                     newest
/// ```
///
/// Two bits belong to each number: *delivered*, the message reached the application, and
/// *started*, a fragment of it was taken for reassembly. Both tables share one window, so they
/// move together. A number ahead of `newest` moves the window there. A number that is further away
/// than the window is long, in either direction, means that the host was restarted or that a very
/// long gap was missed: everything is forgotten, and the window starts over at that number.
///
/// Distances are modulo 65536 and 4096 divides that, so a number keeps its bit across the wrap
/// from 65535 to 1. No operation waits, allocates or depends on a clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct DuplicateWindow {
    /// The newest number seen. While it is `None`, both tables are empty.
    newest: Option<SequenceNumber>,
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
    /// Moves the window so that it covers `s`, and returns whether `s` was delivered before.
    ///
    /// Marks nothing: a message that cannot be delivered now may arrive again over another link.
    pub(crate) fn check_delivered(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.delivered.verdict(s)
    }

    /// Moves the window so that it covers `s`, and returns whether reassembly of `s` began before.
    pub(crate) fn check_started(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.started.verdict(s)
    }

    /// Marks `s` as delivered. Has no effect if the window has left `s` behind.
    pub(crate) fn mark_delivered(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            self.delivered.set(s);
        }
    }

    /// Marks `s` as started. Has no effect if the window has left `s` behind.
    pub(crate) fn mark_started(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            self.started.set(s);
        }
    }

    /// Reverts [`DuplicateWindow::mark_delivered`] for a message whose delivery failed.
    ///
    /// `generation` is the value of [`DuplicateWindow::generation`] when `s` was marked. If
    /// everything was forgotten since, `s` may be another message by now and keeps its mark.
    pub(crate) fn unmark_delivered(&mut self, s: SequenceNumber, generation: u32) {
        if generation == self.generation && self.contains(s) {
            self.delivered.unset(s);
        }
    }

    /// Moves the window so that it covers `s`.
    pub(crate) fn follow(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            return;
        }
        if let Some(newest) = self.newest {
            let ahead = s.ahead_of(newest);
            if ahead <= SPAN {
                self.delivered.clear_after(newest, ahead);
                self.started.clear_after(newest, ahead);
            } else {
                self.reset();
            }
        }
        self.newest = Some(s);
    }

    /// Forgets everything: the next number becomes `newest`, whatever it is.
    pub(crate) fn reset(&mut self) {
        self.delivered = Bits::default();
        self.started = Bits::default();
        self.newest = None;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Returns the newest number seen, or `None` before the first one and after a reset.
    pub(crate) fn newest(&self) -> Option<SequenceNumber> {
        self.newest
    }

    /// Returns how often everything was forgotten. State about numbers that is kept outside this
    /// window is void once this has changed.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    fn contains(&self, s: SequenceNumber) -> bool {
        self.newest.is_some_and(|newest| newest.ahead_of(s) < SPAN)
    }
}

/// How many numbers the window spans, `newest` included.
pub(crate) const SPAN: u16 = 4096;

const WORD: u16 = u64::BITS as u16;
const WORDS: usize = (SPAN / WORD) as usize;

/// One bit per number of the window: that of `s` is bit `s` modulo [`SPAN`].
#[derive(Clone, Debug)]
struct Bits([u64; WORDS]);

impl Bits {
    fn verdict(&self, s: SequenceNumber) -> Verdict {
        let (word, bit) = place(s.get());
        if self.0[word] & bit == 0 { Verdict::New } else { Verdict::Seen }
    }

    fn set(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        self.0[word] |= bit;
    }

    fn unset(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        self.0[word] &= !bit;
    }

    /// Clears the bits of the `count` numbers that follow `s`, a word at a time.
    fn clear_after(&mut self, s: SequenceNumber, count: u16) {
        let mut next = s.get().wrapping_add(1);
        let mut left = count;
        while left > 0 {
            let run = left.min(WORD - next % WORD);
            let ones = u64::MAX >> (WORD - run);
            let (word, _) = place(next);
            self.0[word] &= !(ones << (next % WORD));
            next = next.wrapping_add(run);
            left -= run;
        }
    }
}

impl Default for Bits {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// Returns the word and the bit of a number. The remainder keeps the word below [`WORDS`].
fn place(number: u16) -> (usize, u64) {
    let index = number % SPAN;
    (usize::from(index / WORD), 1 << (index % WORD))
}

#[cfg(test)]
mod tests;
