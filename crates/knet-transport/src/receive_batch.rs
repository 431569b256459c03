//! Batches of received datagrams.

use crate::received::{Arrival, Found};
use crate::{Received, ReceivedMut};

/// Reusable buffers for several received datagrams.
///
/// The kernel commits their memory only as datagrams fill it. A batch with large buffers that receives
/// only small datagrams stays small.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// let datagrams = [b"one", b"two"].map(|payload| Datagram {
///     header: b"",
///     payload,
///     destination,
///     source: None, marking: None,
/// });
/// assert_eq!(socket.send(&mut SendBatch::new(64), &datagrams).sent, 2);
///
/// let mut batch = ReceiveBatch::new(64, 1500);
/// assert_eq!(socket.receive(&mut batch)?, 2);
/// assert!(batch.iter().map(|datagram| datagram.bytes).eq([b"one", b"two"]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReceiveBatch {
    /// One buffer of `size` bytes per datagram, or per run of datagrams that the kernel has coalesced,
    /// each followed by a gap of [`SKEW`] bytes.
    arena: Vec<u8>,
    size: usize,
    capacity: usize,
    /// The number of buffers that the next receive may fill.
    limit: usize,
    /// The number of buffers that the last receive has filled.
    buffers_used: usize,
    /// The datagrams of the last receive, in the order of their buffers.
    found: Vec<Found>,
}

impl ReceiveBatch {
    /// The largest number of buffers.
    pub const MAX_CAPACITY: usize = 64;

    /// The length of the longest UDP datagram in bytes, including its header (RFC 768).
    pub const MAX_SIZE: usize = 65_535;

    /// Creates a batch of `buffers` buffers (1 to [`MAX_CAPACITY`](Self::MAX_CAPACITY)) of `size` bytes (1
    /// to [`MAX_SIZE`](Self::MAX_SIZE)) each. Arguments outside their range are limited to it.
    ///
    /// Each buffer receives one datagram, or a run of up to 64 datagrams if the socket has
    /// [`SocketOptions::gro`](crate::SocketOptions::gro).
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_transport::ReceiveBatch;
    ///
    /// assert_eq!(ReceiveBatch::new(16, 1500).capacity(), 16);
    /// assert_eq!(ReceiveBatch::new(0, 1500).capacity(), 1);
    /// ```
    #[must_use]
    pub fn new(buffers: usize, size: usize) -> ReceiveBatch {
        let capacity = buffers.clamp(1, Self::MAX_CAPACITY);
        let size = size.clamp(1, Self::MAX_SIZE);
        ReceiveBatch {
            arena: vec![0; capacity * (size + SKEW)],
            size,
            capacity,
            limit: capacity,
            buffers_used: 0,
            found: Vec::with_capacity(capacity),
        }
    }

