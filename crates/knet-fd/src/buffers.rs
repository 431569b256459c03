//! Socket buffer sizes, and what was got of what was wanted.

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

/// Asks for receive and send buffers of `wanted` bytes and reports what the kernel gave.
///
/// For each: set it, read it back, and if that is less, try again above the system's limit
/// (`SO_RCVBUFFORCE`, `SO_SNDBUFFORCE`; `spec/engine.md` section 4.1). Without the privilege for
/// that (`CAP_NET_ADMIN`) the buffers are smaller, which is not an error: look at
/// [`BufferReport::is_full`]. More than the kernel can be asked for (2 GiB) ends in a smaller report
/// too. See [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
///
/// # Errors
///
/// - [`BufferError::Resize`] if the kernel refuses for another reason than privilege: `ENOTSOCK` if
///   it is no socket, and nothing is changed.
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

/// The buffers that a socket got.
///
/// The kernel counts its own bookkeeping in: Linux doubles what is asked for, and reports the
/// double.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BufferReport {
    /// Bytes that were asked for.
    pub wanted: usize,
    /// Bytes of the receive buffer, as the kernel reports them.
    pub receive: usize,
    /// Bytes of the send buffer, as the kernel reports them.
    pub send: usize,
}

impl BufferReport {
    /// Returns whether both buffers have what was wanted. If not, raise `net.core.rmem_max` and
    /// `net.core.wmem_max`.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.receive >= self.wanted && self.send >= self.wanted
    }
}

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BufferDirection {
    /// What has arrived and was not read.
    Receive,
    /// What was written and has not left.
    Send,
}

impl BufferDirection {
    /// Returns the bytes that the buffer has in the end.
    fn resize(self, socket: BorrowedFd<'_>, wanted: usize) -> Result<usize, BufferError> {
        let asked = wanted.min(LARGEST);
        self.set(socket, asked).map_err(|errno| self.refused(errno))?;
        let size = self.size(socket)?;
        if size >= wanted {
            return Ok(size);
        }
        match self.set_by_force(socket, asked) {
            Ok(()) => self.size(socket),
            Err(Errno::EPERM) => Ok(size),
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

/// Why buffers were not resized.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The kernel refused to resize: `ENOTSOCK` if it is no socket.
    #[error("cannot resize the {direction} buffer, is it a socket? {source}")]
    Resize {
        /// Which buffer.
        direction: BufferDirection,
        /// What the kernel said.
        source: OsError,
    },
    /// The kernel did not tell the size that the buffer has.
    #[error("cannot read the size of the {direction} buffer: {source}")]
    Query {
        /// Which buffer.
        direction: BufferDirection,
        /// What the kernel said.
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

/// The kernel takes the size as a signed 32-bit number.
const LARGEST: usize = i32::MAX as usize;
