//! Receiving many messages per system call.

use std::{fmt, os::fd::AsFd};

use nix::errno::Errno;

use crate::{
    OsError, ReadError,
    end_of_file::is_end_of_file,
    mmsg::{self, AT_ONCE, Filled},
    retry::retry,
};

/// Reusable buffers for many messages that one system call fills.
///
/// [`ReceiveBatch::new`] allocates all memory in one block, of which the kernel commits only pages that
/// messages have touched. Nothing is allocated later. Each message is preceded by room for headers, so
/// that a frame can be built around it without a copy.
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
/// let (headroom, message) = batch.with_headroom_mut(0).ok_or("no message")?;
/// headroom.copy_from_slice(b"> ");
/// assert_eq!(message, b"first");
/// # Ok(())
/// # }
/// ```
pub struct ReceiveBatch {
    /// `capacity` slots in a row, each with the headroom and the buffer of a message.
    arena: Vec<u8>,
    headroom: usize,
    message_size: usize,
    /// The number of messages that the next receive may bring.
    limit: usize,
    /// Valid for the first `len` slots.
    filled: [Filled; AT_ONCE],
    len: usize,
}

impl ReceiveBatch {
    /// The largest number of messages in a batch.
    pub const MAX_MESSAGES: usize = AT_ONCE;

    /// The largest headroom, and the largest size of a message, in bytes: 1 MiB.
    pub const MAX_SIZE: usize = 1 << 20;

    /// Creates a batch for up to `messages` messages (1 to [`MAX_MESSAGES`](Self::MAX_MESSAGES)) of up to
    /// `message_size` bytes (1 to [`MAX_SIZE`](Self::MAX_SIZE)), each preceded by `headroom` bytes (0 to
    /// `MAX_SIZE`). Arguments outside their range are limited to it.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::ReceiveBatch;
    ///
    /// assert_eq!(ReceiveBatch::new(16, 0, 1500).capacity(), 16);
    /// assert_eq!(ReceiveBatch::new(1000, 0, 1500).capacity(), ReceiveBatch::MAX_MESSAGES);
    /// ```
    #[must_use]
    pub fn new(messages: usize, headroom: usize, message_size: usize) -> ReceiveBatch {
        let messages = messages.clamp(1, Self::MAX_MESSAGES);
        let headroom = headroom.min(Self::MAX_SIZE);
        let message_size = message_size.clamp(1, Self::MAX_SIZE);
        ReceiveBatch {
            // Zeroed memory comes straight from the kernel, so untouched pages cost nothing.
            arena: vec![0; messages * slot_size(headroom, message_size)],
            headroom,
            message_size,
            limit: messages,
            filled: [Filled::default(); AT_ONCE],
            len: 0,
        }
    }

