//! Receiving many datagrams per system call.

use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use nix::errno::Errno;

use crate::ReceiveError;
use crate::address::RawAddress;
use crate::segments::CoalescedControl;

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
    /// A socket with [`SocketOptions::coalesce`](crate::SocketOptions::coalesce) counts a run of
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
    pub fn runs(&self) -> usize {
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

    /// Iterates over the datagrams of the last receive, in the order of their arrival.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Received<'_>> {
        self.found.iter().map(|found| self.received(found))
    }

    fn received(&self, found: &Found) -> Received<'_> {
        let bytes = &self.arena[found.start..found.start + found.len];
        Received { bytes, source: found.source, truncated: found.truncated }
    }

    /// Notes what the kernel put into a piece: a datagram of `filled` bytes, or a run of them of `run`
    /// bytes each, the last of which may be shorter.
    fn note(
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

/// Fills `batch` with what is waiting, and returns how many datagrams that is.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    batch: &mut ReceiveBatch,
) -> Result<usize, ReceiveError> {
    loop {
        match receive_some(socket, batch) {
            Ok(()) | Err(Errno::EAGAIN) => return Ok(batch.len()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(ReceiveError::new(errno)),
        }
    }
}

/// One `recvmmsg(2)`. The batch is empty if it fails.
#[allow(unsafe_code)]
fn receive_some(socket: BorrowedFd<'_>, batch: &mut ReceiveBatch) -> Result<(), Errno> {
    const MAX: usize = ReceiveBatch::MAX_CAPACITY;
    let mut addresses = [const { MaybeUninit::<RawAddress>::uninit() }; MAX];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MAX];
    let mut controls = [const { MaybeUninit::<CoalescedControl>::uninit() }; MAX];

    batch.found.clear();
    batch.runs = 0;
    let mut count = 0;
    let slots = addresses.iter_mut().zip(&mut parts).zip(&mut controls).zip(&mut headers);
    let size = batch.size;
    let pieces = batch.arena.chunks_exact_mut(size + SKEW).take(batch.limit);
    let pieces = pieces.map(|piece| &mut piece[..size]);
    for (piece, (((address, part), control), header)) in pieces.zip(slots) {
        let address = address.write(RawAddress::EMPTY);
        let control = control.write(CoalescedControl::EMPTY);
        let part =
            part.write(libc::iovec { iov_base: piece.as_mut_ptr().cast(), iov_len: piece.len() });
        // SAFETY: `mmsghdr` is a plain C struct of integers and pointers, for all of which zero is a
        // valid value. It has private fields on some targets, so it cannot be written out.
        let header = header.write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_name = address.bytes.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = RawAddress::CAPACITY as libc::socklen_t;
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_control = ptr::from_mut(control).cast();
        header.msg_hdr.msg_controllen = size_of::<CoalescedControl>() as _;
        count += 1;
    }

    // SAFETY: the first `count` headers have been written in the loop above. Their pointers are to
    // `addresses`, to `controls` and, through `parts`, to pieces of the arena that do not overlap; all
    // of them outlive the call, none is moved or touched during it, and each comes with its own
    // length. A null timeout is allowed. `socket` is borrowed, so it is open.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = Errno::result(received)? as usize;
    batch.runs = received;

    let slots = headers.iter().zip(&mut addresses).zip(&controls);
    for (piece, ((header, address), control)) in slots.take(received).enumerate() {
        // SAFETY: the kernel fills no more headers than the `count` it was given, and all three were
        // written for those in the loop above.
        let (header, address, control) = unsafe {
            (header.assume_init_ref(), address.assume_init_mut(), control.assume_init_ref())
        };
        address.len = header.msg_hdr.msg_namelen as usize;
        // UDP always names the source, and one of the socket's family. An address that nobody can
        // have is one that nobody is waiting for.
        let source = address.decode().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let run = control.size(header.msg_hdr.msg_controllen as _);
        batch.note(piece, header.msg_len as usize, run, source, truncated);
    }
    Ok(())
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

    #[test]
    fn a_new_batch_is_empty() {
        let batch = ReceiveBatch::new(4, 16);
        assert!(batch.is_empty() && batch.iter().next().is_none());
        assert_eq!(batch.get(0), None);
    }
}