    /// Returns the number of buffers.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Limits later receives to `buffers` buffers, at least 1 and at most [`capacity`](Self::capacity).
    ///
    /// With a few large datagrams at a time, they stay in the processor's caches until they are sent on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let destination = socket.local_addr();
    /// let datagram = Datagram { header: b"", payload: b"x", destination, source: None, marking: None };
    /// assert_eq!(socket.send(&mut SendBatch::new(64), &[datagram; 3]).sent, 3);
    ///
    /// let mut batch = ReceiveBatch::new(64, 1500);
    /// batch.set_limit(2);
    /// assert_eq!(socket.receive(&mut batch)?, 2);
    /// assert_eq!(socket.receive(&mut batch)?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_limit(&mut self, buffers: usize) {
        self.limit = buffers.clamp(1, self.capacity);
    }

    /// Returns the number of datagrams of the last receive.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns the number of buffers that the last receive filled, each with a datagram or with a run of
    /// datagrams that the kernel has coalesced.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let destination = socket.local_addr();
    /// let datagram = Datagram { header: b"", payload: b"x", destination, source: None, marking: None };
    /// assert_eq!(socket.send(&mut SendBatch::new(64), &[datagram; 3]).sent, 3);
    ///
    /// let mut batch = ReceiveBatch::new(64, 1500);
    /// assert_eq!(socket.receive(&mut batch)?, 3);
    /// assert_eq!(batch.buffers_used(), 3, "one each without GRO");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn buffers_used(&self) -> usize {
        self.buffers_used
    }

    /// Returns `true` if the last receive returned no datagram.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns datagram `index` of the last receive, or `None` if `index` is [`len`](Self::len) or more.
    /// The datagrams are in the order of their arrival.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        self.found.get(index).map(|found| found.in_arena(&self.arena))
    }

    /// Returns datagram `index` of the last receive with mutable access to its bytes, or `None` if `index`
    /// is [`len`](Self::len) or more.
    ///
    /// Until the next receive, [`get`](Self::get) and [`iter`](Self::iter) return the changed datagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let destination = socket.local_addr();
    /// let datagram = Datagram { header: b"", payload: b"hello", destination, source: None, marking: None };
    /// assert_eq!(socket.send(&mut SendBatch::new(1), &[datagram]).sent, 1);
    ///
    /// let mut batch = ReceiveBatch::new(64, 1500);
    /// socket.receive(&mut batch)?;
    /// batch.get_mut(0).ok_or("nothing received")?.bytes.make_ascii_uppercase();
    /// assert_eq!(batch.get(0).map(|datagram| datagram.bytes), Some(&b"HELLO"[..]));
    /// assert!(batch.get_mut(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<ReceivedMut<'_>> {
        Some(self.found.get_mut(index)?.in_arena_mut(&mut self.arena))
    }

    /// Iterates over the datagrams of the last receive in the order of their arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Received<'_>> {
        self.found.iter().map(|found| found.in_arena(&self.arena))
    }

    /// Clears the batch and returns the buffers that a receive may fill.
    pub(crate) fn start(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.found.clear();
        self.buffers_used = 0;
        let size = self.size;
        self.arena
            .chunks_exact_mut(size + SKEW)
            .take(self.limit)
            .map(move |buffer| &mut buffer[..size])
    }

    pub(crate) fn set_buffers_used(&mut self, count: usize) {
        self.buffers_used = count;
    }

    /// Adds the contents of a buffer: a datagram of `filled` bytes, or a run of datagrams of `run` bytes
    /// each, the last of which may be shorter.
    pub(crate) fn add(
        &mut self,
        buffer: usize,
        filled: usize,
        run: Option<usize>,
        mut arrival: Arrival,
    ) {
        let (buffer, filled) = (buffer * (self.size + SKEW), filled.min(self.size));
        let mut size = run.unwrap_or(filled);
        if filled.div_ceil(size.max(1)) > MAX_RUN {
            // No kernel coalesces so many. What the bytes are is unknown.
            (size, arrival.truncated) = (filled, true);
        }
        let mut start = 0;
        loop {
            let len = size.min(filled - start);
            let end = start + len;
            let arrival = Arrival { truncated: arrival.truncated && end == filled, ..arrival };
            self.found.push(Found { start: buffer + start, len, arrival });
            start = end;
            if start >= filled {
                return;
            }
        }
    }
}

/// The largest number of datagrams that a run is split into, several times as many as kernels coalesce
/// (`UDP_MAX_SEGMENTS`). It bounds the memory of a batch.
const MAX_RUN: usize = 1024;

