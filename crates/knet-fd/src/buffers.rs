//! Socket buffer sizes, requested and granted.

use std::{
    fmt,
    os::fd::{AsFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        getsockopt, setsockopt,
        sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce},
    },
};

use crate::OsError;

/// Requests receive and send buffers of `wanted` bytes and returns the sizes that the kernel granted.
///
/// Each size is set and read back. If it is smaller, it is set again above the system's limit
/// (`SO_RCVBUFFORCE`, `SO_SNDBUFFORCE`). Without the privilege for that (`CAP_NET_ADMIN`), the buffers
/// stay smaller, which is not an error; see [`BufferReport::is_full`]. The same holds for sizes beyond
/// the kernel's range of 2 GiB. See [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
///
/// # Errors
///
/// - [`BufferError::Resize`] if the kernel refuses for another reason than privilege: `ENOTSOCK` if
///   the descriptor is not a socket, in which case nothing changes.
/// - [`BufferError::Query`] if the size cannot be read back.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let report = knet_fd::set_buffer_sizes(&socket, 64 * 1024)?;
/// assert!(report.is_full());
/// # Ok(())
/// # }
/// ```
pub fn set_buffer_sizes(socket: impl AsFd, wanted: usize) -> Result<BufferReport, BufferError> {
    let socket = socket.as_fd();
    Ok(BufferReport {
        wanted,
        receive: BufferDirection::Receive.resize(socket, wanted)?,
        send: BufferDirection::Send.resize(socket, wanted)?,
    })
}

/// The buffer sizes that the kernel granted a socket.
///
/// They include the kernel's own bookkeeping: Linux doubles the requested size and reports the double.
///
/// # Examples
///
/// ```
/// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// let report = knet_fd::set_buffer_sizes(&socket, 8192)?;
/// assert_eq!(report.wanted, 8192);
/// assert!(report.receive >= 8192 && report.send >= 8192);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BufferReport {
    /// The requested size in bytes.
    pub wanted: usize,
    /// The size of the receive buffer in bytes, as the kernel reports it.
    pub receive: usize,
    /// The size of the send buffer in bytes, as the kernel reports it.
    pub send: usize,
}

impl BufferReport {
    /// Returns `true` if both buffers have the requested size. Otherwise, raise `net.core.rmem_max` and
    /// `net.core.wmem_max`.
    ///
    /// # Examples
    ///
    /// ```
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// assert!(knet_fd::set_buffer_sizes(&socket, 8192)?.is_full());
    /// assert!(!knet_fd::set_buffer_sizes(&socket, usize::MAX)?.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.receive >= self.wanted && self.send >= self.wanted
    }
}

/// One of the two buffers of a socket.
///
/// # Examples
///
/// ```
/// use knet_fd::BufferDirection;
///
/// assert_eq!(BufferDirection::Send.to_string(), "send");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BufferDirection {
    /// Data that has arrived and was not read.
    Receive,
    /// Data that was written and has not left.
    Send,
}

impl BufferDirection {
    /// Requests a size and returns the size that the kernel granted.
    fn resize(self, socket: BorrowedFd<'_>, wanted: usize) -> Result<usize, BufferError> {
        let size = wanted.min(LARGEST);
        self.set(socket, size).map_err(|errno| self.refused(errno))?;
        let granted = self.size(socket)?;
        if granted >= wanted {
            return Ok(granted);
        }
        match self.set_by_force(socket, size) {
            Ok(()) => self.size(socket),
            Err(Errno::EPERM) => Ok(granted),
            Err(errno) => Err(self.refused(errno)),
        }
    }

    fn set(self, socket: BorrowedFd<'_>, size: usize) -> Result<(), Errno> {
        match self {
            BufferDirection::Receive => setsockopt(&socket, RcvBuf, &size),
            BufferDirection::Send => setsockopt(&socket, SndBuf, &size),
        }
    }

    fn set_by_force(self, socket: BorrowedFd<'_>, size: usize) -> Result<(), Errno> {
        match self {
            BufferDirection::Receive => setsockopt(&socket, RcvBufForce, &size),
            BufferDirection::Send => setsockopt(&socket, SndBufForce, &size),
        }
    }

    fn size(self, socket: BorrowedFd<'_>) -> Result<usize, BufferError> {
        match self {
            BufferDirection::Receive => getsockopt(&socket, RcvBuf),
            BufferDirection::Send => getsockopt(&socket, SndBuf),
        }
        .map_err(|errno| BufferError::Query { direction: self, source: OsError::new(errno) })
    }

    fn refused(self, errno: Errno) -> BufferError {
        BufferError::Resize { direction: self, source: OsError::new(errno) }
    }
}

impl fmt::Display for BufferDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BufferDirection::Receive => "receive",
            BufferDirection::Send => "send",
        })
    }
}

/// The error of [`set_buffer_sizes`].
///
/// # Examples
///
/// ```
/// use knet_fd::{BufferDirection, BufferError};
///
/// let file = std::fs::File::open("/dev/null")?;
/// let error = knet_fd::set_buffer_sizes(&file, 8192).unwrap_err();
/// assert!(matches!(error, BufferError::Resize { direction: BufferDirection::Receive, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The kernel refused to resize a buffer: `ENOTSOCK` if the descriptor is not a socket.
    #[error("cannot resize the {direction} buffer, check that it is a socket")]
    Resize {
        /// The buffer.
        direction: BufferDirection,
        /// The error of the kernel.
        source: OsError,
    },
    /// The kernel refused to report the size of a buffer.
    #[error("cannot read the size of the {direction} buffer")]
    Query {
        /// The buffer.
        direction: BufferDirection,
        /// The error of the kernel.
        source: OsError,
    },
}

impl BufferError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            BufferError::Resize { source, .. } | BufferError::Query { source, .. } => {
                source.errno()
            }
        }
    }
}

/// The kernel stores the size as a signed 32-bit number.
const LARGEST: usize = i32::MAX as usize;
