//! The memory that all hosts of an engine share for reassembly.

use std::fmt;

use knet_wire::MAX_MESSAGE;

use super::ReassembledMessage;

/// Buffers for incomplete messages, within a budget.
///
/// Buffers have seven sizes, 1 KiB to 64 KiB, each twice the previous one. Unused buffers are kept
/// for later messages, at most 32 of each size (4 MiB in total), so that a steady stream of
/// messages allocates nothing.
#[derive(Debug)]
pub(crate) struct BufferPool {
    /// The limit of `in_use`.
    budget: usize,
    /// Bytes of the buffers that incomplete messages hold.
    in_use: usize,
    /// The unused buffers, by size; at most [`MAX_FREE`] of each.
    free: [Vec<Buffer>; SIZES],
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUDGET)
    }
}

impl BufferPool {
    /// Enough for a thousand hosts that each have an incomplete message of 64 KiB.
    pub(crate) const DEFAULT_BUDGET: usize = 64 << 20;

    /// Creates a pool that lends at most `budget` bytes of buffer to incomplete messages. With less
    /// than 64 KiB the longest messages never become complete.
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, in_use: 0, free: Default::default() }
    }

    /// Takes back the buffer of a delivered message.
    pub(crate) fn recycle(&mut self, message: ReassembledMessage) {
        self.keep(message.buffer);
    }

    /// Returns how many bytes of buffer incomplete messages hold, at most the budget.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// Lends a buffer of at least `len` bytes with arbitrary content. Returns `None` if that would
    /// exceed the budget, or `len` exceeds [`MAX_MESSAGE`].
    pub(super) fn take(&mut self, len: usize) -> Option<Buffer> {
        let class = class(len)?;
        let size = MIN_SIZE << class;
        if size > self.budget - self.in_use {
            return None;
        }
        self.in_use += size;
        Some(self.free[class].pop().unwrap_or_else(|| Buffer::new(size)))
    }

    /// Takes back a buffer that was lent.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.hand_out(&buffer);
        self.keep(buffer);
    }

    /// Stops counting a lent buffer whose message is complete and leaves the engine.
    pub(super) fn hand_out(&mut self, buffer: &Buffer) {
        self.in_use -= buffer.size();
    }

    fn keep(&mut self, buffer: Buffer) {
        let Some(class) = class(buffer.size()) else { return };
        if self.free[class].len() < MAX_FREE {
            self.free[class].push(buffer);
        }
    }
}

/// Memory for a message, all of it initialized.
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    fn new(size: usize) -> Self {
        Self(vec![0; size].into_boxed_slice())
    }

    /// Copies `bytes` to `start`.
    ///
    /// # Panics
    ///
    /// If the buffer is too short. To skip the rest silently would deliver bytes of an earlier
    /// message.
    pub(super) fn write(&mut self, start: usize, bytes: &[u8]) {
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Returns the first `len` bytes, or all if there are fewer.
    pub(super) fn first(&self, len: usize) -> &[u8] {
        &self.0[..len.min(self.0.len())]
    }

    /// Returns its capacity in bytes.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Buffer {
    /// Writes the size. The content is the application's and stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({})", self.size())
    }
}

/// Returns the smallest class with buffers of `len` bytes: those of class `c` have `MIN_SIZE << c`.
fn class(len: usize) -> Option<usize> {
    (0..SIZES).find(|&class| len <= MIN_SIZE << class)
}

const MIN_SIZE: usize = 1024;
const SIZES: usize = 7;
const _: () = assert!(MIN_SIZE << (SIZES - 1) == MAX_MESSAGE);

/// How many unused buffers of a size are kept: as many as one host can have incomplete messages.
const MAX_FREE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_the_least_size_that_is_enough() {
        let mut pool = BufferPool::new(usize::MAX);
        for (len, size) in
            [(0, 1024), (1, 1024), (1024, 1024), (1025, 2048), (32_769, 65_536), (65_536, 65_536)]
        {
            assert_eq!(pool.take(len).unwrap().size(), size, "{len}");
        }
        assert!(pool.take(MAX_MESSAGE + 1).is_none());
    }

    #[test]
    fn what_is_lent_never_exceeds_the_budget() {
        let mut pool = BufferPool::new(4096);
        let (a, b) = (pool.take(2000).unwrap(), pool.take(1500).unwrap());
        assert_eq!(pool.in_use(), 4096);
        assert!(pool.take(1).is_none());
        pool.give_back(a);
        assert!(pool.take(2049).is_none());
        pool.hand_out(&b);
        assert_eq!(pool.in_use(), 0);
        assert!(pool.take(4096).is_some());
    }

    #[test]
    fn a_buffer_that_came_back_is_lent_again() {
        let mut pool = BufferPool::default();
        let mut buffer = pool.take(1500).unwrap();
        buffer.write(2047, b"x");
        pool.give_back(buffer);
        assert_ne!(pool.take(1024).unwrap().first(1), b"x", "another size");
        assert_eq!(&pool.take(1025).unwrap().first(4096)[2047..], b"x");
    }

    #[test]
    fn only_a_few_buffers_of_a_size_wait() {
        let mut pool = BufferPool::default();
        for len in [1, 65_536] {
            let lent: Vec<Buffer> = (0..100).map(|_| pool.take(len).unwrap()).collect();
            lent.into_iter().for_each(|buffer| pool.give_back(buffer));
        }
        assert_eq!(pool.in_use(), 0);
        let waiting: Vec<usize> = pool.free.iter().map(Vec::len).collect();
        assert_eq!(waiting, [MAX_FREE, 0, 0, 0, 0, 0, MAX_FREE]);
    }

    #[test]
    fn debug_output_holds_no_bytes() {
        assert_eq!(format!("{:?}", Buffer::new(2048)), "Buffer(2048)");
    }
}
