//! Received datagrams and the memory they are in.

use std::net::SocketAddr;
use std::ops::Range;

/// A datagram that was received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received<'a> {
    /// Its bytes. A datagram may be empty.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// Whether it was longer than the batch has room for. `bytes` is its beginning then.
    pub truncated: bool,
}

/// A received datagram whose bytes can be changed in place, as decryption does.
///
/// # Examples
///
/// ```
/// use std::net::{Ipv4Addr, SocketAddr};
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
/// let socket = UdpSocket::bind(local, &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// // A salt of two bytes, three enciphered ones, and a checksum.
/// let sealed = Datagram { header: b"#9", payload: b"\x11\x10\x58!", destination, marking: None };
/// assert_eq!(socket.send(&mut SendBatch::new(1), &[sealed]).sent, 1);
///
/// let mut batch = ReceiveBatch::new(64, 1500);
/// assert_eq!(socket.receive(&mut batch)?, 1);
/// let mut datagram = batch.get_mut(0).ok_or("nothing received")?;
/// assert_eq!(datagram.source, destination);
/// datagram.bytes[2..5].iter_mut().for_each(|byte| *byte ^= b'y');
/// datagram.narrow_to(2..5);
/// assert_eq!(batch.get(0).map(|datagram| datagram.bytes), Some(&b"hi!"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ReceivedMut<'a> {
    /// The payload. May be empty.
    pub bytes: &'a mut [u8],
    /// The address that sent the datagram.
    pub source: SocketAddr,
    /// Whether the datagram was longer than the batch has room for. `bytes` is its beginning then.
    pub truncated: bool,
    found: &'a mut Found,
}

impl ReceivedMut<'_> {
    /// Shortens the datagram to `range` of [`bytes`](Self::bytes). From then on the batch returns only
    /// that part of it.
    ///
    /// Positions past the end of the datagram are taken as its end.
    pub fn narrow_to(self, range: Range<usize>) {
        let end = range.end.min(self.found.len);
        let start = range.start.min(end);
        self.found.start += start;
        self.found.len = end - start;
    }
}

/// The room for several datagrams to be received, made once and used again.
///
/// Its memory is taken from the system only as datagrams fill it: a batch of big ones that only ever
/// sees small ones stays small.
#[derive(Debug)]
pub struct ReceiveBatch {
    /// One piece of `size` bytes per datagram, or per run of datagrams that the kernel has put
    /// together.
    arena: Vec<u8>,
    size: usize,
    capacity: usize,
    /// How many pieces the next receive may fill.
    limit: usize,
    /// How many the last receive has filled.
    runs: usize,
    /// What the last receive has found, in the order of the pieces.
    found: Vec<Found>,
}

/// Where in the arena a datagram is.
#[derive(Clone, Copy, Debug)]
struct Found {
    start: usize,
    len: usize,
    source: SocketAddr,
    truncated: bool,
}

impl ReceiveBatch {
    /// Most datagrams that one system call brings.
    pub const MAX_CAPACITY: usize = 64;

    /// Most bytes that a UDP datagram can have, its header included (RFC 768).
    pub const MAX_SIZE: usize = 65_535;

    /// Creates room for up to `datagrams` datagrams of up to `size` bytes each.
    ///
    /// A socket with [`SocketOptions::gro`](crate::SocketOptions::gro) counts a run of
    /// datagrams as one: there may be up to 64 times as many datagrams in the batch then.
    ///
    /// `datagrams` is taken as 1 if it is 0 and as [`MAX_CAPACITY`](Self::MAX_CAPACITY) if it is above;
    /// `size` as 1 if it is 0 and as [`MAX_SIZE`](Self::MAX_SIZE) if it is above.
    #[must_use]
    pub fn new(datagrams: usize, size: usize) -> ReceiveBatch {
        let capacity = datagrams.clamp(1, Self::MAX_CAPACITY);
        let size = size.clamp(1, Self::MAX_SIZE);
        ReceiveBatch {
            arena: vec![0; capacity * (size + SKEW)],
            size,
            capacity,
            limit: capacity,
            runs: 0,
            found: Vec::with_capacity(capacity),
        }
    }

    /// Returns how many datagrams, or runs of them, one receive can bring.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Lets receives bring no more than so many datagrams, or runs of them, 1 to
    /// [`capacity`](Self::capacity): few big ones at a time stay in the processor's caches until they
    /// are sent on.
    pub fn set_limit(&mut self, datagrams: usize) {
        self.limit = datagrams.clamp(1, self.capacity);
    }

    /// Returns how many datagrams the last receive brought.
    #[must_use]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns how many datagrams, or runs of them that the kernel has put together, the last receive
    /// brought.
    #[must_use]
    pub fn buffers_used(&self) -> usize {
        self.runs
    }

