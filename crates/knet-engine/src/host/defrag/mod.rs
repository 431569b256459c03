//! Puts the fragments of one peer's messages together again (`spec/engine.md` 9, `spec/wire.md`
//! 5.3).
//!
//! Fragments come in any order, more than once, mixed with those of other messages, or not at all,
//! and whoever sends them may be hostile. So every bound is checked before a byte is copied, and
//! whatever is kept is bounded: 32 messages a peer, 65536 bytes a message, one budget of bytes for
//! all peers ([`BufferPool`]) and [`REASSEMBLY_TIMEOUT`] for a message that never gets complete.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use knet_wire::{DataHeader, FragmentPart, SequenceNumber};

use super::dedup::PeerWindow;

mod pool;
use pool::Buffer;
pub(crate) use pool::BufferPool;

mod slot;
use slot::Slot;

#[cfg(test)]
mod tests;

/// How long an incomplete message is kept after its latest new fragment.
///
/// libknet keeps it until 32 newer messages came, which may be never (`spec/engine.md` 23 asks for
/// better). The fragments of a message leave in one go, so they arrive as far apart as the slowest
/// and the fastest link are, plus what the sender waits when its socket is full: ten seconds is
/// more than any link that still counts as up can take, and short enough that what a lossy link
/// leaves behind does not pile up.
pub(crate) const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The incomplete messages of one peer.
///
/// Before it is dropped, [`Reassembler::clear`] must give its buffers back: the pool counts them.
#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    /// At most [`SLOTS`], all of different messages, none complete and none without a fragment.
    slots: Vec<Slot>,
    /// The generation of the peer's window that the slots belong to.
    generation: u32,
    /// How many messages were dropped before they were complete, since somebody asked.
    given_up: u64,
}

/// What became of a fragment.
#[derive(Debug)]
#[must_use]
pub(crate) enum Outcome {
    /// Taken; the message needs more.
    Incomplete,
    /// Taken, and it was the last one missing.
    Complete(ReassembledMessage),
    /// Not taken.
    Dropped(DropReason),
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DropReason {
    /// Reassembly of its message ended before: completed, evicted or expired.
    AlreadyDone,
    /// This fragment was taken before.
    Duplicate,
    /// It has no payload.
    Empty,
    /// Its header or its length does not fit the other fragments of the message.
    Inconsistent,
    /// There is no memory for it. The message is given up.
    OverBudget,
    /// The message would be longer than 65536 bytes.
    TooLong,
}

/// A message put together from its fragments.
///
/// Drop it, or give it back to the engine so that its memory is used for a later message.
#[derive(Debug)]
pub struct ReassembledMessage {
    header: DataHeader,
    buffer: Buffer,
    len: usize,
}

impl ReassembledMessage {
    /// Returns the header of the frame that completed the message. But for the fragment number it
    /// is the same in all frames of the message.
    #[must_use]
    pub fn header(&self) -> &DataHeader {
        &self.header
    }

    /// Returns the message, 2 to 65536 bytes; compressed if the header says so.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.first(self.len)
    }
}

