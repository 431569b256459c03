//! Pairs of connected local sockets.

use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::{BufferError, BufferReport, OsError, SocketType, set_buffer_sizes};

/// The communication type of a pair.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, SocketType};
///
/// assert_eq!(SocketType::from(PairType::SeqPacket), SocketType::SeqPacket);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PairType {
    /// A stream of bytes without boundaries, with an end of file.
    Stream,
    /// Messages without an end of file. Only a failing write shows that the peer is closed.
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

/// Two connected `AF_UNIX` sockets.
///
/// Both are non-blocking, and close-on-exec from the start, so that no program that another thread
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
    /// The buffer sizes that the kernel granted, the smaller one where the two ends differ.
    pub buffers: BufferReport,
}

impl SocketPair {
    /// Creates a pair and requests receive and send buffers of `buffer_size` bytes at both ends, as
    /// [`set_buffer_sizes`] does. libknet requests 8 MiB.
    ///
    /// The send buffer limits the length of a message. A longer one fails with `EMSGSIZE`.
    ///
    /// # Errors
    ///
    /// Nothing stays open after an error.
    ///
    /// - [`PairError::Create`], with `EMFILE` or `ENFILE` at a limit of open files.
    /// - [`PairError::Buffers`] if the buffers cannot be resized. Smaller buffers than requested are not
    ///   an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Stream, 1 << 16)?;
    /// assert!(knet_fd::is_nonblocking(&pair.left)? && knet_fd::is_cloexec(&pair.right)?);
    /// assert!(pair.buffers.send > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

/// The error of [`SocketPair::new`].
///
/// # Examples
///
/// ```
/// use knet_fd::{PairError, PairType, SocketPair};
///
/// match SocketPair::new(PairType::SeqPacket, 4096) {
///     Ok(pair) => assert_eq!(pair.buffers.wanted, 4096),
///     Err(error @ PairError::Create { .. }) => panic!("too many open files? {error}"),
///     Err(error) => panic!("errno {}: {error}", error.errno()),
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// The kernel refused to create a pair.
    #[error("cannot create a socket pair, raise the limit of open files if it is reached")]
    Create {
        /// The error of the kernel.
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
