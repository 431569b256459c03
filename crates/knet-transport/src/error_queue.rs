//! The kernel's error queue as values.
//!
//! With `IP_RECVERR` and `IPV6_RECVERR` the kernel queues what went wrong with datagrams after they
//! were handed over, each with the destination it is about
//! ([`ip(7)`](https://man7.org/linux/man-pages/man7/ip.7.html)).

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage, getsockopt, recvmsg, sockopt,
};

use crate::ReceiveError;
use crate::errno::SocketErrorKind;

/// What went wrong with a datagram that was sent earlier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SocketError {
    /// Who says so.
    pub origin: ErrorOrigin,
    /// The error number of the operating system, such as `ECONNREFUSED` for a port that nobody
    /// listens on.
    pub errno: i32,
    /// Where the datagram was going. None if the kernel does not know any more. Its port is 0 where
    /// only the address is known, as with IPv4 datagrams that this machine refused.
    pub destination: Option<SocketAddr>,
    /// The biggest packet, IP header included, that the way to the destination takes, in bytes. Only
    /// with `EMSGSIZE`, and only if it is known.
    pub mtu: Option<u32>,
}

impl SocketError {
    /// Returns what follows from it. An error of which nobody knows the origin says nothing about a
    /// destination, and this machine's own errors were told to who sent, but for how long a datagram
    /// may be.
    #[must_use]
    pub fn kind(&self) -> SocketErrorKind {
        match (self.origin, SocketErrorKind::of(self.errno)) {
            (ErrorOrigin::Icmp, kind) => kind,
            (ErrorOrigin::Local, SocketErrorKind::TooBig) => SocketErrorKind::TooBig,
            (ErrorOrigin::Local | ErrorOrigin::Unknown, _) => SocketErrorKind::Other,
        }
    }
}

/// Who says that something went wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ErrorOrigin {
    /// This machine: it did not send the datagram.
    Local,
    /// The destination or a router on the way, by an ICMP or ICMPv6 message. Anybody who sees or
    /// guesses the addresses and ports can forge one.
    Icmp,
    /// The kernel had no room for more than the number.
    Unknown,
}

/// What reading the error queue needs, made once and used again.
#[derive(Debug)]
pub struct ErrorQueue {
    control: Vec<u8>,
}

impl ErrorQueue {
    /// Creates the room for one entry.
    #[must_use]
    pub fn new() -> ErrorQueue {
        // The kernel puts the address of the sender behind the error, in the same message.
        ErrorQueue { control: cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6) }
    }
}

impl Default for ErrorQueue {
    fn default() -> ErrorQueue {
        ErrorQueue::new()
    }
}

/// Takes one entry from the error queue.
pub(crate) fn receive_error(
    socket: BorrowedFd<'_>,
    scratch: &mut ErrorQueue,
) -> Result<Option<SocketError>, ReceiveError> {
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    loop {
        let control = Some(scratch.control.as_mut_slice());
        match recvmsg(socket.as_raw_fd(), &mut [], control, flags) {
            Ok(message) => {
                // An entry without an error in it was not asked for, and is off the queue now.
                if let Some(error) = parse(&message) {
                    return Ok(Some(error));
                }
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return unqueued_error(socket),
            Err(errno) => return Err(ReceiveError::Os { source: errno.into() }),
        }
    }
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

/// The error that is left when the queue is empty: one that found no room in it. Unless it is taken
/// too, the socket goes on to poll as faulty.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_believed_by_who_says_it() {
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
