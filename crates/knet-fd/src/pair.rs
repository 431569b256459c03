//! Pairs of connected local sockets.

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::{BufferError, BufferReport, OsError, SocketType, set_buffer_sizes};

/// How the ends of a pair talk.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PairType {
    /// A stream of bytes without boundaries, with an end of file.
    Stream,
    /// Messages, without an end of file: an end never learns that the other was closed, but for
    /// failing writes.
    Datagram,
    /// Messages, with an end of file.
    SeqPacket,
}

impl From<PairType> for SocketType {
    fn from(kind: PairType) -> SocketType {
        match kind {
            PairType::Stream => SocketType::Stream,
            PairType::Datagram => SocketType::Datagram,
            PairType::SeqPacket => SocketType::SeqPacket,
        }
    }
}

/// Two connected `AF_UNIX` sockets: what goes into one comes out of the other.
///
/// Both are non-blocking and close-on-exec from the start, so that no program that another thread
/// executes meanwhile inherits them. See
/// [socketpair(2)](https://man7.org/linux/man-pages/man2/socketpair.2.html).
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, Received, Sent, SocketPair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = SocketPair::new(PairType::SeqPacket, 8 * 1024 * 1024)?;
/// if !pair.buffers.is_full() {
///     eprintln!("only {} bytes of send buffer", pair.buffers.send);
/// }
/// assert_eq!(knet_fd::send(&pair.left, b"hello")?, Sent::Sent { len: 5 });
/// let mut buffer = [0; 16];
/// assert_eq!(
///     knet_fd::receive(&pair.right, &mut buffer)?,
///     Received::Message { len: 5, truncated: false },
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SocketPair {
    /// One end.
    pub left: OwnedFd,
    /// The other end.
    pub right: OwnedFd,
    /// The buffers that both ends got; where they differ, the smaller.
    pub buffers: BufferReport,
}

impl SocketPair {
    /// Makes a pair and asks for receive and send buffers of `buffer_size` bytes at both ends, as
    /// [`set_buffer_sizes`] does. libknet asks for 8 MiB (`spec/engine.md` sections 4.1 and 4.4).
    ///
    /// How long a message may be is up to the send buffer: a longer one is refused with
    /// `EMSGSIZE`.
    ///
    /// # Errors
    ///
    /// Nothing stays open:
    ///
    /// - [`PairError::Create`], with `EMFILE` or `ENFILE` at a limit of open files.
    /// - [`PairError::Buffers`] if the buffers cannot be resized. Getting less than was asked for is
    ///   no error.
    pub fn new(kind: PairType, buffer_size: usize) -> Result<SocketPair, PairError> {
        let socket_type = match kind {
            PairType::Stream => SockType::Stream,
            PairType::Datagram => SockType::Datagram,
            PairType::SeqPacket => SockType::SeqPacket,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let (left, right) = socketpair(AddressFamily::Unix, socket_type, None, flags)
            .map_err(|errno| PairError::Create { source: OsError::new(errno) })?;
        let of_left = set_buffer_sizes(&left, buffer_size)?;
        let of_right = set_buffer_sizes(&right, buffer_size)?;
        let buffers = BufferReport {
            wanted: buffer_size,
            receive: of_left.receive.min(of_right.receive),
            send: of_left.send.min(of_right.send),
        };
        Ok(SocketPair { left, right, buffers })
    }
}

/// Why no pair was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// The kernel made none.
    #[error(
        "cannot create a socket pair, raise the limit of open files if it is reached: {source}"
    )]
    Create {
        /// What the kernel said.
        source: OsError,
    },
    /// The buffers could not be resized.
    #[error(transparent)]
    Buffers(#[from] BufferError),
}

impl PairError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            PairError::Create { source } => source.errno(),
            PairError::Buffers(error) => error.errno(),
        }
    }
}