    /// Limits later receives to `messages` messages, at least 1 and at most the capacity.
    ///
    /// With a few large messages at a time, they stay in the processor's caches until they are sent on.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SendBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
    /// assert_eq!(SendBatch::new(64).send(&pair.left, [&b"a"[..], b"b", b"c"])?, 3);
    /// let mut batch = ReceiveBatch::new(64, 0, 8);
    /// batch.set_limit(2);
    /// assert_eq!(batch.receive(&pair.right)?.messages, 2);
    /// assert_eq!(batch.receive(&pair.right)?.messages, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_limit(&mut self, messages: usize) {
        self.limit = messages.clamp(1, self.capacity());
    }

    /// Receives the available messages, up to the capacity of the batch, and replaces those of the last
    /// call. Never blocks, even if the socket is blocking.
    ///
    /// From a stream, each "message" is a buffer of available bytes. End of file is distinguished from
    /// empty messages as in [`receive`](crate::receive), and never counts as a message.
    ///
    /// # Errors
    ///
    /// [`ReadError::Os`] if the kernel refuses, as in [`receive`](crate::receive). The batch is empty in
    /// this case. An error after messages is returned by the next call.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
    /// let mut batch = ReceiveBatch::new(64, 0, 8);
    /// assert!(batch.receive(&pair.right)?.would_block());
    /// let _ = knet_fd::send(&pair.left, b"hello")?;
    /// assert_eq!(batch.receive(&pair.right)?.messages, 1);
    /// assert_eq!(batch.message(0).bytes, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receive(&mut self, socket: impl AsFd) -> Result<BatchOutcome, ReadError> {
        let socket = socket.as_fd();
        self.len = 0;
        let slot = self.slot_size();
        let received = retry(|| {
            let slots = self.arena.chunks_exact_mut(slot).take(self.limit);
            let room = self.headroom..self.headroom + self.message_size;
            let buffers = slots.map(|slot| &mut slot[room.clone()]);
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

    /// Returns the headroom and the bytes of message `index`, or `None` if there is no such message. The
    /// two slices are adjacent in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
    /// let _ = knet_fd::send(&pair.left, b"hello")?;
    /// let mut batch = ReceiveBatch::new(64, 4, 8);
    /// batch.receive(&pair.right)?;
    /// let (headroom, message) = batch.with_headroom_mut(0).ok_or("no message")?;
    /// assert_eq!((headroom.len(), &*message), (4, &b"hello"[..]));
    /// assert!(batch.with_headroom_mut(1).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_headroom_mut(&mut self, index: usize) -> Option<(&mut [u8], &mut [u8])> {
        let filled = self.filled[..self.len].get(index)?;
        let slot = self.slot_size();
        let slot = self.arena.chunks_exact_mut(slot).nth(index)?;
        Some(slot[..self.headroom + filled.len].split_at_mut(self.headroom))
    }

    /// Returns the number of messages of the last call.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if the last call received no message.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the largest number of messages per call.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.arena.len() / self.slot_size()
    }

    /// Returns message `index` of the last call, or an empty message if `index` is
    /// [`len`](Self::len) or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
    /// let _ = knet_fd::send(&pair.left, b"too long")?;
    /// let mut batch = ReceiveBatch::new(64, 0, 3);
    /// batch.receive(&pair.right)?;
    /// assert_eq!(batch.message(0).bytes, b"too");
    /// assert!(batch.message(0).truncated);
    /// assert!(batch.message(1).bytes.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn message(&self, index: usize) -> BatchMessage<'_> {
        match self.filled[..self.len].get(index) {
            Some(filled) => {
                let start = index * self.slot_size() + self.headroom;
                let bytes = &self.arena[start..start + filled.len];
                BatchMessage { bytes, truncated: filled.truncated }
            }
            None => BatchMessage { bytes: &[], truncated: false },
        }
    }

    /// Iterates over the messages of the last call in the order in which they were sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SendBatch, SocketPair};
    ///
    /// let pair = SocketPair::new(PairType::Datagram, 1 << 16)?;
    /// SendBatch::new(64).send(&pair.left, [&b"one"[..], b"two"])?;
    /// let mut batch = ReceiveBatch::new(64, 0, 8);
    /// batch.receive(&pair.right)?;
    /// assert!(batch.iter().map(|message| message.bytes).eq([b"one", b"two"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = BatchMessage<'_>> {
        (0..self.len).map(|index| self.message(index))
    }

    const fn slot_size(&self) -> usize {
        slot_size(self.headroom, self.message_size)
    }
}

/// Returns the distance of two slots in bytes, at least 1.
const fn slot_size(headroom: usize, message_size: usize) -> usize {
    headroom + message_size + SKEW
}

/// 17 cache lines of the usual size. Without it, messages whose size is a power of two would all start in
/// the same set of the processor's caches and evict each other.
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

/// The result of [`ReceiveBatch::receive`].
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, ReceiveBatch, SocketPair};
///
/// let SocketPair { left, right, .. } = SocketPair::new(PairType::SeqPacket, 4096)?;
/// let _ = knet_fd::send(&left, b"last")?;
/// drop(left);
/// let outcome = ReceiveBatch::new(8, 0, 16).receive(&right)?;
/// assert_eq!((outcome.messages, outcome.end_of_file), (1, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The number of messages in the batch.
    pub messages: usize,
    /// Whether the end of file follows the messages. The next call reports it again.
    pub end_of_file: bool,
}

impl BatchOutcome {
    /// Returns `true` if there was neither a message nor an end of file.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::{PairType, ReceiveBatch, SocketPair};
    ///
    /// let SocketPair { left, right, .. } = SocketPair::new(PairType::Stream, 1 << 16)?;
    /// let mut batch = ReceiveBatch::new(64, 0, 8);
    /// assert!(batch.receive(&right)?.would_block());
    /// drop(left);
    /// let outcome = batch.receive(&right)?;
    /// assert!(outcome.end_of_file && !outcome.would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn would_block(&self) -> bool {
        self.messages == 0 && !self.end_of_file
    }
}

/// A message in a [`ReceiveBatch`].
///
/// # Examples
///
/// ```
/// use knet_fd::{PairType, ReceiveBatch, SocketPair};
///
/// let SocketPair { left, right, .. } = SocketPair::new(PairType::SeqPacket, 4096)?;
/// let _ = knet_fd::send(&left, b"too long")?;
/// let mut batch = ReceiveBatch::new(8, 0, 3);
/// let _ = batch.receive(&right)?;
/// let message = batch.iter().next().expect("one message");
/// assert_eq!((message.bytes, message.truncated), (&b"too"[..], true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BatchMessage<'a> {
    /// The bytes of the message, which may be empty.
    pub bytes: &'a [u8],
    /// Whether the message was longer than its buffer. Its rest is lost.
    pub truncated: bool,
}
