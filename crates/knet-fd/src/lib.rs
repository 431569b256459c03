//! Safe file descriptor plumbing: flags, duplicates, socket pairs, kinds, batched messages.
//!
//! What a program has to know of and do to the descriptors that its users hand to it, on Linux:
//!
//! - flags that are set and put back: [`set_nonblocking`], [`set_cloexec`];
//! - what an fd is and what it is open for: [`FdKind`], [`AccessMode`];
//! - a second descriptor of the same file: [`duplicate()`];
//! - local socket pairs with big buffers: [`SocketPair`], [`set_buffer_sizes`];
//! - messages that are never cut without being told, end of file that is never taken for an empty
//!   message: [`receive`], [`send`] and, many for one system call, [`ReceiveBatch`], [`SendBatch`];
//! - bytes of devices and pipes: [`read()`], [`write()`].
//!
//! Descriptors come in as `impl AsFd` and go out as `OwnedFd`: what is borrowed is not closed, what
//! is made is closed once, and a call that fails leaves everything as it was. The one place that
//! takes an integer is [`with_raw_fd`], the door for callers that speak C.
//!
//! The crate neither waits (see `knet-poller`) nor starts threads, and it makes no connections:
//! sockets with addresses are somebody else's business. Passed file descriptors (`SCM_RIGHTS`)
//! are not taken: the kernel closes what comes with a message.
//!
//! ```
//! use knet_fd::{PairType, ReceiveBatch, SendBatch, SocketPair};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pair = SocketPair::new(PairType::SeqPacket, 1 << 20)?;
//! assert!(knet_fd::is_nonblocking(&pair.left)? && knet_fd::is_cloexec(&pair.right)?);
//!
//! // Three messages go in with one system call, and come out with one.
//! let messages: [&[u8]; 3] = [b"one", b"", b"three"];
//! assert_eq!(SendBatch::new(64).send(&pair.left, messages)?, 3);
//!
//! let mut batch = ReceiveBatch::new(64, 0, 65536);
//! assert_eq!(batch.receive(&pair.right)?.messages, 3);
//! assert!(batch.iter().map(|message| message.bytes).eq(messages));
//!
//! // An empty message was no end of file. This is one.
//! drop(pair.left);
//! assert!(batch.receive(&pair.right)?.end_of_file);
//! # Ok(())
//! # }
//! ```

mod access;
pub use access::{AccessMode, AccessModeError};

mod buffers;
pub use buffers::{BufferDirection, BufferError, BufferReport, set_buffer_sizes};

mod duplicate;
pub use duplicate::{DuplicateError, duplicate};

mod end_of_file;

mod flags;
pub use flags::{Flag, FlagError, is_cloexec, is_nonblocking, set_cloexec, set_nonblocking};

mod kind;
pub use kind::{FdKind, KindError};

mod message;
pub use message::{ReadError, Received, Sent, WriteError, read, receive, send, write};

mod mmsg;

mod os_error;
pub use os_error::OsError;

mod pair;
pub use pair::{PairError, PairType, SocketPair};

mod raw_fd;
pub use raw_fd::{RawFdError, with_raw_fd};

mod receive_batch;
pub use receive_batch::{BatchMessage, BatchOutcome, ReceiveBatch};

mod retry;

mod send_batch;
pub use send_batch::{SendBatch, SendBatchError, SendStop};

mod socket;
pub use socket::{SocketDomain, SocketState, SocketType};