impl Reassembler {
    /// Takes fragment `part` of the message that `header` belongs to. `header.fragment` is not
    /// looked at.
    ///
    /// Moves `window` as far as the fragment's number, and remembers there that its message was
    /// started, so that late fragments of a message that is done start nothing.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        header: &DataHeader,
        part: FragmentPart,
        payload: &[u8],
        window: &mut PeerWindow,
        pool: &mut BufferPool,
    ) -> Outcome {
        let sequence = header.sequence;
        let verdict = window.check_started(sequence);
        self.forget_older(window, pool);
        // Out of the table while it is worked on, so that making room can't hit it.
        let mut slot = match self.take(sequence) {
            Some(slot) => slot,
            None if verdict.is_seen() => return Outcome::Dropped(DropReason::AlreadyDone),
            None => Slot::new(now, header, part),
        };

        let mut added = slot.add(now, header, part, payload, pool);
        while matches!(added, Err(DropReason::OverBudget)) && self.evict(window, pool) {
            added = slot.add(now, header, part, payload, pool);
        }
        match added {
            Ok(Some(message)) => Outcome::Complete(message),
            Ok(None) => {
                window.mark_started(sequence);
                if self.slots.len() == SLOTS {
                    self.evict(window, pool);
                }
                self.slots.push(slot);
                Outcome::Incomplete
            }
            Err(reason) => {
                if reason == DropReason::OverBudget || slot.is_empty() {
                    self.given_up += u64::from(!slot.is_empty());
                    slot.free(pool);
                } else {
                    self.slots.push(slot);
                }
                Outcome::Dropped(reason)
            }
        }
    }

    /// When the next message expires.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.slots.iter().map(Slot::updated).min()?.checked_add(REASSEMBLY_TIMEOUT)
    }

    /// Drops what has expired.
    pub(crate) fn handle_timeout(&mut self, now: Instant, pool: &mut BufferPool) {
        self.free_where(pool, |slot| {
            now.saturating_duration_since(slot.updated()) >= REASSEMBLY_TIMEOUT
        });
    }

    /// How many messages were dropped before they were complete since this was asked last: for
    /// their age, to make room, or because the peer is another process now.
    pub(crate) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Drops the messages that are too far behind the newest number, and all of them if the window
    /// forgot everything: after a restart the peer uses the same numbers for other messages.
    ///
    /// Call it whenever the window has moved. Within one generation the newest number never goes
    /// back, so no message is ever newer than it.
    pub(crate) fn forget_older(&mut self, window: &PeerWindow, pool: &mut BufferPool) {
        if self.generation != window.generation() {
            self.generation = window.generation();
            self.clear(pool);
        }
        self.free_where(pool, |slot| distance_behind(slot.sequence(), window) > REACH);
    }

    /// Drops all messages.
    pub(crate) fn clear(&mut self, pool: &mut BufferPool) {
        self.free_where(pool, |_| true);
    }

    /// Bytes of buffer that the incomplete messages hold: this peer's part of
    /// [`BufferPool::in_use`].
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.slots.iter().map(Slot::memory).sum()
    }

    fn take(&mut self, sequence: SequenceNumber) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.sequence() == sequence)?;
        Some(self.slots.swap_remove(at))
    }

    /// Drops the message that waits longest for a new fragment, of several the one of the oldest
    /// number. Returns whether there was one.
    fn evict(&mut self, window: &PeerWindow, pool: &mut BufferPool) -> bool {
        let oldest = (0..self.slots.len()).min_by_key(|&at| {
            let slot = &self.slots[at];
            (slot.updated(), Reverse(distance_behind(slot.sequence(), window)))
        });
        let Some(at) = oldest else { return false };
        self.slots.swap_remove(at).free(pool);
        self.given_up += 1;
        true
    }

    /// Drops the messages for which `unwanted` holds.
    fn free_where(&mut self, pool: &mut BufferPool, unwanted: impl Fn(&Slot) -> bool) {
        let before = self.slots.len();
        let mut at = 0;
        while at < self.slots.len() {
            if unwanted(&self.slots[at]) {
                self.slots.swap_remove(at).free(pool);
            } else {
                at += 1;
            }
        }
        self.given_up += (before - self.slots.len()) as u64;
    }
}

fn distance_behind(sequence: SequenceNumber, window: &PeerWindow) -> u16 {
    window.newest().map_or(0, |newest| newest.ahead_of(sequence))
}

/// Messages of one peer that may be incomplete at the same time (`spec/engine.md` 2).
const SLOTS: usize = 32;

/// How far behind the newest number a message may be completed: as far as the duplicate window
/// looks back.
///
/// The reference gives a message up when 32 newer ones came (`spec/engine.md` 8.4), which loses
/// messages over links of different latency, and those of a thread that is overtaken while it
/// sends. The slots, the budget and the timeout bound the memory without that.
const REACH: u16 = 4095;
