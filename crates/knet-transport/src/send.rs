//! Sending many datagrams per system call.

use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::address::RawAddress;
use crate::control::{ControlMessages, supports_datagram_priority};
use crate::errno::left_by_icmp;
use crate::segments::{Segmentation, run_length};
use crate::{QosMarking, SendError};

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
    /// How it is marked, if not as its socket is. Before Linux 6.14 a datagram has no priority of its
    /// own: over IPv4 it is the one that belongs to the traffic class, over IPv6 that of the socket.
    pub marking: Option<QosMarking>,
}

impl Datagram<'_> {
    pub(crate) fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }
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
    /// `true` if this call found that the kernel or a device on the path cannot segment runs of
    /// datagrams (UDP GSO). Later sends of the socket pass each datagram on its own, which costs more
    /// per datagram.
    pub gso_disabled: bool,
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
    segmentation: &Segmentation,
    batch: &mut SendBatch,
    datagrams: &[Datagram<'_>],
) -> SendProgress {
    send_in_chunks(datagrams, batch.capacity(), segmentation, |chunk, runs| {
        send_some(socket, &mut batch.addresses, &datagrams[chunk], runs)
    })
}

/// Calls `send_some` for up to `capacity` of `datagrams` at a time, until all are taken or one is
/// refused. The second argument says whether runs may be sent as one.
///
/// An error that an ICMP message left behind hits whatever is sent next, and is gone once reported.
/// So a datagram that fails with such a number gets a second chance, and only then is the error its
/// own. The kernel keeps to itself why it stopped after some datagrams, so the one it stopped at has
/// had its first chance.
///
/// A run that is refused is sent again one by one: the error is one datagram's, or segmentation is not
/// to be had here, which shows if the first of them goes through.
fn send_in_chunks(
    datagrams: &[Datagram<'_>],
    capacity: usize,
    segmentation: &Segmentation,
    mut send_some: impl FnMut(Range<usize>, bool) -> Result<usize, Errno>,
) -> SendProgress {
    let (mut sent, mut gso_disabled) = (0, false);
    let mut failed_before = false;
    // The end of a run that was refused.
    let mut one_by_one = 0;
    let mut refused_at = None;
    while sent < datagrams.len() {
        let mut end = datagrams.len().min(sent + capacity);
        let runs = sent >= one_by_one && segmentation.is_on();
        if sent < one_by_one {
            end = end.min(one_by_one);
        }
        match send_some(sent..end, runs) {
            Ok(taken) => {
                if !runs && refused_at == Some(sent) {
                    segmentation.give_up();
                    gso_disabled = true;
                }
                refused_at = None;
                sent += taken;
                failed_before = sent < end;
            }
            Err(Errno::EINTR) => {}
            Err(errno) if left_by_icmp(errno) && !failed_before => failed_before = true,
            Err(errno) => {
                let run = run_length(&datagrams[sent..end]);
                // A socket has room for a packet of any length or for none. But a device's queue may
                // have some for a few of a run, and never for all of it.
                if !runs || run < 2 || errno == Errno::EAGAIN {
                    let error = Some(SendError::new(errno));
                    return SendProgress { sent, error, gso_disabled };
                }
                one_by_one = sent + run;
                // Other numbers say nothing about runs, whatever the next try brings.
                let no_runs = matches!(errno, Errno::EINVAL | Errno::EIO | Errno::EOPNOTSUPP);
                refused_at = no_runs.then_some(sent);
                failed_before = false;
            }
        }
    }
    SendProgress { sent, error: None, gso_disabled }
}

/// One `sendmmsg(2)` for `datagrams`, of which there are no more than `addresses`; with `runs`, each
/// run as one message. Returns how many datagrams were taken, at least one.
#[allow(unsafe_code)]
fn send_some(
    socket: BorrowedFd<'_>,
    addresses: &mut [RawAddress],
    datagrams: &[Datagram<'_>],
    runs: bool,
) -> Result<usize, Errno> {
    const MAX: usize = SendBatch::MAX_CAPACITY;
    let mut parts = [const { MaybeUninit::<[libc::iovec; 2]>::uninit() }; MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MAX];
    let mut controls = [const { MaybeUninit::<ControlMessages>::uninit() }; MAX];
    let mut lengths = [0_usize; MAX];

    let (mut count, mut rest, mut free) = (0, datagrams, parts.as_mut_slice());
    let slots = addresses.iter_mut().zip(&mut controls).zip(&mut headers).zip(&mut lengths);
    for (((address, control), header), length) in slots {
        let run = if runs { run_length(rest) } else { rest.len().min(1) };
        let (datagrams, others) = rest.split_at(run);
        let Some(first) = datagrams.first() else { break };
        let (parts, unused) = mem::take(&mut free).split_at_mut(run);
        *address = RawAddress::new(first.destination);
        for (datagram, parts) in datagrams.iter().zip(parts.iter_mut()) {
            // The kernel only reads what it sends, `iovec` just has no form for that.
            parts.write([datagram.header, datagram.payload].map(|part| libc::iovec {
                iov_base: part.as_ptr().cast_mut().cast(),
                iov_len: part.len(),
            }));
        }
        // SAFETY: `mmsghdr` is a plain C struct of integers and pointers, for all of which zero is a
        // valid value. It has private fields on some targets, so it cannot be written out.
        let header = header.write(unsafe { mem::zeroed() });
        header.msg_hdr.msg_name = address.bytes.as_mut_ptr().cast();
        header.msg_hdr.msg_namelen = address.len as libc::socklen_t;
        header.msg_hdr.msg_iov = parts.as_mut_ptr().cast();
        header.msg_hdr.msg_iovlen = (2 * run) as _;
        if let Some(messages) = ControlMessages::of_run(first, run, supports_datagram_priority) {
            let messages = control.write(messages);
            header.msg_hdr.msg_control = messages.as_mut_ptr();
            header.msg_hdr.msg_controllen = messages.len() as _;
        }
        (*length, rest, free) = (run, others, unused);
        count += 1;
    }

    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the first `count` headers have been written in the loop above. Their pointers are to
    // `addresses`, to `controls`, to as many of `parts` as were written for them and, through those,
    // to the bytes of `datagrams`; all of them outlive the call, none is moved or touched during it,
    // and each comes with its own length. `socket` is borrowed, so it is open.
    let taken = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count, flags as _)
    };
    match Errno::result(taken)? {
        // Never seen, but a caller that loops must not depend on that.
        0 => Err(Errno::EAGAIN),
        taken => Ok(lengths.iter().take(taken as usize).sum()),
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

    type Answer = Result<usize, Errno>;

    /// Ten datagrams that make runs of this length.
    fn ten(run: usize) -> Vec<Datagram<'static>> {
        let port = |index| u16::try_from(index / run).unwrap();
        let to = |index| SocketAddr::from(([127, 0, 0, 1], port(index)));
        (0..10)
            .map(|index| Datagram {
                header: b"1",
                payload: b"2",
                destination: to(index),
                marking: None,
            })
            .collect()
    }

    /// Sends 10 datagrams in chunks of 4 to a kernel that follows the script: for each call which
    /// chunk it is to see, and what it answers.
    fn follow(script: &[(Range<usize>, Answer)]) -> (usize, Option<Errno>) {
        let script: Vec<_> =
            script.iter().map(|(chunk, answer)| (chunk.clone(), true, *answer)).collect();
        let (outcome, segmented) = follow_runs(1, &script);
        assert!(segmented, "no run was refused");
        outcome
    }

    /// The same with runs of this length, and for each call whether they may be sent as one; also
    /// whether they still may be at the end.
    fn follow_runs(
        run: usize,
        script: &[(Range<usize>, bool, Answer)],
    ) -> ((usize, Option<Errno>), bool) {
        let mut script = script.iter();
        let segmentation = Segmentation::new();
        let progress = send_in_chunks(&ten(run), 4, &segmentation, |chunk, runs| {
            let (expected, as_one, answer) = script.next().expect("one call too many");
            assert_eq!((chunk, runs), (expected.clone(), *as_one));
            *answer
        });
        assert_eq!(script.next(), None, "calls are missing");
        let errno = progress.error.map(|error| Errno::from_raw(error.errno()));
        assert_eq!(progress.gso_disabled, !segmentation.is_on());
        ((progress.sent, errno), segmentation.is_on())
    }

    #[test]
    fn a_kernel_that_does_not_cut_runs_is_not_asked_again() {
        let script = [
            (0..4, true, Err(Errno::EIO)),
            (0..2, false, Ok(2)),
            (2..6, false, Ok(4)),
            (6..10, false, Ok(4)),
        ];
        assert_eq!(follow_runs(2, &script), ((10, None), false));
    }

    #[test]
    fn a_run_that_is_refused_for_one_of_its_datagrams_changes_nothing_for_others() {
        let script = [
            (0..4, true, Ok(2)),
            (2..6, true, Err(Errno::EINVAL)),
            (2..4, false, Err(Errno::EMSGSIZE)),
            (2..4, false, Err(Errno::EMSGSIZE)),
        ];
        assert_eq!(follow_runs(2, &script), ((2, Some(Errno::EMSGSIZE)), true));
    }

    #[test]
    fn errors_of_the_way_are_not_held_against_runs() {
        let refused = Err(Errno::ECONNREFUSED);
        let script = [(0..4, true, refused), (0..4, true, refused), (0..4, false, Ok(4))];
        let rest = [(4..8, true, Ok(4)), (8..10, true, Ok(2))];
        assert_eq!(follow_runs(4, &[&script[..], &rest].concat()), ((10, None), true));
    }

    #[test]
    fn a_run_that_finds_no_room_waits_as_a_whole() {
        let script = [(0..4, true, Err(Errno::EAGAIN))];
        assert_eq!(follow_runs(4, &script), ((0, Some(Errno::EAGAIN)), true));
    }

    #[test]
    fn a_run_that_a_device_has_no_room_for_is_sent_as_far_as_there_is_some() {
        let script = [
            (0..4, true, Err(Errno::ENOBUFS)),
            (0..4, false, Ok(3)),
            (3..4, false, Err(Errno::ENOBUFS)),
        ];
        assert_eq!(follow_runs(4, &script), ((3, Some(Errno::ENOBUFS)), true));
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
