//! Reads and writes of single messages.

use std::{
    io::IoSliceMut,
    os::fd::{AsFd, AsRawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{self, MsgFlags},
};

use crate::{OsError, end_of_file::is_end_of_file, no_wait, retry::retry};

/// The result of a read.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, Received, SocketPair};
///
/// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
/// let mut buffer = [0; 8];
/// assert_eq!(knet_fd::receive(&pair.right, &mut buffer)?, Received::WouldBlock);
/// let _ = knet_fd::send(&pair.left, b"")?;
/// let empty = Received::Message { len: 0, truncated: false };
/// assert_eq!(knet_fd::receive(&pair.right, &mut buffer)?, empty);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Received {
    /// A message, or the available bytes of a stream or device.
    Message {
        /// The number of bytes at the start of the buffer. 0 for an empty message.
        len: usize,
        /// Whether the message was longer than the buffer. Its rest is lost.
        truncated: bool,
    },
    /// The peer has hung up and everything has been read.
    EndOfFile,
    /// Nothing is available now.
    WouldBlock,
}

/// The result of a write.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, Sent, SocketPair};
///
/// let pair = SocketPair::new(PairType::SeqPacket, 1 << 12)?;
/// let mut sent = 0;
/// while knet_fd::send(&pair.left, &[0; 256])? != Sent::WouldBlock {
///     sent += 1;
/// }
/// assert!(sent > 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Sent {
    /// Bytes were accepted.
    Sent {
        /// The number of bytes: those of the whole message, or at least the first of a stream.
        len: usize,
    },
    /// The socket buffer or the device is full.
    WouldBlock,
}

/// Receives one message from a socket, or the available bytes of a stream.
///
/// Never blocks, even if the socket is blocking
/// ([recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html)).
///
/// Zero bytes are an empty message on a datagram socket and the end of file on a stream. On a
/// `SOCK_SEQPACKET`, they are the end of file if the peer has hung up and no byte is queued, and an empty
/// message otherwise. Empty messages right before a hang-up count as part of it, because Linux does not
/// distinguish them.
///
/// # Errors
///
/// - [`ReadError::EmptyBuffer`] if the buffer has no bytes. Nothing is read.
/// - [`ReadError::Os`] if the kernel refuses: `ENOTSOCK` if the descriptor is not a socket, `ENOTCONN`, or
///   an error of the connection, such as `ECONNRESET`.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, Received, SocketPair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let SocketPair { left, right, .. } = SocketPair::new(PairType::SeqPacket, 1 << 16)?;
/// let mut buffer = [0; 4];
/// assert_eq!(knet_fd::receive(&right, &mut buffer)?, Received::WouldBlock);
///
/// let _ = knet_fd::send(&left, b"too long")?;
/// assert_eq!(
///     knet_fd::receive(&right, &mut buffer)?,
///     Received::Message { len: 4, truncated: true },
/// );
///
/// drop(left);
/// assert_eq!(knet_fd::receive(&right, &mut buffer)?, Received::EndOfFile);
/// # Ok(())
/// # }
/// ```
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received, ReadError> {
    if buffer.is_empty() {
        return Err(ReadError::EmptyBuffer);
    }
    let socket = socket.as_fd();
    let result = retry(|| {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        socket::recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, flags)
            .map(|message| (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC)))
    });
    match result {
        Ok((0, false)) if is_end_of_file(socket) => Ok(Received::EndOfFile),
        Ok((len, truncated)) => Ok(Received::Message { len, truncated }),
        Err(Errno::EAGAIN) => Ok(Received::WouldBlock),
        Err(errno) => Err(ReadError::Os { source: OsError::new(errno) }),
    }
}

/// Reads the available bytes of a device or a pipe, up to the size of the buffer
/// ([read(2)](https://man7.org/linux/man-pages/man2/read.2.html)).
///
/// Never blocks, even if the descriptor is blocking. The kernel has no such read for terminals and some other
/// devices: these are made non-blocking first. Bytes of a regular file that are not in memory count as not
/// available. `truncated` is always `false`, because a read does not report
/// truncation: a device with messages, such as a TUN/TAP, needs a buffer larger than any of them. Use
/// [`receive`] for sockets.
///
/// # Errors
///
/// - [`ReadError::EmptyBuffer`] if the buffer has no bytes. Nothing is read.
/// - [`ReadError::Os`] if the kernel refuses: `EBADF` if the descriptor is not open for reading,
///   `EISDIR` if it is a directory, or an error of the device.
///
/// # Examples
///
/// ```
/// use knet_fd::Received;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut buffer = [1; 8];
/// let zeros = std::fs::File::open("/dev/zero")?;
/// let all = Received::Message { len: 8, truncated: false };
/// assert_eq!(knet_fd::read(&zeros, &mut buffer)?, all);
/// assert_eq!(buffer, [0; 8]);
/// # Ok(())
/// # }
/// ```
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> Result<Received, ReadError> {
    FileCalls::new().read(fd, buffer)
}

