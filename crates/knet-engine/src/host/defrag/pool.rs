//! The memory that all peers of an engine share for reassembly.

use std::fmt;

use knet_wire::MAX_MESSAGE;

use super::ReassembledMessage;

/// Buffers for incomplete messages, within a budget.
///
/// Buffers come in seven sizes, 1 KiB to 64 KiB, each twice the one before. Those that are not in
/// use wait for the next message of their size, at most 32 of each size (4 MiB in all), so that a
/// steady stream of messages allocates nothing.
#[derive(Debug)]
pub(crate) struct BufferPool {
    /// The most that `in_use` may become.
    budget: usize,
    /// Bytes of the buffers that incomplete messages hold.
    in_use: usize,
    /// The buffers that wait, by size; at most [`MAX_FREE`] of each.
    free: [Vec<Buffer>; SIZES],
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUDGET)
    }
}

impl BufferPool {
    /// Enough for a thousand peers that each have a message of 64 KiB on its way.
    pub(crate) const DEFAULT_BUDGET: usize = 64 << 20;

    /// Makes a pool that lets incomplete messages have `budget` bytes of buffer in total. With less
    /// than 64 KiB the longest messages never get complete.
    pub(crate) fn new(budget: usize) -> Self {
        Self { budget, in_use: 0, free: Default::default() }
    }

    /// Takes a message back of which the application has its copy, to use its memory again.
    pub(crate) fn recycle(&mut self, message: ReassembledMessage) {
        self.keep(message.buffer);
    }

    /// Bytes of buffer that incomplete messages hold. At most the budget.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// Lends a buffer of at least `len` bytes with anything in it. `None` if that would exceed the
    /// budget, or `len` exceeds [`MAX_MESSAGE`].
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

    /// Stops counting a buffer that was lent: its message is complete and leaves the engine.
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

/// Room for a message, all of it initialised.
pub(super) struct Buffer(Box<[u8]>);

impl Buffer {
    fn new(size: usize) -> Self {
        Self(vec![0; size].into_boxed_slice())
    }

    /// Copies `bytes` to `start`.
    ///
    /// # Panics
    ///
    /// Without room for all of them. To leave them out in silence would deliver what an earlier
    /// message left in their place.
    pub(super) fn write(&mut self, start: usize, bytes: &[u8]) {
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// The first `len` bytes, or all if there are fewer.
    pub(super) fn first(&self, len: usize) -> &[u8] {
        &self.0[..len.min(self.0.len())]
    }

    /// How many bytes it has room for.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Buffer {
    /// Writes the size. The bytes are the business of the application.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({})", self.size())
    }
}

/// The least class whose buffers have `len` bytes: those of class `c` have `MIN_SIZE << c`.
fn class(len: usize) -> Option<usize> {
    (0..SIZES).find(|&class| len <= MIN_SIZE << class)
}

const MIN_SIZE: usize = 1024;
const SIZES: usize = 7;
const _: () = assert!(MIN_SIZE << (SIZES - 1) == MAX_MESSAGE);

/// How many buffers of a size wait. As many messages of one peer can be incomplete at once.
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
