//! The classification of error numbers of UDP sockets, in one table.
//!
//! The rows are those of `docs/protocol.md`, "Send errors" and "Kernel errors".

use std::io;

use nix::errno::Errno;

/// The classification of a datagram that the kernel refused.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, SendBatch, SendErrorKind, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// let too_long = Datagram { header: b"", payload: &[0; 70_000], destination, source: None, marking: None };
/// let progress = socket.send(&mut SendBatch::new(1), &[too_long]);
/// assert_eq!(progress.error.map(|error| error.kind()), Some(SendErrorKind::TooBig));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// A buffer is full: `EAGAIN`, `ENOBUFS`. Retry when the socket is writable. After `ENOBUFS`, it may
    /// already be writable, because the queue of the network device is full and not that of the socket.
    /// Retry after a pause in this case.
    WouldBlock,
    /// The datagram is longer than the path MTU: `EMSGSIZE`. The error queue may report the limit.
    TooBig,
    /// A local rule, such as one of a firewall, forbids it: `EPERM`.
    Refused,
    /// There is no route to the destination, or its address family is not that of the socket:
    /// `ENETUNREACH`, `ENETDOWN`, `EHOSTUNREACH`, `EINVAL`, `EAFNOSUPPORT`.
    Unreachable,
    /// The error of an earlier datagram, which an ICMP message reported: `ECONNREFUSED` and others. It was
    /// sent again many times, so either a flood of such messages goes on, or it is the datagram's own after
    /// all, such as the `EACCES` of a route that prohibits it. The error queue reports the destination that a
    /// message is about.
    Pending,
    /// None of the above.
    Other,
}

/// The classification of an entry of the error queue. The example of
/// [`SocketError`](crate::SocketError) compares it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketErrorKind {
    /// The datagram was longer than the path MTU, which is
    /// [`SocketError::mtu`](crate::SocketError::mtu) if it is known.
    TooBig,
    /// The destination has no socket with this port, or there is no route to it.
    Unreachable,
    /// Anything else, which requires no action.
    Other,
}

/// The meaning of one error number, depending on where it occurs.
struct Row {
    errno: Errno,
    /// As the result of a send.
    sending: SendErrorKind,
    /// In the error queue, as the kernel's translation of an ICMP message.
    queued: SocketErrorKind,
    /// Whether an ICMP message may have left it.
    left: Option<LeftByIcmp>,
}

/// An error that the kernel derives from ICMP or ICMPv6 messages. It reports it from the next call on the
/// socket, although that call did not cause it. Anybody can send such a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LeftByIcmp {
    /// No datagram has it as its own.
    Always,
    /// It is a datagram's own if there is no route for it.
    UnlessRoute,
    /// It may be a datagram's own for another reason, and is if it persists.
    Perhaps,
}

const fn row(
    errno: Errno,
    sending: SendErrorKind,
    queued: SocketErrorKind,
    left: Option<LeftByIcmp>,
) -> Row {
    Row { errno, sending, queued, left }
}

/// All classified numbers. Others are [`SendErrorKind::Other`] and [`SocketErrorKind::Other`].
const TABLE: &[Row] = {
    use LeftByIcmp::{Always, Perhaps, UnlessRoute};
    use SendErrorKind as Send;
    use SocketErrorKind as Queued;
    &[
        row(Errno::EAGAIN, Send::WouldBlock, Queued::Other, None),
        row(Errno::ENOBUFS, Send::WouldBlock, Queued::Other, None),
        row(Errno::EMSGSIZE, Send::TooBig, Queued::TooBig, Some(Perhaps)),
        row(Errno::EPERM, Send::Refused, Queued::Other, None),
        row(Errno::EINVAL, Send::Unreachable, Queued::Other, None),
        row(Errno::EAFNOSUPPORT, Send::Unreachable, Queued::Other, None),
        row(Errno::ENETDOWN, Send::Unreachable, Queued::Unreachable, None),
        row(Errno::ENETUNREACH, Send::Unreachable, Queued::Unreachable, Some(UnlessRoute)),
        row(Errno::EHOSTUNREACH, Send::Unreachable, Queued::Unreachable, Some(UnlessRoute)),
        row(Errno::EHOSTDOWN, Send::Pending, Queued::Unreachable, Some(Always)),
        row(Errno::ECONNREFUSED, Send::Pending, Queued::Unreachable, Some(Always)),
        row(Errno::ENONET, Send::Pending, Queued::Unreachable, Some(Always)),
        row(Errno::ECONNABORTED, Send::Other, Queued::Unreachable, None),
        row(Errno::ENOPROTOOPT, Send::Pending, Queued::Other, Some(Always)),
        row(Errno::EOPNOTSUPP, Send::Pending, Queued::Other, Some(Perhaps)),
        row(Errno::EPROTO, Send::Pending, Queued::Other, Some(Always)),
        row(Errno::EACCES, Send::Pending, Queued::Other, Some(UnlessRoute)),
    ]
};