/// The gap between two buffers: 17 cache lines of the usual size. Without it, buffers would start in nearly
/// the same set of the processor's caches and evict each other.
const SKEW: usize = 17 * 64;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn arguments_are_limited_to_their_ranges() {
        let least = ReceiveBatch::new(0, 0);
        assert_eq!((least.capacity(), least.size), (1, 1));
        let most = ReceiveBatch::new(usize::MAX, usize::MAX);
        assert_eq!(most.capacity(), ReceiveBatch::MAX_CAPACITY);
        assert_eq!(most.size, ReceiveBatch::MAX_SIZE);
        assert_eq!(most.arena.len(), most.capacity * (most.size + SKEW));
    }

    fn arrival(truncated: bool) -> Arrival {
        Arrival { source: SocketAddr::from(([127, 0, 0, 1], 9)), local: None, truncated }
    }

    #[test]
    fn a_run_of_more_datagrams_than_any_kernel_coalesces_is_one_that_is_cut() {
        let mut batch = ReceiveBatch::new(1, ReceiveBatch::MAX_SIZE);
        batch.add(0, MAX_RUN, Some(1), arrival(false));
        assert_eq!(batch.len(), MAX_RUN);
        batch.found.clear();
        batch.add(0, 65_535, Some(1), arrival(false));
        let found: Vec<_> = batch.iter().map(|one| (one.bytes.len(), one.truncated)).collect();
        assert_eq!(found, [(65_535, true)]);
    }

    #[test]
    fn a_run_is_split_into_its_datagrams() {
        let mut batch = ReceiveBatch::new(3, 10);
        let mut count = 0..;
        for buffer in batch.arena.chunks_exact_mut(10 + SKEW) {
            buffer[..10].fill_with(|| count.next().unwrap());
        }
        batch.add(0, 7, None, arrival(false));
        batch.add(1, 9, Some(4), arrival(false));
        batch.add(2, 10, Some(5), arrival(true));
        let found: Vec<_> = batch.iter().map(|one| (one.bytes.to_vec(), one.truncated)).collect();
        let whole = |bytes: std::ops::Range<u8>| (bytes.collect::<Vec<u8>>(), false);
        assert_eq!(
            found[..5],
            [whole(0..7), whole(10..14), whole(14..18), whole(18..19), whole(20..25)]
        );
        assert_eq!(found[5..], [((25..30).collect(), true)]);
        batch.found.clear();
        batch.add(0, 0, None, arrival(false));
        batch.add(1, 99, Some(3), arrival(true));
        let lens: Vec<_> = batch.iter().map(|one| (one.bytes.len(), one.truncated)).collect();
        assert_eq!(lens, [(0, false), (3, false), (3, false), (3, false), (1, true)]);
    }

    /// Creates a batch with the datagrams `0123`, `456`, `abcd` and an empty one. The first two are one run.
    fn filled() -> ReceiveBatch {
        let mut batch = ReceiveBatch::new(3, 10);
        for (buffer, bytes) in [(0, &b"0123456"[..]), (1, b"abcd")] {
            let start = buffer * (10 + SKEW);
            batch.arena[start..start + bytes.len()].copy_from_slice(bytes);
        }
        batch.add(0, 7, Some(4), arrival(true));
        batch.add(1, 4, None, arrival(false));
        batch.add(2, 0, None, arrival(false));
        batch
    }

    fn contents(batch: &ReceiveBatch) -> Vec<&[u8]> {
        batch.iter().map(|datagram| datagram.bytes).collect()
    }

    #[test]
    fn a_datagram_changed_in_place_leaves_its_neighbours_alone() {
        let mut batch = filled();
        let datagram = batch.get_mut(1).unwrap();
        assert_eq!((&*datagram.bytes, datagram.truncated), (&b"456"[..], true));
        assert_eq!(datagram.source, SocketAddr::from(([127, 0, 0, 1], 9)));
        datagram.bytes.fill(b'x');
        assert_eq!(contents(&batch), [&b"0123"[..], b"xxx", b"abcd", b""]);
        assert_eq!(batch.get(1).unwrap().bytes, b"xxx");
        assert!(batch.get_mut(3).unwrap().bytes.is_empty());
        assert!(batch.get_mut(4).is_none());
    }

    #[test]
    fn a_datagram_can_be_narrowed_repeatedly() {
        let mut batch = filled();
        batch.get_mut(0).unwrap().narrow_to(1..4);
        assert_eq!(contents(&batch), [&b"123"[..], b"456", b"abcd", b""]);
        let datagram = batch.get_mut(0).unwrap();
        assert_eq!(&*datagram.bytes, b"123");
        datagram.narrow_to(1..2);
        assert_eq!(contents(&batch), [&b"2"[..], b"456", b"abcd", b""]);
        batch.get_mut(0).unwrap().narrow_to(0..0);
        assert_eq!(contents(&batch), [&b""[..], b"456", b"abcd", b""]);
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn a_range_beyond_a_datagram_is_limited_to_it() {
        for (range, left) in [(0..99, &b"0123"[..]), (2..5, b"23"), (9..12, b""), (3..1, b"")] {
            let mut batch = filled();
            batch.get_mut(0).unwrap().narrow_to(range.clone());
            assert_eq!(contents(&batch), [left, b"456", b"abcd", b""], "{range:?}");
        }
    }

    #[test]
    fn a_new_batch_is_empty() {
        let mut batch = ReceiveBatch::new(4, 16);
        assert!(batch.is_empty() && batch.iter().next().is_none());
        assert_eq!(batch.get(0), None);
        assert!(batch.get_mut(0).is_none());
    }
}
