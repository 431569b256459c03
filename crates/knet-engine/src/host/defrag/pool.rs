//! The memory of an engine for reassembly: a part of each host, and one that all hosts share.

use std::fmt;

use knet_wire::MAX_MESSAGE;

use super::ReassembledMessage;

/// Buffers for incomplete messages, within a budget.
///
/// What a host holds up to [`OWN_PART`] does not count towards the budget, so no host keeps memory from
/// another that needs little: all hosts together hold at most the budget and one such part each.
///
/// Buffers have seven sizes, 1 KiB to 64 KiB, each twice the previous one. Unused buffers are kept
/// for later messages, at most 32 of each size (4 MiB in total), so that a steady stream of
/// messages allocates nothing.
#[derive(Debug)]
pub(crate) struct BufferPool {
    /// The limit of `shared`.
    budget: usize,
    /// How many bytes each host may hold that do not count as shared.
    own_part: usize,
    /// Bytes of the buffers that incomplete messages hold.
    in_use: usize,
    /// How many of them are beyond the parts of their hosts.
    shared: usize,
    /// The unused buffers, by size; at most [`MAX_FREE`] of each.
    free: [Vec<Buffer>; SIZES],
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUDGET, OWN_PART)
    }
}

impl BufferPool {
    /// Enough for a thousand hosts that each have an incomplete message of 64 KiB.
    pub(crate) const DEFAULT_BUDGET: usize = 64 << 20;

    /// Creates a pool that lends `own_part` bytes of buffer to each host, and at most `budget` bytes
    /// beyond that to all of them.
    pub(super) fn new(budget: usize, own_part: usize) -> Self {
        Self { budget, own_part, in_use: 0, shared: 0, free: Default::default() }
    }

    /// Creates a pool of which no host has a part of its own.
    #[cfg(test)]
    pub(super) fn shared_only(budget: usize) -> Self {
        Self::new(budget, 0)
    }

    /// Returns how many bytes of buffer incomplete messages hold: at most the budget and the parts of
    /// all hosts.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use
    }

    /// Returns how many of these bytes count towards the budget.
    #[cfg(test)]
    pub(super) fn shared(&self) -> usize {
        self.shared
    }

    /// Returns the pool as one host sees it, which holds so many bytes.
    pub(super) fn of_host<'a>(&'a mut self, held: &'a mut usize) -> HostPool<'a> {
        HostPool { pool: self, held }
    }

    /// Takes back the buffer of a delivered message.
    pub(crate) fn recycle(&mut self, message: ReassembledMessage) {
        self.keep(message.buffer);
    }

    fn keep(&mut self, buffer: Buffer) {
        let Some(class) = class(buffer.size()) else { return };
        if self.free[class].len() < MAX_FREE {
            self.free[class].push(buffer);
        }
    }
}

/// The pool as one host sees it.
#[derive(Debug)]
pub(super) struct HostPool<'a> {
    pool: &'a mut BufferPool,
    /// Bytes of the buffers that the host's incomplete messages hold.
    held: &'a mut usize,
}

