//! Sending many messages per system call.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::{
    OsError,
    mmsg::{self, AT_ONCE, Taken},
    retry::retry,
};

/// Sends messages to a connected message socket, many per system call.
///
/// Owns no memory: the headers that the kernel needs are on the stack of each call.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, SendBatch, SocketPair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = SocketPair::new(PairType::SeqPacket, 1 << 16)?;
/// let messages: [&[u8]; 2] = [b"hello", b"world"];
/// let sent = SendBatch::new(64).send(&pair.left, messages)?;
/// assert_eq!(sent, messages.len(), "the buffer has room for both");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SendBatch {
    /// From 1 to [`AT_ONCE`].
    at_once: usize,
}

impl SendBatch {
    /// The largest number of messages per system call.
    pub const MAX_MESSAGES: usize = AT_ONCE;

    /// Creates a batch that sends up to `messages` messages per system call, limited to 1 to
    /// [`MAX_MESSAGES`](Self::MAX_MESSAGES).
    #[must_use]
    pub fn new(messages: usize) -> SendBatch {
        SendBatch { at_once: messages.clamp(1, Self::MAX_MESSAGES) }
    }

    /// Sends messages in order until all are sent or one is not, and returns the number of messages sent.
    ///
    /// A smaller number than there are messages means that there is no room for the next one now. The
    /// number of messages is not limited: the batch uses as many system calls as needed. Never blocks,
    /// even if the socket is blocking, never raises `SIGPIPE`, and allocates nothing.
    ///
    /// # Errors
    ///
    /// [`SendBatchError`] reports how many messages were sent and why the next one was not.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, SendBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::SeqPacket, 1 << 16)?;
    /// let batch = SendBatch::new(64);
    /// assert_eq!(batch.send(&pair.left, [&b"one"[..], b"two"])?, 2);
    ///
    /// let too_long = vec![0; 1 << 20];
    /// let error = batch.send(&pair.left, [b"three", too_long.as_slice()]).unwrap_err();
    /// assert_eq!((error.sent, error.errno()), (1, libc::EMSGSIZE));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send<'a>(
        &self,
        socket: impl AsFd,
        messages: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<usize, SendBatchError> {
        let socket = socket.as_fd();
        let mut messages = messages.into_iter();
        let mut chunk: [&[u8]; AT_ONCE] = [&[]; AT_ONCE];
        let mut sent = 0;
        loop {
            let mut rest = fill(&mut chunk[..self.at_once], &mut messages);
            if rest.is_empty() {
                return Ok(sent);
            }
            while !rest.is_empty() {
                match retry(|| mmsg::send(socket, rest)) {
                    Ok(Taken { whole, partial: Some(bytes) }) => {
                        let reason = SendStop::Partial { bytes };
                        return Err(SendBatchError { sent: sent + whole, reason });
                    }
                    // A call that sends nothing returns an error. If one ever does not, this loop
                    // must still end.
                    Ok(Taken { whole: 0, partial: None }) | Err(Errno::EAGAIN) => return Ok(sent),
                    Ok(Taken { whole, partial: None }) => {
                        sent += whole;
                        rest = &rest[whole..];
                    }
                    Err(errno) => {
                        let reason = SendStop::Os { source: OsError::new(errno) };
                        return Err(SendBatchError { sent, reason });
                    }
                }
            }
        }
    }
}

/// Moves messages into the chunk and returns its filled part.
fn fill<'c, 'a>(
    chunk: &'c mut [&'a [u8]],
    messages: &mut impl Iterator<Item = &'a [u8]>,
) -> &'c [&'a [u8]] {
    let mut filled = 0;
    for (slot, message) in chunk.iter_mut().zip(messages) {
        *slot = message;
        filled += 1;
    }
    &chunk[..filled]
}

/// The error of [`SendBatch::send`].
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, SendBatch, SendStop, SocketPair};
///
/// let SocketPair { left, right, .. } = SocketPair::new(PairType::SeqPacket, 4096)?;
/// drop(right);
/// let error = SendBatch::new(8).send(&left, [&b"nobody reads it"[..]]).unwrap_err();
/// assert_eq!(error.sent, 0);
/// assert!(matches!(error.reason, SendStop::Os { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("message {sent} of the batch was not sent")]
#[non_exhaustive]
pub struct SendBatchError {
    /// The number of messages that were sent, from the first on.
    pub sent: usize,
    /// Why the next one was not sent.
    #[source]
    pub reason: SendStop,
}

impl SendBatchError {
    /// Returns the error number of the operating system, or `EMSGSIZE` for a message that was sent only
    /// in part.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self.reason {
            SendStop::Os { source } => source.errno(),
            SendStop::Partial { .. } => libc::EMSGSIZE,
        }
    }
}

/// Why a message of a batch was not sent. The example of [`SendBatchError`] matches on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendStop {
    /// The kernel refused, for one of the reasons of [`send`](crate::send).
    #[error(transparent)]
    Os {
        /// The error of the kernel.
        source: OsError,
    },
    /// Only the first bytes were sent, which happens on a stream. Use [`send`](crate::send) for those.
    #[error("only {bytes} bytes of it were sent, send the rest first")]
    Partial {
        /// The number of bytes.
        bytes: usize,
    },
}
