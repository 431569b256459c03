//! Sending many datagrams per system call.

use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::SendError;
use crate::address::RawAddress;
use crate::errno::left_by_icmp;

/// A datagram to be sent: `header` and `payload` follow each other on the wire.
///
/// They are kept apart so that one payload can be sent behind several headers without being copied.
/// Either may be empty. The longest datagram that UDP can carry has 65,507 bytes over IPv4 and 65,527
/// over IPv6; since nothing is fragmented, the MTU of the way out sets the limit in practice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// The first bytes.
    pub header: &'a [u8],
    /// The rest.
    pub payload: &'a [u8],
    /// Where it goes. Must be of the same family as the socket.
    pub destination: SocketAddr,
}

/// How far [`UdpSocket::send`](crate::UdpSocket::send) got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct SendProgress {
    /// How many datagrams the kernel took, from the first on, in order.
    pub sent: usize,
    /// Why the next one was refused: the datagram at index `sent`. None if all were taken.
    ///
    /// Nothing after it has been tried. To skip it, send the rest from `sent + 1` on.
    pub error: Option<SendError>,
}

/// What one system call needs to send several datagrams, made once and used again.
#[derive(Debug)]
pub struct SendBatch {
    addresses: Box<[RawAddress]>,
}

impl SendBatch {
    /// Most datagrams that one system call takes.
    pub const MAX_CAPACITY: usize = 64;

    /// Creates a batch for up to `capacity` datagrams per system call, taken as 1 if it is 0 and as
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY) if it is above.
    #[must_use]
    pub fn new(capacity: usize) -> SendBatch {
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY);
        SendBatch { addresses: vec![RawAddress::EMPTY; capacity].into() }
    }

    /// Returns how many datagrams go into one system call.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.addresses.len()
    }
}

/// Sends as many of `datagrams` as the kernel takes.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    batch: &mut SendBatch,
    datagrams: &[Datagram<'_>],
) -> SendProgress {
    send_in_chunks(datagrams.len(), batch.capacity(), |range| {
        send_some(socket, &mut batch.addresses, &datagrams[range])
    })
}

/// Calls `send_some` for up to `capacity` of `count` datagrams at a time, until all are taken or one is
/// refused.
///
/// An error that an ICMP message left behind hits whatever is sent next, and is gone once reported.
/// So a datagram that fails with such a number gets a second chance, and only then is the error its
/// own. The kernel keeps to itself why it stopped after some datagrams, so the one it stopped at has
/// had its first chance.
fn send_in_chunks(
    count: usize,
    capacity: usize,
    mut send_some: impl FnMut(Range<usize>) -> Result<usize, Errno>,
) -> SendProgress {
    let mut sent = 0;
    let mut failed_before = false;
    while sent < count {
        let chunk = sent..count.min(sent + capacity);
        match send_some(chunk.clone()) {
            Ok(taken) => {
                sent += taken;
                failed_before = sent < chunk.end;
            }
            Err(Errno::EINTR) => {}
            Err(errno) if left_by_icmp(errno) && !failed_before => failed_before = true,
            Err(errno) => return SendProgress { sent, error: Some(SendError::new(errno)) },
        }
    }
    SendProgress { sent, error: None }
}

