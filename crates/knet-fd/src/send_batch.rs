//! Sending many messages with one system call.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::{
    OsError,
    mmsg::{self, AT_ONCE, Taken},
    retry::retry,
};

/// Sends messages to a connected message socket, many with one system call.
///
/// Holds no memory: what the kernel needs to know of the messages is on the stack of each call.
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
/// assert_eq!(sent, messages.len(), "there was room for both");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SendBatch {
    /// From 1 to [`AT_ONCE`].
    at_once: usize,
}

impl SendBatch {
    /// How many messages a system call carries at most.
    pub const MAX_MESSAGES: usize = AT_ONCE;

    /// Makes a batch that hands up to `messages` (1 to [`MAX_MESSAGES`](Self::MAX_MESSAGES)) to the
    /// kernel with one call. A number outside the range counts as the nearest one inside.
    #[must_use]
    pub fn new(messages: usize) -> SendBatch {
        SendBatch { at_once: messages.clamp(1, Self::MAX_MESSAGES) }
    }

    /// Sends messages in their order until all are taken or one is not; returns how many were taken.
    ///
    /// Fewer than there are means that there is no room for the next one now. Any number of messages
    /// may be given; every system call takes as many as the batch was made for. Never waits, even if
    /// the socket is blocking, never raises `SIGPIPE`, allocates nothing.
    ///
    /// # Errors
    ///
    /// [`SendBatchError`] says how many were taken and why the next one was not.
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
                    Ok(Taken { whole, begun: Some(bytes) }) => {
                        let reason = SendStop::Begun { bytes };
                        return Err(SendBatchError { sent: sent + whole, reason });
                    }
                    // A call that takes nothing says why; should one not, this must not go on for
                    // ever.
                    Ok(Taken { whole: 0, begun: None }) | Err(Errno::EAGAIN) => return Ok(sent),
                    Ok(Taken { whole, begun: None }) => {
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

/// Moves messages into the chunk; returns the part of it that is filled.
fn fill<'c, 'a>(
    chunk: &'c mut [&'a [u8]],
    messages: &mut impl Iterator<Item = &'a [u8]>,
) -> &'c [&'a [u8]] {
    let mut filled = 0;
    for (place, message) in chunk.iter_mut().zip(messages) {
        *place = message;
        filled += 1;
    }
    &chunk[..filled]
}

/// Sending stopped before the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("message {sent} of the batch was not sent: {reason}")]
#[non_exhaustive]
pub struct SendBatchError {
    /// How many messages were taken: the first ones.
    pub sent: usize,
    /// Why the next one was not.
    #[source]
    pub reason: SendStop,
}

impl SendBatchError {
    /// Returns the error number of the operating system, and `EMSGSIZE` for a message that was only
    /// begun.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self.reason {
            SendStop::Os { source } => source.errno(),
            SendStop::Begun { .. } => libc::EMSGSIZE,
        }
    }
}

/// Why a message of a batch was not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendStop {
    /// The kernel refused, for the reasons that [`send`](crate::send) has.
    #[error("{source}")]
    Os {
        /// What it said.
        source: OsError,
    },
    /// Only the first bytes were taken. A stream does that, and is better served by
    /// [`send`](crate::send).
    #[error("only {bytes} bytes of it were taken: send the rest before anything else")]
    Begun {
        /// How many.
        bytes: usize,
    },
}
