//! What the error numbers of a UDP socket mean, in one table.
//!
//! The rows follow `spec/engine.md` 6.3 and 14.2, with two refinements: errors that an ICMP message
//! left behind are told apart from those of the datagram at hand, and an address of the wrong family
//! counts as unreachable through this socket, whatever number the kernel gives it.

use std::io;

use nix::errno::Errno;

/// What to do about a datagram that the kernel refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// No room for now: `EAGAIN`, `ENOBUFS`. Try again when the socket is writable. After `ENOBUFS`
    /// the socket may be writable all the time, because the queue of the network device is full and
    /// not that of the socket; then wait a moment instead.
    WouldBlock,
    /// Longer than the path takes without fragmenting: `EMSGSIZE`. The error queue may say how long it
    /// may be.
    TooBig,
    /// A local rule forbids it, such as a firewall's: `EPERM`.
    Refused,
    /// There is no way to the destination: `ENETUNREACH`, `ENETDOWN`, `EHOSTUNREACH`, `EINVAL`,
    /// `EAFNOSUPPORT`.
    Unreachable,
    /// The error of an earlier datagram, left behind by an ICMP message: `ECONNREFUSED` and others.
    /// The datagram may be sent again at once; the error queue says which destination is meant. A
    /// number that comes again and again is the datagram's own after all, such as the `EACCES` of a
    /// route that prohibits it.
    Pending,
    /// None of the above.
    Other,
}

/// What follows from an entry of the error queue.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketErrorKind {
    /// The datagram was longer than the path takes. [`SocketError::mtu`](crate::SocketError::mtu) says
    /// how long it may be, if that is known.
    TooBig,
    /// Nobody is there, or there is no way: no use to go on sending to that destination.
    Unreachable,
    /// Nothing that could be acted on.
    Other,
}

/// What one error number means, depending on where it turns up.
struct Row {
    errno: Errno,
    /// As the answer to a send.
    sending: SendErrorKind,
    /// In the error queue, as the kernel's translation of an ICMP message.
    queued: SocketErrorKind,
    /// Whether the kernel makes it of ICMP or ICMPv6 messages and reports it once, at whatever call
    /// comes next, though that one has nothing to do with it.
    left_by_icmp: bool,
}

const fn row(errno: Errno, sending: SendErrorKind, queued: SocketErrorKind, left: bool) -> Row {
    Row { errno, sending, queued, left_by_icmp: left }
}

/// The table. Numbers that are not in it are [`SendErrorKind::Other`] and [`SocketErrorKind::Other`].
const TABLE: &[Row] = {
    use SendErrorKind as Send;
    use SocketErrorKind as Queued;
    &[
        row(Errno::EAGAIN, Send::WouldBlock, Queued::Other, false),
        row(Errno::ENOBUFS, Send::WouldBlock, Queued::Other, false),
        row(Errno::EMSGSIZE, Send::TooBig, Queued::TooBig, true),
        row(Errno::EPERM, Send::Refused, Queued::Other, false),
        row(Errno::EINVAL, Send::Unreachable, Queued::Other, false),
        row(Errno::EAFNOSUPPORT, Send::Unreachable, Queued::Other, false),
        row(Errno::ENETDOWN, Send::Unreachable, Queued::Unreachable, false),
        row(Errno::ENETUNREACH, Send::Unreachable, Queued::Unreachable, true),
        row(Errno::EHOSTUNREACH, Send::Unreachable, Queued::Unreachable, true),
        row(Errno::EHOSTDOWN, Send::Pending, Queued::Unreachable, true),
        row(Errno::ECONNREFUSED, Send::Pending, Queued::Unreachable, true),
        row(Errno::ENONET, Send::Pending, Queued::Unreachable, true),
        row(Errno::ECONNABORTED, Send::Other, Queued::Unreachable, false),
        row(Errno::ENOPROTOOPT, Send::Pending, Queued::Other, true),
        row(Errno::EOPNOTSUPP, Send::Pending, Queued::Other, true),
        row(Errno::EPROTO, Send::Pending, Queued::Other, true),
        row(Errno::EACCES, Send::Pending, Queued::Other, true),
    ]
};