impl HostPool<'_> {
    /// Lends a buffer of at least `len` bytes with arbitrary content. Returns `None` if that would
    /// exceed the budget, or `len` exceeds [`MAX_MESSAGE`].
    pub(super) fn take(&mut self, len: usize) -> Option<Buffer> {
        let class = class(len)?;
        let size = MIN_SIZE << class;
        let held = *self.held + size;
        let more = self.beyond(held) - self.beyond(*self.held);
        // What is within the host's own part is lent however much the others hold.
        if more > self.pool.budget - self.pool.shared {
            return None;
        }
        self.pool.shared += more;
        self.pool.in_use += size;
        *self.held = held;
        Some(self.pool.free[class].pop().unwrap_or_else(|| Buffer::new(size)))
    }

    /// Takes back a buffer that was lent.
    pub(super) fn give_back(&mut self, buffer: Buffer) {
        self.hand_out(&buffer);
        self.pool.keep(buffer);
    }

    /// Stops counting a lent buffer whose message is complete and leaves the engine.
    pub(super) fn hand_out(&mut self, buffer: &Buffer) {
        let held = *self.held - buffer.size();
        self.pool.shared -= self.beyond(*self.held) - self.beyond(held);
        self.pool.in_use -= buffer.size();
        *self.held = held;
    }

    /// Returns how much of what the host holds counts as shared.
    fn beyond(&self, held: usize) -> usize {
        held.saturating_sub(self.pool.own_part)
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

/// How many bytes each host may hold that do not count towards the budget: enough for a message of any
/// length, whose last fragment may have come first, and a shorter one.
pub(super) const OWN_PART: usize = 2 * MAX_MESSAGE;

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
        let (mut pool, mut held) = (BufferPool::shared_only(usize::MAX), 0);
        let mut pool = pool.of_host(&mut held);
        for (len, size) in
            [(0, 1024), (1, 1024), (1024, 1024), (1025, 2048), (32_769, 65_536), (65_536, 65_536)]
        {
            assert_eq!(pool.take(len).unwrap().size(), size, "{len}");
        }
        assert!(pool.take(MAX_MESSAGE + 1).is_none());
    }

    #[test]
    fn what_is_lent_never_exceeds_the_budget() {
        let (mut pool, mut held) = (BufferPool::shared_only(4096), 0);
        let mut host = pool.of_host(&mut held);
        let (a, b) = (host.take(2000).unwrap(), host.take(1500).unwrap());
        assert_eq!(*host.held, 4096);
        assert!(host.take(1).is_none());
        host.give_back(a);
        assert!(host.take(2049).is_none());
        host.hand_out(&b);
        assert_eq!(*host.held, 0);
        assert!(host.take(4096).is_some());
        assert_eq!(pool.shared(), 4096);
    }

    #[test]
    fn each_host_has_a_part_that_no_other_can_take() {
        let mut pool = BufferPool::new(4096, 2048);
        let [mut greedy, mut modest] = [0; 2];
        let mut lent: Vec<Buffer> =
            std::iter::from_fn(|| pool.of_host(&mut greedy).take(1024)).collect();
        assert_eq!((greedy, pool.shared()), (6144, 4096));
        let buffer = pool.of_host(&mut modest).take(2048).unwrap();
        assert!(pool.of_host(&mut modest).take(1).is_none());
        assert_eq!((modest, pool.shared()), (2048, 4096));
        pool.of_host(&mut greedy).give_back(lent.remove(0));
        assert_eq!((greedy, pool.shared()), (5120, 3072), "what is shared is given back first");
        assert!(pool.of_host(&mut modest).take(1024).is_some());
        pool.of_host(&mut modest).give_back(buffer);
        lent.into_iter().for_each(|buffer| pool.of_host(&mut greedy).give_back(buffer));
        assert_eq!((greedy, modest, pool.shared()), (0, 1024, 0));
    }

    #[test]
    fn a_buffer_that_came_back_is_lent_again() {
        let (mut pool, mut held) = (BufferPool::default(), 0);
        let mut pool = pool.of_host(&mut held);
        let mut buffer = pool.take(1500).unwrap();
        buffer.write(2047, b"x");
        pool.give_back(buffer);
        assert_ne!(pool.take(1024).unwrap().first(1), b"x", "another size");
        assert_eq!(&pool.take(1025).unwrap().first(4096)[2047..], b"x");
    }

    #[test]
    fn only_a_few_buffers_of_a_size_wait() {
        let (mut pool, mut held) = (BufferPool::default(), 0);
        for len in [1, 65_536] {
            let mut host = pool.of_host(&mut held);
            let lent: Vec<Buffer> = (0..100).map(|_| host.take(len).unwrap()).collect();
            lent.into_iter().for_each(|buffer| host.give_back(buffer));
        }
        assert_eq!((held, pool.shared()), (0, 0));
        let waiting: Vec<usize> = pool.free.iter().map(Vec::len).collect();
        assert_eq!(waiting, [MAX_FREE, 0, 0, 0, 0, 0, MAX_FREE]);
    }

    #[test]
    fn debug_output_holds_no_bytes() {
        assert_eq!(format!("{:?}", Buffer::new(2048)), "Buffer(2048)");
    }
}