fn look_up(errno: Errno) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.errno == errno)
}

/// Returns [`Row::left`].
pub(crate) fn left_by_icmp(errno: Errno) -> Option<LeftByIcmp> {
    look_up(errno).and_then(|row| row.left)
}

/// Returns `true` if the error may be about the address to send from: the machine does not have it any longer,
/// or has no route from it.
pub(crate) fn may_concern_source(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINVAL
            | Errno::EADDRNOTAVAIL
            | Errno::ENETUNREACH
            | Errno::EHOSTUNREACH
            | Errno::ENETDOWN
            | Errno::ENODEV
    )
}

impl SendErrorKind {
    fn of(errno: Errno) -> SendErrorKind {
        look_up(errno).map_or(Self::Other, |row| row.sending)
    }

    fn advice(self) -> &'static str {
        match self {
            Self::WouldBlock => "no room for the datagram now, retry when there is",
            Self::TooBig => "the datagram is longer than the path MTU, send shorter ones",
            Self::Refused => "a local rule forbids the datagram, check the firewall",
            Self::Unreachable => "there is no route to the destination of the datagram",
            Self::Pending => "an earlier datagram caused an ICMP error, send this one again later",
            Self::Other => "the datagram was refused",
        }
    }
}

impl SocketErrorKind {
    pub(crate) fn of(errno: i32) -> SocketErrorKind {
        look_up(Errno::from_raw(errno)).map_or(Self::Other, |row| row.queued)
    }
}

/// The reason why the kernel refused a datagram.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, SendBatch, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let port_zero = (Ipv4Addr::LOCALHOST, 0).into();
/// let datagram = Datagram { header: b"", payload: b"x", destination: port_zero, source: None, marking: None };
/// let error = socket.send(&mut SendBatch::new(1), &[datagram]).error.ok_or("sent")?;
/// assert_eq!(error.errno(), libc::EINVAL);
/// assert!(error.to_string().starts_with("there is no route to the destination"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {errno}", self.kind().advice())]
pub struct SendError {
    errno: Errno,
}

impl SendError {
    pub(crate) fn new(errno: Errno) -> SendError {
        SendError { errno }
    }

    /// Creates the error for an error number of the operating system, for tests of code that handles it.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_transport::{SendError, SendErrorKind};
    ///
    /// assert_eq!(SendError::from_errno(libc::ENOBUFS).kind(), SendErrorKind::WouldBlock);
    /// ```
    #[must_use]
    pub fn from_errno(errno: i32) -> SendError {
        SendError::new(Errno::from_raw(errno))
    }

    /// Returns the classification of the error.
    #[must_use]
    pub fn kind(&self) -> SendErrorKind {
        SendErrorKind::of(self.errno)
    }

    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.errno as i32
    }
}

/// The error of receiving.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{
///     Datagram, ReceiveBatch, ReceiveError, SendBatch, SocketOptions, UdpSocket,
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
/// let mut batch = ReceiveBatch::new(64, 1500);
/// let error = socket.receive(&mut batch).unwrap_err();
/// assert!(matches!(error, ReceiveError::Pending { .. }));
/// assert_eq!(error.errno(), libc::ECONNREFUSED);
/// assert_eq!(socket.receive(&mut batch)?, 0, "the error is reported once");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// An ICMP message reported the error of a datagram that was sent earlier. No datagram is lost: read
    /// the error queue with [`UdpSocket::receive_error`](crate::UdpSocket::receive_error) and receive
    /// again.
    #[error("an earlier datagram caused an ICMP error, receive again")]
    Pending {
        /// The error that the kernel derived from the message.
        source: io::Error,
    },

    /// The kernel refused for another reason, such as `ENOMEM`.
    #[error("cannot receive from the UDP socket")]
    Os {
        /// The error of the kernel.
        source: io::Error,
    },
}