/// Sends one message to the peer of a connected socket, or bytes to a stream.
///
/// Never blocks, even if the socket is blocking, and never raises `SIGPIPE`
/// ([send(2)](https://man7.org/linux/man-pages/man2/send.2.html)). A message is sent whole or not at all. A
/// stream may accept only the first bytes.
///
/// # Errors
///
/// [`WriteError`] if the kernel refuses: `ENOTSOCK` if the descriptor is not a socket, `EMSGSIZE` if the
/// message is longer than the send buffer, `EPIPE` if the peer has hung up, `ECONNREFUSED` if the peer of
/// a datagram socket has.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, Received, Sent, SocketPair};
///
/// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
/// assert_eq!(knet_fd::send(&pair.left, b"hello")?, Sent::Sent { len: 5 });
/// let mut buffer = [0; 16];
/// let received = knet_fd::receive(&pair.right, &mut buffer)?;
/// assert_eq!(received, Received::Message { len: 5, truncated: false });
/// assert_eq!(&buffer[..5], b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn send(socket: impl AsFd, message: &[u8]) -> Result<Sent, WriteError> {
    let socket = socket.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sent(retry(|| socket::send(socket, message, flags)))
}

/// Writes to a device or a pipe
/// ([write(2)](https://man7.org/linux/man-pages/man2/write.2.html)).
///
/// Never blocks, even if the descriptor is blocking. The kernel has no such write for terminals and some other
/// devices: these are made non-blocking first. The file may accept only the first bytes; a TUN/TAP accepts whole
/// messages. Raises `SIGPIPE` on a pipe without a reader, a signal that Rust programs ignore by default.
/// Use [`send`] for sockets.
///
/// # Errors
///
/// [`WriteError`] if the kernel refuses: `EBADF` if the descriptor is not open for writing, `EPIPE` if
/// the pipe has no reader, or an error of the device.
///
/// # Examples
///
/// ```
/// use knet_fd::Sent;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let null = std::fs::File::options().write(true).open("/dev/null")?;
/// assert_eq!(knet_fd::write(&null, b"gone")?, Sent::Sent { len: 4 });
/// # Ok(())
/// # }
/// ```
pub fn write(fd: impl AsFd, bytes: &[u8]) -> Result<Sent, WriteError> {
    FileCalls::new().write(fd, bytes)
}

/// Reads and writes one file, and remembers which calls it has: [`read()`] and [`write()`] ask a terminal each
/// time for calls that do not wait, with one system call more.
///
/// # Examples
///
/// ```
/// use knet_fd::{FileCalls, Received};
///
/// let (zeros, calls) = (std::fs::File::open("/dev/zero")?, FileCalls::new());
/// let all = Received::Message { len: 8, truncated: false };
/// for _ in 0..3 {
///     assert_eq!(calls.read(&zeros, &mut [1; 8])?, all);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct FileCalls {
    missing: no_wait::Missing,
}

impl FileCalls {
    /// Creates the memory of a file of which nothing is known.
    #[must_use]
    pub fn new() -> FileCalls {
        FileCalls::default()
    }

    /// Reads the available bytes of the file, like [`read()`].
    ///
    /// # Errors
    ///
    /// Those of [`read()`].
    pub fn read(&self, fd: impl AsFd, buffer: &mut [u8]) -> Result<Received, ReadError> {
        if buffer.is_empty() {
            return Err(ReadError::EmptyBuffer);
        }
        match no_wait::read(&self.missing, fd.as_fd(), buffer) {
            Ok(0) => Ok(Received::EndOfFile),
            Ok(len) => Ok(Received::Message { len, truncated: false }),
            Err(Errno::EAGAIN) => Ok(Received::WouldBlock),
            Err(errno) => Err(ReadError::Os { source: OsError::new(errno) }),
        }
    }

    /// Writes to the file, like [`write()`].
    ///
    /// # Errors
    ///
    /// Those of [`write()`].
    pub fn write(&self, fd: impl AsFd, bytes: &[u8]) -> Result<Sent, WriteError> {
        sent(no_wait::write(&self.missing, fd.as_fd(), bytes))
    }
}

fn sent(result: Result<usize, Errno>) -> Result<Sent, WriteError> {
    match result {
        Ok(len) => Ok(Sent::Sent { len }),
        Err(Errno::EAGAIN) => Ok(Sent::WouldBlock),
        Err(errno) => Err(WriteError { source: OsError::new(errno) }),
    }
}

/// The error of a read.
///
/// # Examples
///
/// ```
/// use knet_fd::ReadError;
///
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// assert_eq!(knet_fd::receive(&socket, &mut []), Err(ReadError::EmptyBuffer));
/// assert_eq!(ReadError::EmptyBuffer.errno(), 22);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The buffer has no bytes.
    #[error("cannot read into a buffer of 0 bytes, pass a larger one")]
    EmptyBuffer,
    /// The kernel refused.
    #[error("cannot read from a descriptor")]
    Os {
        /// The error of the kernel.
        source: OsError,
    },
}

impl ReadError {
    /// Returns the error number of the operating system, or `EINVAL` for an empty buffer.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            ReadError::EmptyBuffer => libc::EINVAL,
            ReadError::Os { source } => source.errno(),
        }
    }
}

/// The error of a write.
///
/// # Examples
///
/// ```
/// let file = std::fs::File::open("/dev/null")?;
/// let error = knet_fd::write(&file, b"x").unwrap_err();
/// assert_eq!(error.errno(), libc::EBADF);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot write to a descriptor")]
#[non_exhaustive]
pub struct WriteError {
    /// The error of the kernel.
    pub source: OsError,
}

impl WriteError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}
