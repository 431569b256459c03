//! Safe file descriptor plumbing: flags, duplicates, socket pairs, kinds, batched messages.
//!
//! Operations on descriptors that users of a program pass to it, on Linux:
//!
//! - setting and restoring flags: [`set_nonblocking`], [`set_cloexec`];
//! - the kind of a descriptor and the access it was opened for: [`FdKind`], [`AccessMode`];
//! - duplicates: [`duplicate()`]; whether two descriptors are duplicates of each other: [`compare_files`];
//! - local socket pairs with large buffers: [`SocketPair`], [`set_buffer_sizes`];
//! - messages, with truncation reported and end of file distinguished from empty messages:
//!   [`receive`], [`send`] and, with many messages per system call, [`ReceiveBatch`], [`SendBatch`];
//! - the bytes of devices and pipes: [`read()`], [`write()`], [`FileCalls`];
//! - whether the process was forked, and shares its descriptors with its parent: [`Owner`].
//!
//! Descriptors are passed as `impl AsFd` and returned as `OwnedFd`. A borrowed descriptor is never
//! closed, and a call that fails changes nothing. [`with_raw_fd`] borrows an integer of a caller that uses
//! the C convention; it is `unsafe`, because only that caller knows what the number refers to.
//!
//! # Out of scope
//!
//! The crate does not wait for readiness (see `knet-poller`), starts no threads and opens no network
//! sockets (see `knet-transport`). It does not accept descriptors passed with messages (`SCM_RIGHTS`),
//! which the kernel closes.
//!
//! # Example
//!
//! ```
//! use knet_fd::{PairType, ReceiveBatch, SendBatch, SocketPair};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pair = SocketPair::new(PairType::SeqPacket, 1 << 20)?;
//! assert!(knet_fd::is_nonblocking(&pair.left)? && knet_fd::is_cloexec(&pair.right)?);
//!
//! // Three messages are sent with one system call, and received with one.
//! let messages: [&[u8]; 3] = [b"one", b"", b"three"];
//! assert_eq!(SendBatch::new(64).send(&pair.left, messages)?, 3);
//!
//! let mut batch = ReceiveBatch::new(64, 0, 65536);
//! assert_eq!(batch.receive(&pair.right)?.messages, 3);
//! assert!(batch.iter().map(|message| message.bytes).eq(messages));
//!
//! // The empty message was not an end of file. This is one.
//! drop(pair.left);
//! assert!(batch.receive(&pair.right)?.end_of_file);
//! # Ok(())
//! # }
//! ```

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod access;
pub use access::{AccessMode, AccessModeError};

mod buffers;
pub use buffers::{BufferDirection, BufferError, BufferReport, set_buffer_sizes};

#[cfg(feature = "standard-streams")]
mod closed_streams;
#[cfg(feature = "standard-streams")]
pub use closed_streams::StandardStream;

mod duplicate;
pub use duplicate::{DuplicateError, duplicate};

mod end_of_file;

mod flags;
pub use flags::{Flag, FlagError, is_cloexec, is_nonblocking, set_cloexec, set_nonblocking};

mod kind;
pub use kind::{FdKind, KindError};

mod message;
pub use message::{FileCalls, ReadError, Received, Sent, WriteError, read, receive, send, write};

mod mmsg;

mod no_wait;

mod open_file;
pub use open_file::{CompareError, FileComparison, compare_files, is_open_as};

mod os_error;
pub use os_error::OsError;

mod owner;
pub use owner::Owner;

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
