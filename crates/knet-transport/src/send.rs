//! Sending many datagrams per system call.

use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::address::RawAddress;
use crate::control::{ControlMessages, supports_datagram_priority};
use crate::errno::{LeftByIcmp, left_by_icmp, may_concern_source};
use crate::offload::{Segmentation, run_length};
use crate::{Datagram, SendError};

/// The result of [`UdpSocket::send`](crate::UdpSocket::send).
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, SendBatch, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// let datagram = Datagram { header: b"", payload: b"x", destination, source: None, marking: None };
/// let progress = socket.send(&mut SendBatch::new(64), &[datagram; 5]);
/// assert_eq!((progress.sent, progress.error), (5, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct SendProgress {
    /// The number of datagrams that the kernel accepted, from the first on.
    pub sent: usize,
    /// Why the kernel refused the datagram at index `sent`, or `None` if it accepted all.
    ///
    /// Later datagrams were not sent. To skip the refused one, send the rest from `sent + 1` on.
    pub error: Option<SendError>,
    /// Whether this call found that the kernel or a device cannot segment runs of datagrams (UDP GSO) to a
    /// destination. For the next minute each datagram to it is passed on its own, at a higher cost.
    pub gso_disabled: bool,
    /// The last [`Datagram::source`] that the kernel refused, if it accepted the same datagram without:
    /// this machine does not have that address, or the destination cannot be reached from it.
    pub refused_source: Option<IpAddr>,
}

/// Reusable memory for sending several datagrams per system call.
///
/// # Examples
///
/// ```
/// use knet_transport::SendBatch;
///
/// assert_eq!(SendBatch::new(32).capacity(), 32);
/// assert_eq!(SendBatch::new(1000).capacity(), SendBatch::MAX_CAPACITY);
/// ```
#[derive(Debug)]
pub struct SendBatch {
    addresses: Box<[RawAddress]>,
}

impl SendBatch {
    /// The largest number of datagrams per system call.
    pub const MAX_CAPACITY: usize = 64;

    /// Creates a batch for up to `capacity` datagrams per system call, limited to 1 to
    /// [`MAX_CAPACITY`](Self::MAX_CAPACITY).
    #[must_use]
    pub fn new(capacity: usize) -> SendBatch {
        let capacity = capacity.clamp(1, Self::MAX_CAPACITY);
        SendBatch { addresses: vec![RawAddress::EMPTY; capacity].into() }
    }

    /// Returns the number of datagrams per system call.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.addresses.len()
    }
}

/// Sends datagrams until the kernel refuses one.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    segmentation: &Segmentation,
    batch: &mut SendBatch,
    datagrams: &[Datagram<'_>],
) -> SendProgress {
    send_in_chunks(datagrams, batch.capacity(), segmentation, |chunk, manner| {
        let runs = |destination| manner.runs && segmentation.allows(destination);
        send_some(socket, &mut batch.addresses, &datagrams[chunk], runs, manner)
    })
}

/// How datagrams are handed to the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Manner {
    /// Runs are sent as one, to destinations that allow it.
    runs: bool,
    /// The kernel gets [`Datagram::source`].
    sources: bool,
    /// Nothing is sent: the kernel only looks whether there is a route.
    route_only: bool,
}

