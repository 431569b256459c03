//! What the error numbers of a UDP socket mean, in one table.
//!
//! The rows follow `spec/engine.md` 6.3, with two refinements: errors that an ICMP message left behind
//! are told apart from those of the datagram at hand, and an address of the wrong family counts as
//! unreachable through this socket, whatever number the kernel gives it.

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
    /// The datagram may be sent again at once; the error queue says which destination is meant.
    Pending,
    /// None of the above.
    Other,
}

impl SendErrorKind {
    fn of(errno: Errno) -> SendErrorKind {
        match errno {
            Errno::EAGAIN | Errno::ENOBUFS => Self::WouldBlock,
            Errno::EMSGSIZE => Self::TooBig,
            Errno::EPERM => Self::Refused,
            Errno::ENETUNREACH
            | Errno::ENETDOWN
            | Errno::EHOSTUNREACH
            | Errno::EINVAL
            | Errno::EAFNOSUPPORT => Self::Unreachable,
            errno if left_by_icmp(errno) => Self::Pending,
            _ => Self::Other,
        }
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

/// Whether the number is one that the kernel makes of an ICMP or ICMPv6 message. It reports it once,
/// at whatever call comes next, though that one has nothing to do with it.
pub(crate) fn left_by_icmp(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENONET
            | Errno::ENOPROTOOPT
            | Errno::EOPNOTSUPP
            | Errno::EPROTO
            | Errno::EACCES
            | Errno::EMSGSIZE
    )
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

    #[test]
    fn each_number_has_its_kind() {
        use SendErrorKind::{Other, Pending, Refused, TooBig, Unreachable, WouldBlock};
        let table = [
            (libc::EAGAIN, WouldBlock),
            (libc::ENOBUFS, WouldBlock),
            (libc::EMSGSIZE, TooBig),
            (libc::EPERM, Refused),
            (libc::ENETUNREACH, Unreachable),
            (libc::ENETDOWN, Unreachable),
            (libc::EHOSTUNREACH, Unreachable),
            (libc::EINVAL, Unreachable),
            (libc::EAFNOSUPPORT, Unreachable),
            (libc::ECONNREFUSED, Pending),
            (libc::EHOSTDOWN, Pending),
            (libc::EACCES, Pending),
            (libc::EPROTO, Pending),
            (libc::ENOMEM, Other),
            (libc::EBADF, Other),
        ];
        for (number, kind) in table {
            let error = SendError::new(Errno::from_raw(number));
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.errno(), number);
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