    /// Returns whether the last receive brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns a datagram of the last receive, in the order of their arrival, or none if `index` is
    /// [`len`](Self::len) or above.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        self.found.get(index).map(|found| self.received(found))
    }

    /// Returns a datagram of the last receive with mutable access to its bytes, or `None` if `index` is
    /// [`len`](Self::len) or above.
    ///
    /// What is written stays until the next receive: [`get`](Self::get) and [`iter`](Self::iter) return
    /// the datagram as it was left.
    #[must_use]
    pub fn get_mut(&mut self, index: usize) -> Option<ReceivedMut<'_>> {
        let found = self.found.get_mut(index)?;
        let bytes = &mut self.arena[found.start..found.start + found.len];
        Some(ReceivedMut { bytes, source: found.source, truncated: found.truncated, found })
    }

    /// Iterates over the datagrams of the last receive, in the order of their arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Received<'_>> {
        self.found.iter().map(|found| self.received(found))
    }

    fn received(&self, found: &Found) -> Received<'_> {
        let bytes = &self.arena[found.start..found.start + found.len];
        Received { bytes, source: found.source, truncated: found.truncated }
    }

    /// Empties the batch and returns the pieces that a receive may fill.
    pub(crate) fn start(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.found.clear();
        self.runs = 0;
        let size = self.size;
        self.arena
            .chunks_exact_mut(size + SKEW)
            .take(self.limit)
            .map(move |piece| &mut piece[..size])
    }

    pub(crate) fn set_runs(&mut self, runs: usize) {
        self.runs = runs;
    }

    /// Notes what the kernel put into a piece: a datagram of `filled` bytes, or a run of them of `run`
    /// bytes each, the last of which may be shorter.
    pub(crate) fn note(
        &mut self,
        piece: usize,
        filled: usize,
        run: Option<usize>,
        source: SocketAddr,
        cut: bool,
    ) {
        let (piece, filled) = (piece * (self.size + SKEW), filled.min(self.size));
        let size = run.unwrap_or(filled);
        let mut start = 0;
        loop {
            let len = size.min(filled - start);
            let end = start + len;
            let truncated = cut && end == filled;
            self.found.push(Found { start: piece + start, len, source, truncated });
            start = end;
            if start >= filled {
                return;
            }
        }
    }
}

/// How far apart two pieces are beyond their size: 17 cache lines of the usual size. Otherwise all
/// pieces would begin at nearly the same place of the processor's caches and push each other out.
const SKEW: usize = 17 * 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kept_within_bounds() {
        let least = ReceiveBatch::new(0, 0);
        assert_eq!((least.capacity(), least.size), (1, 1));
        let most = ReceiveBatch::new(usize::MAX, usize::MAX);
        assert_eq!(most.capacity(), ReceiveBatch::MAX_CAPACITY);
        assert_eq!(most.size, ReceiveBatch::MAX_SIZE);
        assert_eq!(most.arena.len(), most.capacity * (most.size + SKEW));
    }

    #[test]
    fn a_run_is_taken_apart() {
        let source = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut batch = ReceiveBatch::new(3, 10);
        let mut count = 0..;
        for piece in batch.arena.chunks_exact_mut(10 + SKEW) {
            piece[..10].fill_with(|| count.next().unwrap());
        }
        batch.note(0, 7, None, source, false);
        batch.note(1, 9, Some(4), source, false);
        batch.note(2, 10, Some(5), source, true);
        let found: Vec<_> = batch.iter().map(|one| (one.bytes.to_vec(), one.truncated)).collect();
        let whole = |bytes: std::ops::Range<u8>| (bytes.collect::<Vec<u8>>(), false);
        assert_eq!(
            found[..5],
            [whole(0..7), whole(10..14), whole(14..18), whole(18..19), whole(20..25)]
        );
        assert_eq!(found[5..], [((25..30).collect(), true)]);
        batch.found.clear();
        batch.note(0, 0, None, source, false);
        batch.note(1, 99, Some(3), source, true);
        let lens: Vec<_> = batch.iter().map(|one| (one.bytes.len(), one.truncated)).collect();
        assert_eq!(lens, [(0, false), (3, false), (3, false), (3, false), (1, true)]);
    }

    /// A batch with the datagrams `0123`, `456`, `abcd` and an empty one. The first two are one run.
    fn filled() -> ReceiveBatch {
        let source = SocketAddr::from(([127, 0, 0, 1], 9));
        let mut batch = ReceiveBatch::new(3, 10);
        for (piece, bytes) in [(0, &b"0123456"[..]), (1, b"abcd")] {
            let start = piece * (10 + SKEW);
            batch.arena[start..start + bytes.len()].copy_from_slice(bytes);
        }
        batch.note(0, 7, Some(4), source, true);
        batch.note(1, 4, None, source, false);
        batch.note(2, 0, None, source, false);
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
    fn a_shortened_datagram_stays_so_and_can_be_shortened_further() {
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
    fn a_range_that_reaches_past_a_datagram_ends_with_it() {
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