/// Calls `send_some` for up to `capacity` of `datagrams` at a time, until all are sent or one is refused.
///
/// The kernel reports an error left by an ICMP message for whatever datagram is sent next, and again for each
/// message that it takes from the error queue. Anybody can send such messages. So a datagram that fails with
/// such a number is sent again ([`is_own`]).
///
/// The datagrams of a refused run are sent again one by one. If the first of them succeeds, the error was
/// that of another datagram, or of GSO.
///
/// A datagram that is refused because of its source is sent again without it, with those behind it that go
/// the same way. If that fails too, the source was not the reason.
fn send_in_chunks(
    datagrams: &[Datagram<'_>],
    capacity: usize,
    segmentation: &Segmentation,
    mut send_some: impl FnMut(Range<usize>, Manner) -> Result<usize, Errno>,
) -> SendProgress {
    let (mut sent, mut gso_disabled) = (0, false);
    // How many times in a row the datagram at `sent` failed.
    let mut failures = 0;
    // The end of a refused run, whose datagrams are sent one by one.
    let mut one_by_one = 0;
    // The end of datagrams whose source was refused.
    let mut without_source = 0;
    let mut refused_source = None;
    let mut refused_at = None;
    while sent < datagrams.len() {
        let mut end = datagrams.len().min(sent + capacity);
        let manner =
            Manner { runs: sent >= one_by_one, sources: sent >= without_source, route_only: false };
        let destination = datagrams[sent].destination;
        let as_run = manner.runs && segmentation.allows(destination);
        for special in [one_by_one, without_source] {
            if sent < special {
                end = end.min(special);
            }
        }
        match send_some(sent..end, manner) {
            Ok(taken) => {
                if !manner.runs && refused_at == Some(sent) {
                    segmentation.refuse(destination);
                    gso_disabled = true;
                }
                refused_at = None;
                if !manner.sources {
                    refused_source = datagrams[sent].source;
                }
                sent += taken;
                failures = 0;
            }
            Err(Errno::EINTR) => {}
            Err(errno) => {
                failures += 1;
                let route = || {
                    let route_only = Manner { runs: false, route_only: true, ..manner };
                    send_some(sent..sent + 1, route_only)
                };
                if !is_own(errno, failures, route) {
                    continue;
                }
                let source = datagrams[sent].source.filter(|_| manner.sources);
                failures = 0;
                if source.is_some() && may_concern_source(errno) {
                    without_source = sent + same_way(&datagrams[sent..end]);
                    continue;
                }
                let run = run_length(&datagrams[sent..end]);
                // A socket has room for a datagram of any length or for none. The queue of a device may
                // have room for some of a run, and never for all of it. A flood of ICMP messages hits all.
                let hits_all =
                    errno == Errno::EAGAIN || left_by_icmp(errno) == Some(LeftByIcmp::Always);
                if !as_run || run < 2 || hits_all {
                    let error = Some(SendError::new(errno));
                    return SendProgress { sent, error, gso_disabled, refused_source };
                }
                one_by_one = sent + run;
                // Other numbers are not about GSO, whatever the next attempt returns.
                let no_runs = matches!(errno, Errno::EINVAL | Errno::EIO | Errno::EOPNOTSUPP);
                refused_at = no_runs.then_some(sent);
            }
        }
    }
    SendProgress { sent, error: None, gso_disabled, refused_source }
}

/// Returns `true` if an error is that of the datagram, which failed so many times in a row, and `false` if
/// an ICMP message has left it. `route` looks whether the datagram has a route, which no message affects.
fn is_own(errno: Errno, failures: u32, route: impl FnOnce() -> Result<usize, Errno>) -> bool {
    match left_by_icmp(errno) {
        None => true,
        Some(LeftByIcmp::Always) => failures >= MAX_ATTEMPTS,
        Some(LeftByIcmp::UnlessRoute) if failures == 1 => route() == Err(errno),
        Some(LeftByIcmp::UnlessRoute) => failures >= MAX_ATTEMPTS,
        Some(LeftByIcmp::Perhaps) => failures >= ATTEMPTS_IN_DOUBT,
    }
}

/// How many attempts a datagram has while a flood of ICMP messages refuses it. On a machine of two processors,
/// a flood was measured that fails nine of ten.
const MAX_ATTEMPTS: u32 = 256;
/// How many attempts a datagram has whose error may be its own.
const ATTEMPTS_IN_DOUBT: u32 = 8;

/// Returns how many of `datagrams`, from the first on, have the source and destination of the first.
fn same_way(datagrams: &[Datagram<'_>]) -> usize {
    let way = |datagram: &Datagram<'_>| (datagram.source, datagram.destination);
    let first = datagrams.first().map(way);
    datagrams.iter().take_while(|&datagram| Some(way(datagram)) == first).count()
}

/// Calls `sendmmsg(2)` for `datagrams`, at most as many as `addresses`. Each run to a destination for which `runs`
/// returns `true` is one message. `manner` specifies the rest.
/// Returns the number of datagrams sent, at least one.
#[allow(unsafe_code)]
fn send_some(
    socket: BorrowedFd<'_>,
    addresses: &mut [RawAddress],
    datagrams: &[Datagram<'_>],
    runs: impl Fn(SocketAddr) -> bool,
    manner: Manner,
) -> Result<usize, Errno> {
    const MAX: usize = SendBatch::MAX_CAPACITY;
    let mut parts = [const { MaybeUninit::<[libc::iovec; 2]>::uninit() }; MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MAX];
    let mut controls = [const { MaybeUninit::<ControlMessages>::uninit() }; MAX];
    let mut lengths = [0_usize; MAX];

    let (mut count, mut rest, mut free) = (0, datagrams, parts.as_mut_slice());
    let slots = addresses.iter_mut().zip(&mut controls).zip(&mut headers).zip(&mut lengths);
    for (((address, control), header), length) in slots {
        let run = match rest.first() {
            Some(first) if runs(first.destination) => run_length(rest),
            first => usize::from(first.is_some()),
        };
        let (datagrams, others) = rest.split_at(run);
        let Some(first) = datagrams.first() else { break };
        let (parts, unused) = mem::take(&mut free).split_at_mut(run);
        *address = RawAddress::new(first.destination);
        for (datagram, parts) in datagrams.iter().zip(parts.iter_mut()) {
            // The kernel only reads these bytes, but `iovec` has no form with a const pointer.
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
        let source = first.source.filter(|_| manner.sources);
        let messages = ControlMessages::of_run(first, run, source, supports_datagram_priority);
        if let Some(messages) = messages {
            let messages = control.write(messages).as_mut_slice();
            header.msg_hdr.msg_control = messages.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = messages.len() as _;
        }
        (*length, rest, free) = (run, others, unused);
        count += 1;
    }

    let probe = if manner.route_only { MSG_PROBE } else { 0 };
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | probe;
    // SAFETY: the first `count` headers were written in the loop above. They point to `addresses`, to
    // `controls`, to as many of `parts` as were written for them and, through those, to the bytes of
    // `datagrams`. All of these outlive the call, none is moved or accessed during it, and each has its
    // own length. `socket` is borrowed, so it is open.
    let taken = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count, flags as _)
    };
    match Errno::result(taken)? {
        // The kernel does not return 0, but if it did, the caller's loop must end.
        0 => Err(Errno::EAGAIN),
        taken => Ok(lengths.iter().take(taken as usize).sum()),
    }
}

/// Looks for a route and sends nothing (`linux/socket.h`). It has no name in libc.
const MSG_PROBE: libc::c_int = 0x10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_limited_to_its_range() {
        assert_eq!(SendBatch::new(0).capacity(), 1);
        assert_eq!(SendBatch::new(7).capacity(), 7);
        assert_eq!(SendBatch::new(usize::MAX).capacity(), SendBatch::MAX_CAPACITY);
    }

    type Answer = Result<usize, Errno>;

    /// Creates ten datagrams in runs of this length.
    fn ten(run: usize) -> Vec<Datagram<'static>> {
        let port = |index| u16::try_from(index / run).unwrap();
        let to = |index| SocketAddr::from(([127, 0, 0, 1], port(index)));
        (0..10)
            .map(|index| Datagram {
                header: b"1",
                payload: b"2",
                destination: to(index),
                source: None,
                marking: None,
            })
            .collect()
    }

    /// Sends 10 datagrams in chunks of 4 to a scripted kernel. The script contains the expected chunk and
    /// the result of each call.
    fn follow(script: &[(Range<usize>, Answer)]) -> (usize, Option<Errno>) {
        let script: Vec<_> =
            script.iter().map(|(chunk, answer)| (chunk.clone(), true, *answer)).collect();
        let (outcome, segmented) = follow_runs(1, &script);
        assert!(segmented, "no run was refused");
        outcome
    }

    /// Does the same with runs of this length. The script also contains whether each call may use GSO.
    /// Returns whether GSO is still on for all destinations at the end.
    fn follow_runs(
        run: usize,
        script: &[(Range<usize>, bool, Answer)],
    ) -> ((usize, Option<Errno>), bool) {
        let mut script = script.iter();
        let segmentation = Segmentation::default();
        let progress = send_in_chunks(&ten(run), 4, &segmentation, |chunk, manner| {
            let (expected, as_one, answer) = script.next().expect("unexpected call");
            assert_eq!((chunk, manner.runs), (expected.clone(), *as_one));
            assert!(manner.sources);
            *answer
        });
        assert_eq!(script.next(), None, "calls are missing");
        let errno = progress.error.map(|error| Errno::from_raw(error.errno()));
        let all = ten(run).iter().all(|datagram| segmentation.allows(datagram.destination));
        assert_eq!(progress.gso_disabled, !all);
        ((progress.sent, errno), all)
    }

    #[test]
    fn gso_is_turned_off_for_a_destination_that_refuses_it() {
        let script = [
            (0..4, true, Err(Errno::EIO)),
            (0..2, false, Ok(2)),
            (2..6, true, Ok(4)),
            (6..10, true, Ok(4)),
        ];
        assert_eq!(follow_runs(2, &script), ((10, None), false));
    }

    #[test]
    fn gso_is_turned_off_for_one_destination_only() {
        let (segmentation, datagrams) = (Segmentation::default(), ten(2));
        let mut calls = Vec::new();
        let progress = send_in_chunks(&datagrams, 10, &segmentation, |chunk, manner| {
            calls.push(manner.runs);
            if calls.len() > 1 { Ok(chunk.len()) } else { Err(Errno::EIO) }
        });
        assert!(progress.gso_disabled);
        assert_eq!(calls, [true, false, true], "only the refused run is sent one by one");
        let allowed = |at: usize| segmentation.allows(datagrams[at].destination);
        assert!(!allowed(0) && (2..10).all(allowed));
    }

    #[test]
    fn a_datagram_to_a_destination_without_gso_is_refused_without_another_attempt() {
        let (segmentation, datagrams) = (Segmentation::default(), ten(2));
        segmentation.refuse(datagrams[0].destination);
        let mut calls = 0;
        let progress = send_in_chunks(&datagrams, 10, &segmentation, |_, _| {
            calls += 1;
            Err(Errno::EIO)
        });
        assert_eq!((progress.sent, calls), (0, 1));
    }

    #[test]
    fn gso_stays_on_if_a_datagram_of_a_run_is_refused() {
        let mut script = vec![(0..4, true, Ok(2)), (2..6, true, Err(Errno::EINVAL))];
        script.extend(vec![(2..4, false, Err(Errno::EMSGSIZE)); ATTEMPTS_IN_DOUBT as usize]);
        assert_eq!(follow_runs(2, &script), ((2, Some(Errno::EMSGSIZE)), true));
    }

    #[test]
    fn gso_stays_on_after_errors_of_the_path() {
        let refused = (0..4, true, Err(Errno::ECONNREFUSED));
        let rest = [(0..4, true, Ok(4)), (4..8, true, Ok(4)), (8..10, true, Ok(2))];
        let passing = vec![refused.clone(); MAX_ATTEMPTS as usize - 1];
        assert_eq!(follow_runs(4, &[&passing[..], &rest].concat()), ((10, None), true));
        let lasting = vec![refused; MAX_ATTEMPTS as usize];
        assert_eq!(follow_runs(4, &lasting), ((0, Some(Errno::ECONNREFUSED)), true));
    }

    #[test]
    fn a_run_that_does_not_fit_the_socket_is_not_split() {
        let script = [(0..4, true, Err(Errno::EAGAIN))];
        assert_eq!(follow_runs(4, &script), ((0, Some(Errno::EAGAIN)), true));
    }

    #[test]
    fn a_run_that_does_not_fit_a_device_queue_is_split() {
        let script = [
            (0..4, true, Err(Errno::ENOBUFS)),
            (0..4, false, Ok(3)),
            (3..4, false, Err(Errno::ENOBUFS)),
        ];
        assert_eq!(follow_runs(4, &script), ((3, Some(Errno::ENOBUFS)), true));
    }

    /// What a scripted kernel is asked.
    #[derive(Clone, Debug, Eq, PartialEq)]
    enum Ask {
        /// To send these, with their source.
        Send(Range<usize>),
        /// To send these without their source.
        Sourceless(Range<usize>),
        /// Whether this one has a route, with its source.
        Route(usize),
        /// Whether this one has a route without its source.
        SourcelessRoute(usize),
    }

    use Ask::{Route, Send, Sourceless, SourcelessRoute};

    /// Sends 10 datagrams in runs of 2 with a source to a scripted kernel. The script contains the expected
    /// questions and their answers.
    fn follow_sources(calls: &[(Ask, Answer)]) -> (usize, Option<Errno>) {
        let mut script = calls.iter();
        let (segmentation, mut datagrams) = (Segmentation::default(), ten(2));
        datagrams.iter_mut().for_each(|datagram| datagram.source = Some([10, 0, 0, 1].into()));
        let progress = send_in_chunks(&datagrams, 4, &segmentation, |chunk, manner| {
            let (expected, answer) = script.next().expect("unexpected call");
            let ask = match (manner.route_only, manner.sources) {
                (false, true) => Send(chunk),
                (false, false) => Sourceless(chunk),
                (true, sources) => {
                    assert_eq!((chunk.len(), manner.runs), (1, false));
                    if sources { Route(chunk.start) } else { SourcelessRoute(chunk.start) }
                }
            };
            assert_eq!(ask, *expected);
            *answer
        });
        assert_eq!(script.next(), None, "calls are missing");
        let mut destinations = datagrams.iter().map(|datagram| datagram.destination);
        assert!(destinations.all(|to| segmentation.allows(to)), "the source was the reason");
        let sourceless =
            |(ask, answer): &(Ask, Answer)| matches!(ask, Sourceless(_)) && answer.is_ok();
        let refused = calls.iter().any(sourceless);
        assert_eq!(progress.refused_source, refused.then_some([10, 0, 0, 1].into()));
        (progress.sent, progress.error.map(|error| Errno::from_raw(error.errno())))
    }

    #[test]
    fn a_refused_source_is_left_out_for_the_datagrams_that_go_the_same_way() {
        let script = [
            (Send(0..4), Ok(2)),
            (Send(2..6), Err(Errno::EINVAL)),
            (Sourceless(2..4), Ok(2)),
            (Send(4..8), Ok(4)),
            (Send(8..10), Err(Errno::ENETUNREACH)),
            (Route(8), Err(Errno::ENETUNREACH)),
            (Sourceless(8..10), Ok(2)),
        ];
        assert_eq!(follow_sources(&script), (10, None));
    }

    /// A flood of forged messages gives the kernel the same answers as a missing route, except to the question
    /// whether there is one. The peer would drop what comes from another source.
    #[test]
    fn forged_icmp_messages_fail_no_datagram_and_take_no_source_from_it() {
        for errno in [Errno::EHOSTUNREACH, Errno::ENETUNREACH, Errno::EACCES] {
            let first = [(Send(0..4), Err(errno)), (Route(0), Ok(1))];
            let flood = vec![(Send(0..4), Err(errno)); MAX_ATTEMPTS as usize - 2];
            let rest = [(Send(0..4), Ok(4)), (Send(4..8), Ok(4)), (Send(8..10), Ok(2))];
            let script = [&first[..], &flood, &rest].concat();
            assert_eq!(follow_sources(&script), (10, None), "{errno}");
        }
    }

    #[test]
    fn a_missing_route_is_reported_at_once() {
        for errno in [Errno::EHOSTUNREACH, Errno::ENETUNREACH] {
            let script = [
                (Send(0..4), Ok(3)),
                (Send(3..7), Err(errno)),
                (Route(3), Err(errno)),
                (Sourceless(3..4), Err(errno)),
                (SourcelessRoute(3), Err(errno)),
            ];
            assert_eq!(follow_sources(&script), (3, Some(errno)));
        }
        let prohibited = [(Send(0..4), Ok(3)), (Send(3..7), Err(Errno::EACCES))];
        let route = [(Route(3), Err(Errno::EACCES))];
        let outcome = (3, Some(Errno::EACCES));
        assert_eq!(follow_sources(&[&prohibited[..], &route].concat()), outcome);
    }

    #[test]
    fn a_datagram_that_is_refused_without_its_source_too_is_reported() {
        let script = [
            (Send(0..4), Err(Errno::EADDRNOTAVAIL)),
            (Sourceless(0..2), Err(Errno::EADDRNOTAVAIL)),
            (Sourceless(0..2), Err(Errno::EADDRNOTAVAIL)),
        ];
        assert_eq!(follow_sources(&script), (0, Some(Errno::EADDRNOTAVAIL)));
        assert_eq!(follow_sources(&[(Send(0..4), Err(Errno::EAGAIN))]), (0, Some(Errno::EAGAIN)));
    }

    #[test]
    fn datagrams_are_sent_in_chunks() {
        assert_eq!(follow(&[(0..4, Ok(4)), (4..8, Ok(4)), (8..10, Ok(2))]), (10, None));
        let interrupted = [(0..4, Ok(4)), (4..8, Err(Errno::EINTR)), (4..8, Ok(4)), (8..10, Ok(2))];
        assert_eq!(follow(&interrupted), (10, None));
    }

    #[test]
    fn a_full_queue_ends_the_send() {
        assert_eq!(follow(&[(0..4, Err(Errno::EAGAIN))]), (0, Some(Errno::EAGAIN)));
        let short = [(0..4, Ok(4)), (4..8, Ok(1)), (5..9, Err(Errno::ENOBUFS))];
        assert_eq!(follow(&short), (5, Some(Errno::ENOBUFS)));
    }

    #[test]
    fn an_error_that_may_be_the_datagrams_own_is_reported_if_it_persists() {
        let attempts = ATTEMPTS_IN_DOUBT as usize;
        let persisting = vec![(2..6, Err(Errno::EMSGSIZE)); attempts];
        let script = [&[(0..4, Ok(2))], &persisting[..]].concat();
        assert_eq!(follow(&script), (2, Some(Errno::EMSGSIZE)));
        let passing = &persisting[1..];
        let rest = [(2..6, Ok(4)), (6..10, Ok(4))];
        assert_eq!(follow(&[&[(0..4, Ok(2))], passing, &rest].concat()), (10, None));
    }

    #[test]
    fn a_pending_error_fails_no_datagram() {
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
        let relentless = vec![(4..8, refused); MAX_ATTEMPTS as usize];
        let script = [&[(0..4, Ok(4))], &relentless[..]].concat();
        assert_eq!(follow(&script), (4, Some(Errno::ECONNREFUSED)));
    }
}
