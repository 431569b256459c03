//! One incomplete message.

use std::mem;
use std::time::Instant;

use knet_wire::{DataHeader, FragmentPart, MAX_MESSAGE};

use super::pool::{Buffer, HostPool};
use super::{DropReason, ReassembledMessage};

/// The fragments of one message that have arrived so far.
#[derive(Debug)]
pub(super) struct Slot {
    /// The place of its number, which is no other message's in the next round of numbers.
    position: u64,
    /// The header of the first fragment. The others agree in all but the fragment number.
    header: DataHeader,
    /// How many fragments the message has.
    count: u8,
    /// Bit `index` is set for each fragment in `body`.
    got: [u64; 4],
    /// Fragments that are not in `body`.
    missing: u8,
    body: Body,
    /// When the latest new fragment came.
    updated: Instant,
}

/// The bytes of the fragments, and what is known of their places.
#[derive(Debug, Default)]
enum Body {
    /// No fragment yet.
    #[default]
    Empty,
    /// Only the last fragment, parked: its place depends on the length of the others.
    Last { parked: Buffer, len: usize },
    /// At least one fragment that is not the last, each of `fragment_len` bytes.
    ///
    /// `last_len` is at most `fragment_len`, and the message ends within [`MAX_MESSAGE`]. `buffer`
    /// has room for `count` fragments or for [`MAX_MESSAGE`], whichever is less; if the last one
    /// was parked, at least for the whole message. So each write below has room.
    Sized { buffer: Buffer, fragment_len: usize, last_len: Option<usize> },
}

impl Slot {
    /// Creates an empty slot for the message of fragment `part` with this header.
    pub(super) fn new(
        now: Instant,
        position: u64,
        header: &DataHeader,
        part: FragmentPart,
    ) -> Self {
        let count = part.count();
        Self {
            position,
            header: *header,
            count,
            got: [0; 4],
            missing: count,
            body: Body::Empty,
            updated: now,
        }
    }

    /// Adds a fragment. Returns the message if that completes it; the slot is then empty.
    ///
    /// # Errors
    ///
    /// Why the fragment was not accepted; the slot is unchanged then.
    pub(super) fn add(
        &mut self,
        now: Instant,
        header: &DataHeader,
        part: FragmentPart,
        payload: &[u8],
        pool: &mut HostPool<'_>,
    ) -> Result<Option<ReassembledMessage>, DropReason> {
        if part.count() != self.count || !self.is_of_same_message(header) {
            return Err(DropReason::Inconsistent);
        }
        if self.has(part.index()) {
            return Err(DropReason::Duplicate);
        }
        if payload.is_empty() {
            return Err(DropReason::Empty);
        }
        if payload.len() > MAX_MESSAGE {
            return Err(DropReason::TooLong);
        }
        if part.is_last() {
            self.add_last(payload, pool)?;
        } else {
            self.add_inner(part.index(), payload, pool)?;
        }
        self.got[usize::from(part.index() / 64)] |= 1 << (part.index() % 64);
        self.missing -= 1;
        self.updated = now;
        Ok(if self.missing == 0 { self.finish(*header, pool) } else { None })
    }

    /// Returns the buffer to the pool.
    pub(super) fn free(self, pool: &mut HostPool<'_>) {
        match self.body {
            Body::Empty => {}
            Body::Last { parked: buffer, .. } | Body::Sized { buffer, .. } => {
                pool.give_back(buffer);
            }
        }
    }

    /// Returns the place of its number in the duplicate window
    /// ([`DuplicateWindow::position_of`](super::DuplicateWindow::position_of)).
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns when the latest new fragment came.
    pub(super) fn updated(&self) -> Instant {
        self.updated
    }

    /// Returns `true` if no fragment was accepted yet.
    pub(super) fn is_empty(&self) -> bool {
        self.missing == self.count
    }

    /// Returns how many bytes of buffer it uses.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        match &self.body {
            Body::Empty => 0,
            Body::Last { parked: buffer, .. } | Body::Sized { buffer, .. } => buffer.size(),
        }
    }

    fn is_of_same_message(&self, header: &DataHeader) -> bool {
        self.header == DataHeader { fragment: self.header.fragment, ..*header }
    }

    fn has(&self, index: u8) -> bool {
        self.got[usize::from(index / 64)] & (1 << (index % 64)) != 0
    }

    fn add_last(&mut self, payload: &[u8], pool: &mut HostPool<'_>) -> Result<(), DropReason> {
        match &mut self.body {
            Body::Empty | Body::Last { .. } => {
                // The others are at least as long as the last one.
                if usize::from(self.count) * payload.len() > MAX_MESSAGE {
                    return Err(DropReason::TooLong);
                }
                let mut parked = pool.take(payload.len()).ok_or(DropReason::OverBudget)?;
                parked.write(0, payload);
                self.body = Body::Last { parked, len: payload.len() };
            }
            Body::Sized { buffer, fragment_len, last_len } => {
                if payload.len() > *fragment_len {
                    return Err(DropReason::Inconsistent);
                }
                let start = usize::from(self.count - 1) * *fragment_len;
                if start + payload.len() > MAX_MESSAGE {
                    return Err(DropReason::TooLong);
                }
                buffer.write(start, payload);
                *last_len = Some(payload.len());
            }
        }
        Ok(())
    }

    /// Adds a fragment that is not the last.
    fn add_inner(
        &mut self,
        index: u8,
        payload: &[u8],
        pool: &mut HostPool<'_>,
    ) -> Result<(), DropReason> {
        if !matches!(self.body, Body::Sized { .. }) {
            self.learn_fragment_len(payload.len(), pool)?;
        }
        if let Body::Sized { buffer, fragment_len, .. } = &mut self.body {
            if payload.len() != *fragment_len {
                return Err(DropReason::Inconsistent);
            }
            buffer.write(usize::from(index - 1) * *fragment_len, payload);
        }
        Ok(())
    }

    /// Makes the body [`Body::Sized`], for fragments of `fragment_len` bytes.
    fn learn_fragment_len(
        &mut self,
        fragment_len: usize,
        pool: &mut HostPool<'_>,
    ) -> Result<(), DropReason> {
        let last_at = usize::from(self.count - 1) * fragment_len;
        let last_len = match self.body {
            Body::Last { len, .. } => Some(len),
            Body::Empty | Body::Sized { .. } => None,
        };
        if last_len.is_some_and(|len| len > fragment_len) {
            return Err(DropReason::Inconsistent);
        }
        if last_at + last_len.unwrap_or(1) > MAX_MESSAGE {
            return Err(DropReason::TooLong);
        }
        let longest = (last_at + last_len.unwrap_or(fragment_len)).min(MAX_MESSAGE);
        let mut buffer = pool.take(longest).ok_or(DropReason::OverBudget)?;
        if let Body::Last { parked, len } = mem::take(&mut self.body) {
            buffer.write(last_at, parked.first(len));
            pool.give_back(parked);
        }
        self.body = Body::Sized { buffer, fragment_len, last_len };
        Ok(())
    }

    /// Returns the message once all fragments are here. The first and the last one are among them,
    /// so the body is sized and its end is known.
    fn finish(
        &mut self,
        header: DataHeader,
        pool: &mut HostPool<'_>,
    ) -> Option<ReassembledMessage> {
        match mem::take(&mut self.body) {
            Body::Sized { buffer, fragment_len, last_len: Some(last_len) } => {
                pool.hand_out(&buffer);
                let len = usize::from(self.count - 1) * fragment_len + last_len;
                Some(ReassembledMessage { header, buffer, len })
            }
            _ => None,
        }
    }
}
