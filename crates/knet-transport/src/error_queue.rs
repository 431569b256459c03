//! The kernel's error queue as values.
//!
//! With `IP_RECVERR` and `IPV6_RECVERR`, the kernel queues errors of datagrams that it has already accepted,
//! each with its destination ([`ip(7)`](https://man7.org/linux/man-pages/man7/ip.7.html)).

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, getsockopt, recvmsg, sockopt,
};

use crate::ReceiveError;
use crate::errno::SocketErrorKind;

/// The error of a datagram that was sent earlier.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{
///     Datagram, ErrorOrigin, ErrorQueue, SendBatch, SocketErrorKind, SocketOptions, UdpSocket,
/// };
///
/// // A socket that is connected to itself accepts datagrams from no other.
/// let deserted = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
/// let destination = deserted.local_addr()?;
/// deserted.connect(destination)?;
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let datagram = Datagram { header: b"", payload: b"hello", destination, source: None, marking: None };
/// assert_eq!(socket.send(&mut SendBatch::new(1), &[datagram]).sent, 1);
///
/// // The kernel of the destination answers "port unreachable".
/// let error = socket.receive_error(&mut ErrorQueue::new())?.ok_or("no error")?;
/// assert_eq!((error.origin, error.destination), (ErrorOrigin::Icmp, Some(destination)));
/// assert_eq!(error.kind(), SocketErrorKind::Unreachable);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketError {
    /// The reporter of the error.
    pub origin: ErrorOrigin,
    /// The error number of the operating system, such as `ECONNREFUSED` for a port without a socket.
    pub errno: i32,
    /// The destination of the datagram, or `None` if the kernel no longer knows it. The port is 0 if only
    /// the address is known, as for IPv4 datagrams that this machine refused.
    pub destination: Option<SocketAddr>,
    /// The length of the longest packet on the path to the destination, in bytes including the IP header.
    /// Only with `EMSGSIZE`, and only if it is known.
    pub mtu: Option<u32>,
}

impl SocketError {
    /// Returns the classification of the error.
    ///
    /// Errors of unknown origin are [`Other`](SocketErrorKind::Other), because they do not concern a known
    /// destination. So are local errors, which the send has already returned, except for
    /// [`TooBig`](SocketErrorKind::TooBig) with its limit.
    #[must_use]
    pub fn kind(&self) -> SocketErrorKind {
        match (self.origin, SocketErrorKind::of(self.errno)) {
            (ErrorOrigin::Icmp, kind) => kind,
            (ErrorOrigin::Local, SocketErrorKind::TooBig) => SocketErrorKind::TooBig,
            (ErrorOrigin::Local | ErrorOrigin::Unknown, _) => SocketErrorKind::Other,
        }
    }
}

/// The reporter of an error. The example of [`SocketError`] compares it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorOrigin {
    /// This machine, which did not send the datagram.
    Local,
    /// The destination or a router on the path, with an ICMP or ICMPv6 message. Anyone who sees or guesses
    /// the addresses and ports can forge one.
    Icmp,
    /// Unknown, because the kernel had no memory for more than the number.
    Unknown,
}

/// A reusable buffer for entries of the error queue.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{ErrorQueue, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let mut scratch = ErrorQueue::new();
/// assert_eq!(socket.receive_error(&mut scratch)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ErrorQueue {
    control: Vec<u8>,
}

impl ErrorQueue {
    /// Creates a buffer for one entry.
    #[must_use]
    pub fn new() -> ErrorQueue {
        // The kernel appends the address of the reporter to the error, in the same message. A socket that
        // reports the addresses of datagrams reports that of the ICMP message before it.
        let error = cmsg_space!(libc::in6_pktinfo, libc::sock_extended_err, libc::sockaddr_in6);
        ErrorQueue { control: error }
    }
}

impl Default for ErrorQueue {
    fn default() -> ErrorQueue {
        ErrorQueue::new()
    }
}

/// Removes one entry from the error queue.
pub(crate) fn receive_error(
    socket: BorrowedFd<'_>,
    scratch: &mut ErrorQueue,
) -> Result<Option<SocketError>, ReceiveError> {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    for _ in 0..MAX_SKIPPED {
        let control = Some(scratch.control.as_mut_slice());
        match recvmsg(socket.as_raw_fd(), &mut [], control, flags) {
            Ok(message) => {
                // An entry without an error was not requested. It is off the queue now.
                if let Some(error) = parse(&message) {
                    return Ok(Some(error));
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return unqueued_error(socket),
            Err(errno) => return Err(ReceiveError::Os { source: errno.into() }),
        }
    }
    // Pollers report the socket again.
    Ok(None)
}

fn parse(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Option<SocketError> {
    let error = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            Some(error)
        }
        _ => None,
    })?;
    let errno = i32::try_from(error.ee_errno).ok()?;
    Some(SocketError {
        origin: match error.ee_origin {
            libc::SO_EE_ORIGIN_NONE | libc::SO_EE_ORIGIN_LOCAL => ErrorOrigin::Local,
            libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => ErrorOrigin::Icmp,
            _ => return None,
        },
        errno,
        destination: message.address.as_ref().and_then(destination),
        mtu: (errno == libc::EMSGSIZE && error.ee_info > 0).then_some(error.ee_info),
    })
}

fn destination(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|&v4| SocketAddr::from(v4));
    v4.or_else(|| address.as_sockaddr_in6().map(|&v6| SocketAddr::from(v6)))
}

/// Returns an error that did not fit into the queue. While it is pending, pollers report the socket as
/// faulty even if the queue is empty.
fn unqueued_error(socket: BorrowedFd<'_>) -> Result<Option<SocketError>, ReceiveError> {
    match getsockopt(&socket, sockopt::SocketError) {
        Ok(0) => Ok(None),
        Ok(errno) => Ok(Some(SocketError {
            origin: ErrorOrigin::Unknown,
            errno,
            destination: None,
            mtu: None,
        })),
        Err(errno) => Err(ReceiveError::Os { source: errno.into() }),
    }
}

/// How many entries without an error one call removes: somebody who shares the socket may have requested one
/// for each datagram.
const MAX_SKIPPED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classification_depends_on_the_origin() {
        let kind =
            |origin, errno| SocketError { origin, errno, destination: None, mtu: None }.kind();
        let table = [
            (libc::EMSGSIZE, SocketErrorKind::TooBig, SocketErrorKind::TooBig),
            (libc::ECONNREFUSED, SocketErrorKind::Unreachable, SocketErrorKind::Other),
            (libc::EACCES, SocketErrorKind::Other, SocketErrorKind::Other),
        ];
        for (errno, icmp, local) in table {
            assert_eq!(kind(ErrorOrigin::Icmp, errno), icmp);
            assert_eq!(kind(ErrorOrigin::Local, errno), local);
            assert_eq!(kind(ErrorOrigin::Unknown, errno), SocketErrorKind::Other);
        }
    }
}