impl ReceiveError {
    pub(crate) fn new(errno: Errno) -> ReceiveError {
        if left_by_icmp(errno).is_some() {
            Self::Pending { source: errno.into() }
        } else {
            Self::Os { source: errno.into() }
        }
    }

    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        let (Self::Pending { source } | Self::Os { source }) = self;
        source.raw_os_error().unwrap_or(libc::EIO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of `docs/protocol.md`, "Send errors" and "Kernel errors", a second time.
    #[test]
    fn error_numbers_are_classified_as_documented() {
        use SendErrorKind::{Other, Pending, Refused, TooBig, Unreachable, WouldBlock};
        use SocketErrorKind as Queued;
        let expected = [
            (libc::EAGAIN, WouldBlock, Queued::Other),
            (libc::ENOBUFS, WouldBlock, Queued::Other),
            (libc::EMSGSIZE, TooBig, Queued::TooBig),
            (libc::EPERM, Refused, Queued::Other),
            (libc::ENETUNREACH, Unreachable, Queued::Unreachable),
            (libc::ENETDOWN, Unreachable, Queued::Unreachable),
            (libc::EHOSTUNREACH, Unreachable, Queued::Unreachable),
            (libc::EINVAL, Unreachable, Queued::Other),
            (libc::EAFNOSUPPORT, Unreachable, Queued::Other),
            (libc::ECONNREFUSED, Pending, Queued::Unreachable),
            (libc::EHOSTDOWN, Pending, Queued::Unreachable),
            (libc::ENONET, Pending, Queued::Unreachable),
            (libc::ECONNABORTED, Other, Queued::Unreachable),
            (libc::EACCES, Pending, Queued::Other),
            (libc::EPROTO, Pending, Queued::Other),
            (libc::ENOPROTOOPT, Pending, Queued::Other),
            (libc::EOPNOTSUPP, Pending, Queued::Other),
            (libc::ENOMEM, Other, Queued::Other),
            (libc::EBADF, Other, Queued::Other),
        ];
        for (number, sending, queued) in expected {
            let error = SendError::new(Errno::from_raw(number));
            assert_eq!(error.kind(), sending, "{error}");
            assert_eq!(error.errno(), number);
            assert_eq!(SocketErrorKind::of(number), queued, "{error}");
        }
        for row in TABLE {
            let number = row.errno as i32;
            assert!(expected.iter().any(|&(errno, ..)| errno == number), "{}", row.errno);
            let rows = TABLE.iter().filter(|other| other.errno == row.errno).count();
            assert_eq!(rows, 1, "{}", row.errno);
        }
    }

    /// Other attempts cost a call each, so only numbers that may belong to another datagram get them.
    #[test]
    fn only_errors_left_by_icmp_messages_get_other_attempts() {
        for row in TABLE {
            let own = matches!(row.sending, SendErrorKind::WouldBlock | SendErrorKind::Refused);
            assert!(!own || row.left.is_none(), "{}", row.errno);
            assert!(row.left.is_some() || row.sending != SendErrorKind::Pending, "{}", row.errno);
        }
        for errno in [Errno::ENETDOWN, Errno::EPERM, Errno::EINVAL, Errno::EAGAIN, Errno::ENOMEM] {
            assert_eq!(left_by_icmp(errno), None, "{errno}");
        }
    }

    #[test]
    fn receiving_distinguishes_pending_errors_from_its_own() {
        let pending = ReceiveError::new(Errno::EHOSTUNREACH);
        assert!(matches!(pending, ReceiveError::Pending { .. }));
        assert_eq!(pending.errno(), libc::EHOSTUNREACH);
        let own = ReceiveError::new(Errno::ENOMEM);
        assert!(matches!(own, ReceiveError::Os { .. }));
        assert_eq!(own.errno(), libc::ENOMEM);
    }

    #[test]
    fn messages_include_advice() {
        let text = SendError::new(Errno::EMSGSIZE).to_string();
        assert!(text.starts_with("the datagram is longer than the path MTU, send shorter ones: "));
    }
}
