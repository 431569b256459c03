//! Receiving many messages with one system call.

use std::{fmt, os::fd::AsFd};

use nix::errno::Errno;

use crate::{
    OsError, ReadError,
    end_of_file::is_end_of_file,
    mmsg::{self, AT_ONCE, Filled},
    retry::retry,
};

/// Buffers for many messages, filled by one system call, used again and again.
///
/// All memory is taken once, by [`ReceiveBatch::new`]: one block, of which the kernel commits only
/// the pages that messages have touched. In front of each message is room for headers, so that a
/// frame can be made around a message without moving it. Nothing is allocated afterwards.
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, ReceiveBatch, SocketPair};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
/// let _ = knet_fd::send(&pair.left, b"first")?;
/// let _ = knet_fd::send(&pair.left, b"second, too long")?;
///
/// let mut batch = ReceiveBatch::new(64, 2, 8);
/// let outcome = batch.receive(&pair.right)?;
/// assert_eq!((outcome.messages, outcome.end_of_file), (2, false));
/// assert_eq!(batch.message(0).bytes, b"first");
/// assert_eq!(batch.message(1).bytes, b"second, ");
/// assert!(batch.message(1).truncated);
///
/// let (headroom, message) = batch.with_headroom_mut(0).ok_or("there are two")?;
/// headroom.copy_from_slice(b"> ");
/// assert_eq!(message, b"first");
/// # Ok(())
/// # }
/// ```
pub struct ReceiveBatch {
    /// `capacity` places one after the other, each the headroom and the room for a message.
    arena: Vec<u8>,
    headroom: usize,
    message_size: usize,
    /// The first `len` are those of the messages that are there.
    /// How many messages the next receive may bring.
    limit: usize,
    filled: [Filled; AT_ONCE],
    len: usize,
}

impl ReceiveBatch {
    /// How many messages a batch has room for at most.
    pub const MAX_MESSAGES: usize = AT_ONCE;

    /// How many bytes of headroom, and of a message, a batch can have at most: 1 MiB.
    pub const MAX_SIZE: usize = 1 << 20;

    /// Makes room for up to `messages` messages (1 to [`MAX_MESSAGES`](Self::MAX_MESSAGES)) of up to
    /// `message_size` bytes (1 to [`MAX_SIZE`](Self::MAX_SIZE)), each preceded by `headroom` bytes
    /// (0 to `MAX_SIZE`). A number outside its range counts as the nearest one inside.
    #[must_use]
    pub fn new(messages: usize, headroom: usize, message_size: usize) -> ReceiveBatch {
        let messages = messages.clamp(1, Self::MAX_MESSAGES);
        let headroom = headroom.min(Self::MAX_SIZE);
        let message_size = message_size.clamp(1, Self::MAX_SIZE);
        ReceiveBatch {
            // Zeroed memory comes from the kernel as it is, so untouched pages cost nothing.
            arena: vec![0; messages * place(headroom, message_size)],
            headroom,
            message_size,
            limit: messages,
            filled: [Filled::default(); AT_ONCE],
            len: 0,
        }
    }

    /// Lets receives bring no more than so many messages, 1 to what the batch has room for: few big
    /// ones at a time stay in the processor's caches until they are sent on.
    pub fn set_limit(&mut self, messages: usize) {
        self.limit = messages.clamp(1, self.capacity());
    }

    /// Receives the messages that are there, as many as the batch has room for, in place of those
    /// of the last call. Never waits, even if the socket is blocking.
    ///
    /// From a stream each "message" is as many bytes as there were. End of file is told from empty
    /// messages as [`receive`](crate::receive) does, and never counts as a message.
    ///
    /// # Errors
    ///
    /// [`ReadError::Os`] if the kernel refuses, as with [`receive`](crate::receive). The batch is
    /// then empty. An error that follows upon messages is the answer to the next call.
    pub fn receive(&mut self, socket: impl AsFd) -> Result<BatchOutcome, ReadError> {
        let socket = socket.as_fd();
        self.len = 0;
        let place = self.place();
        let received = retry(|| {
            let places = self.arena.chunks_exact_mut(place).take(self.limit);
            let room = self.headroom..self.headroom + self.message_size;
            let buffers = places.map(|place| &mut place[room.clone()]);
            mmsg::receive(socket, buffers, &mut self.filled)
        });
        let received = match received {
            Ok(received) => received,
            Err(Errno::EAGAIN) => return Ok(BatchOutcome { messages: 0, end_of_file: false }),
            Err(errno) => return Err(ReadError::Os { source: OsError::new(errno) }),
        };
        // An end of file fills the rest of the batch with zero lengths.
        let last_with_bytes = self.filled[..received].iter().rposition(|filled| filled.len > 0);
        let with_bytes = last_with_bytes.map_or(0, |last| last + 1);
        let may_be_the_end = with_bytes < received && received == self.limit;
        let end_of_file = may_be_the_end && is_end_of_file(socket);
        self.len = if end_of_file { with_bytes } else { received };
        Ok(BatchOutcome { messages: self.len, end_of_file })
    }

    /// Returns message `index` for changing, behind its headroom, or `None` if there is none. The
    /// two slices lie next to each other in memory.
    pub fn with_headroom_mut(&mut self, index: usize) -> Option<(&mut [u8], &mut [u8])> {
        let filled = self.filled[..self.len].get(index)?;
        let place = self.place();
        let place = self.arena.chunks_exact_mut(place).nth(index)?;
        Some(place[..self.headroom + filled.len].split_at_mut(self.headroom))
    }

    /// Returns how many messages the last call received.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the last call received no message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how many messages there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.arena.len() / self.place()
    }

    /// Returns message `index` of the last call. If there is none it is an empty one; look at
    /// [`len`](Self::len).
    #[must_use]
    pub fn message(&self, index: usize) -> BatchMessage<'_> {
        match self.filled[..self.len].get(index) {
            Some(filled) => {
                let start = index * self.place() + self.headroom;
                let bytes = &self.arena[start..start + filled.len];
                BatchMessage { bytes, truncated: filled.truncated }
            }
            None => BatchMessage { bytes: &[], truncated: false },
        }
    }

    /// Iterates over the messages of the last call, in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = BatchMessage<'_>> {
        (0..self.len).map(|index| self.message(index))
    }

    /// The bytes from one place to the next; at least 1.
    const fn place(&self) -> usize {
        place(self.headroom, self.message_size)
    }
}

/// How far the places of two messages are apart. With message sizes that are powers of two all
/// messages would begin at the same place of the processor's caches and push each other out.
const fn place(headroom: usize, message_size: usize) -> usize {
    headroom + message_size + SKEW
}

/// 17 cache lines of the usual size.
const SKEW: usize = 17 * 64;

impl fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("headroom", &self.headroom)
            .field("message_size", &self.message_size)
            .field("capacity", &self.capacity())
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// What a call of [`ReceiveBatch::receive`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct BatchOutcome {
    /// How many messages are in the batch.
    pub messages: usize,
    /// Whether the end of file came after them. It comes again with the next call.
    pub end_of_file: bool,
}

impl BatchOutcome {
    /// Returns whether nothing was there: no message, and no end of file either.
    #[must_use]
    pub const fn would_block(&self) -> bool {
        self.messages == 0 && !self.end_of_file
    }
}

/// A message in a [`ReceiveBatch`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BatchMessage<'a> {
    /// Its bytes; none for an empty message.
    pub bytes: &'a [u8],
    /// Whether it was longer than there was room for, in which case the rest of it is lost.
    pub truncated: bool,
}