/// One `sendmmsg(2)` for `datagrams`, of which there are no more than `addresses`. Returns how many
/// were taken, at least one.
#[allow(unsafe_code)]
fn send_some(
    socket: BorrowedFd<'_>,
    addresses: &mut [RawAddress],
    datagrams: &[Datagram<'_>],
) -> Result<usize, Errno> {
    const MAX: usize = SendBatch::MAX_CAPACITY;
    let mut parts = [const { MaybeUninit::<[libc::iovec; 2]>::uninit() }; MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MAX];

    let mut count = 0;
    let slots = addresses.iter_mut().zip(&mut parts).zip(&mut headers);
    for (datagram, ((address, parts), header)) in datagrams.iter().zip(slots) {
        *address = RawAddress::new(datagram.destination);
        // The kernel only reads what it sends, `iovec` just has no form for that.
        let parts = parts.write([datagram.header, datagram.payload].map(|part| libc::iovec {
            iov_base: part.as_ptr().cast_mut().cast(),
            iov_len: part.len(),
        }));
        // SAFETY: `mmsghdr` is a plain C struct of integers and pointers, for all of which zero is a
        // valid value. It has private fields on some targets, so it cannot be written out.
        let header = header.write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_name = address.bytes.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = address.len as libc::socklen_t;
        header.msg_hdr.msg_iov = parts.as_mut_ptr();
        header.msg_hdr.msg_iovlen = parts.len() as _;
        count += 1;
    }

    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the first `count` headers have been written in the loop above. Their pointers are to
    // `addresses`, to `parts` and, through those, to the bytes of `datagrams`; all of them outlive
    // the call, none is moved or touched during it, and each comes with its own length. `socket` is
    // borrowed, so it is open.
    let taken = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count, flags as _)
    };
    match Errno::result(taken)? {
        // Never seen, but a caller that loops must not depend on that.
        0 => Err(Errno::EAGAIN),
        taken => Ok(taken as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_kept_within_bounds() {
        assert_eq!(SendBatch::new(0).capacity(), 1);
        assert_eq!(SendBatch::new(7).capacity(), 7);
        assert_eq!(SendBatch::new(usize::MAX).capacity(), SendBatch::MAX_CAPACITY);
    }

    /// Sends 10 datagrams in chunks of 4 to a kernel that follows the script: for each call which
    /// chunk it is to see, and what it answers.
    fn follow(script: &[(Range<usize>, Result<usize, Errno>)]) -> (usize, Option<Errno>) {
        let mut script = script.iter();
        let progress = send_in_chunks(10, 4, |chunk| {
            let (expected, answer) = script.next().expect("one call too many");
            assert_eq!(chunk, *expected);
            *answer
        });
        assert_eq!(script.next(), None, "calls are missing");
        (progress.sent, progress.error.map(|error| Errno::from_raw(error.errno())))
    }

    #[test]
    fn all_is_sent_in_chunks() {
        assert_eq!(follow(&[(0..4, Ok(4)), (4..8, Ok(4)), (8..10, Ok(2))]), (10, None));
        let interrupted = [(0..4, Ok(4)), (4..8, Err(Errno::EINTR)), (4..8, Ok(4)), (8..10, Ok(2))];
        assert_eq!(follow(&interrupted), (10, None));
    }

    #[test]
    fn a_full_queue_ends_the_sending_at_once() {
        assert_eq!(follow(&[(0..4, Err(Errno::EAGAIN))]), (0, Some(Errno::EAGAIN)));
        let short = [(0..4, Ok(4)), (4..8, Ok(1)), (5..9, Err(Errno::ENOBUFS))];
        assert_eq!(follow(&short), (5, Some(Errno::ENOBUFS)));
    }

    #[test]
    fn an_error_of_the_datagram_itself_is_believed_the_second_time() {
        let first = [(0..4, Err(Errno::EMSGSIZE)), (0..4, Err(Errno::EMSGSIZE))];
        assert_eq!(follow(&first), (0, Some(Errno::EMSGSIZE)));
        let within = [(0..4, Ok(2)), (2..6, Err(Errno::EMSGSIZE))];
        assert_eq!(
            follow(&within),
            (2, Some(Errno::EMSGSIZE)),
            "the short count was the first time"
        );
    }

    #[test]
    fn an_error_left_behind_is_survived_wherever_it_strikes() {
        let refused = Err(Errno::ECONNREFUSED);
        let everywhere = [
            (0..4, refused),
            (0..4, Ok(4)),
            (4..8, refused),
            (4..8, Ok(1)),
            (5..9, Ok(4)),
            (9..10, refused),
            (9..10, Ok(1)),
        ];
        assert_eq!(follow(&everywhere), (10, None));
        let relentless = [(0..4, Ok(4)), (4..8, refused), (4..8, refused)];
        assert_eq!(follow(&relentless), (4, Some(Errno::ECONNREFUSED)));
    }
}