fn look_up(errno: Errno) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.errno == errno)
}

/// See [`Row::left_by_icmp`].
pub(crate) fn left_by_icmp(errno: Errno) -> bool {
    look_up(errno).is_some_and(|row| row.left_by_icmp)
}

impl SendErrorKind {
    fn of(errno: Errno) -> SendErrorKind {
        look_up(errno).map_or(Self::Other, |row| row.sending)
    }

    fn advice(self) -> &'static str {
        match self {
            Self::WouldBlock => "no room for the datagram now, send it when there is",
            Self::TooBig => "the datagram is too big for its path, send smaller ones",
            Self::Refused => "a local rule forbids the datagram, check the firewall",
            Self::Unreachable => "there is no way to the destination of the datagram",
            Self::Pending => "an earlier datagram was answered by an error, send this one again",
            Self::Other => "the datagram was refused",
        }
    }
}

impl SocketErrorKind {
    pub(crate) fn of(errno: i32) -> SocketErrorKind {
        look_up(Errno::from_raw(errno)).map_or(Self::Other, |row| row.queued)
    }
}

/// Why the kernel did not take a datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {errno}", self.kind().advice())]
pub struct SendError {
    errno: Errno,
}

impl SendError {
    pub(crate) fn new(errno: Errno) -> SendError {
        SendError { errno }
    }

    /// Returns what to do about it.
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

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// A datagram sent earlier was answered by an ICMP message. No datagram is lost: read the error
    /// queue with [`UdpSocket::receive_error`](crate::UdpSocket::receive_error) for what happened, and
    /// receive again.
    #[error("a datagram sent earlier was answered by an error, receive again: {source}")]
    Pending {
        /// What the kernel made of the message.
        source: io::Error,
    },

    /// The kernel refused for another reason, such as `ENOMEM`.
    #[error("cannot receive from the UDP socket: {source}")]
    Os {
        /// What the kernel said.
        source: io::Error,
    },
}

impl ReceiveError {
    pub(crate) fn new(errno: Errno) -> ReceiveError {
        if left_by_icmp(errno) {
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

    /// The table of `spec/engine.md` 6.3 and 14.2, written down a second time.
    #[test]
    fn each_number_means_what_the_specification_says() {
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

    /// A second try costs a call, so it is for numbers only that may be another datagram's.
    #[test]
    fn what_icmp_messages_leave_behind_is_tried_again_and_nothing_else() {
        for row in TABLE {
            let own = matches!(row.sending, SendErrorKind::WouldBlock | SendErrorKind::Refused);
            assert!(!(own && row.left_by_icmp), "{}", row.errno);
            assert!(row.left_by_icmp || row.sending != SendErrorKind::Pending, "{}", row.errno);
        }
        for errno in [Errno::ENETDOWN, Errno::EPERM, Errno::EINVAL, Errno::EAGAIN, Errno::ENOMEM] {
            assert!(!left_by_icmp(errno), "{errno}");
        }
    }

    #[test]
    fn receiving_tells_left_behind_errors_from_its_own() {
        let pending = ReceiveError::new(Errno::EHOSTUNREACH);
        assert!(matches!(pending, ReceiveError::Pending { .. }));
        assert_eq!(pending.errno(), libc::EHOSTUNREACH);
        let own = ReceiveError::new(Errno::ENOMEM);
        assert!(matches!(own, ReceiveError::Os { .. }));
        assert_eq!(own.errno(), libc::ENOMEM);
    }

    #[test]
    fn messages_say_what_to_do() {
        let text = SendError::new(Errno::EMSGSIZE).to_string();
        assert!(text.starts_with("the datagram is too big for its path, send smaller ones: "));
    }
}
