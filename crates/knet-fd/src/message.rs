//! Reading and writing one message at a time.

use std::{
    io::IoSliceMut,
    os::fd::{AsFd, AsRawFd},
};

use nix::{
    errno::Errno,
    sys::socket::{self, MsgFlags},
    unistd,
};

use crate::{OsError, end_of_file::is_end_of_file, retry::retry};

/// What a read gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Received {
    /// A message; from a stream or a device, as many bytes as there were.
    Message {
        /// Bytes at the beginning of the buffer that it fills; 0 for an empty message.
        len: usize,
        /// Whether it was longer than the buffer, in which case the rest of it is lost.
        truncated: bool,
    },
    /// The other end has hung up and everything has been read.
    EndOfFile,
    /// Nothing is there now.
    WouldBlock,
}

/// What a write did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Sent {
    /// Bytes were taken.
    Sent {
        /// How many: of a message all or nothing, of bytes to a stream perhaps only the first of
        /// them.
        len: usize,
    },
    /// There is no room now.
    WouldBlock,
}

/// Receives one message from a socket, or what a stream has. Never waits, even if the socket is
/// blocking ([recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html)).
///
/// Zero bytes are an empty message on a datagram socket and the end of file on a stream. On a
/// `SOCK_SEQPACKET` they are the end of file if the peer has hung up and no byte is left to be
/// read, otherwise an empty message: empty messages that are the very last before a hang-up
/// are taken for part of it, for Linux does not tell them apart.
///
/// # Errors
///
/// - [`ReadError::EmptyBuffer`] if the buffer has no room for anything; nothing is read.
/// - [`ReadError::Os`] if the kernel refuses: `ENOTSOCK` if it is no socket, `ENOTCONN`, or what has
///   happened to the connection, such as `ECONNRESET`.
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

/// Reads from a device, a pipe or a file: what there is, up to the size of the buffer
/// ([read(2)](https://man7.org/linux/man-pages/man2/read.2.html)).
///
/// Waits for something if the descriptor is blocking. `truncated` is never set, for a read does not
/// tell: a device that gives messages, such as a TUN/TAP, needs a buffer that is larger than any of
/// them. For sockets there is [`receive`].
///
/// # Errors
///
/// - [`ReadError::EmptyBuffer`] if the buffer has no room for anything; nothing is read.
/// - [`ReadError::Os`] if the kernel refuses: `EBADF` if the descriptor is not open for reading,
///   `EISDIR` if it is a directory, or whatever the device says.
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
    if buffer.is_empty() {
        return Err(ReadError::EmptyBuffer);
    }
    match retry(|| unistd::read(&fd, buffer)) {
        Ok(0) => Ok(Received::EndOfFile),
        Ok(len) => Ok(Received::Message { len, truncated: false }),
        Err(Errno::EAGAIN) => Ok(Received::WouldBlock),
        Err(errno) => Err(ReadError::Os { source: OsError::new(errno) }),
    }
}

/// Sends one message to the peer of a connected socket, or bytes to a stream. Never waits, even if
/// the socket is blocking, and never raises `SIGPIPE`
/// ([send(2)](https://man7.org/linux/man-pages/man2/send.2.html)).
///
/// A message is taken whole or not at all; a stream may take only the first bytes.
///
/// # Errors
///
/// [`WriteError`] if the kernel refuses: `ENOTSOCK` if it is no socket, `EMSGSIZE` if the message is
/// longer than the send buffer, `EPIPE` if the peer has hung up, `ECONNREFUSED` if that of a datagram
/// socket has.
///
/// # Examples
///
/// See [`receive`].
pub fn send(socket: impl AsFd, message: &[u8]) -> Result<Sent, WriteError> {
    let socket = socket.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sent(retry(|| socket::send(socket, message, flags)))
}

/// Writes to a device, a pipe or a file
/// ([write(2)](https://man7.org/linux/man-pages/man2/write.2.html)).
///
/// Waits for room if the descriptor is blocking. May take only the first bytes; a TUN/TAP takes a
/// message whole. Raises `SIGPIPE` on a pipe that nobody reads (Rust programs ignore that signal
/// unless they ask for it). For sockets there is [`send`].
///
/// # Errors
///
/// [`WriteError`] if the kernel refuses: `EBADF` if the descriptor is not open for writing, `EPIPE` if
/// nobody reads the pipe, or whatever the device says.
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
    sent(retry(|| unistd::write(&fd, bytes)))
}

fn sent(result: Result<usize, Errno>) -> Result<Sent, WriteError> {
    match result {
        Ok(len) => Ok(Sent::Sent { len }),
        Err(Errno::EAGAIN) => Ok(Sent::WouldBlock),
        Err(errno) => Err(WriteError { source: OsError::new(errno) }),
    }
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The buffer has no room for anything.
    #[error("cannot read into a buffer of 0 bytes: pass a larger one")]
    EmptyBuffer,
    /// The kernel refused.
    #[error("cannot read from a descriptor: {source}")]
    Os {
        /// What it said.
        source: OsError,
    },
}

impl ReadError {
    /// Returns the error number of the operating system, and `EINVAL` for an empty buffer.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            ReadError::EmptyBuffer => libc::EINVAL,
            ReadError::Os { source } => source.errno(),
        }
    }
}

/// The kernel refused to write.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot write to a descriptor: {source}")]
#[non_exhaustive]
pub struct WriteError {
    /// What it said.
    pub source: OsError,
}

impl WriteError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}
