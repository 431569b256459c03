//! What the handle tells the application of its own accord.

use std::fmt;
use std::os::fd::RawFd;

use knet_channel::Channel;

use crate::errno::{EAGAIN, EMSGSIZE};

/// An event as it comes out of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the event and what the reader missed")]
pub struct Notification<T> {
    /// The event.
    pub event: T,
    /// How many events this stream has thrown away so far, the oldest first, because its reader
    /// did not keep up. A stream holds [`crate::STREAM_CAPACITY`] events.
    pub lost: u64,
}

/// Which way the data was going.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From the application to the other hosts: reading from a datafd.
    Tx,
    /// From the other hosts to the application: writing to a datafd.
    Rx,
}

/// Something happened to a datafd that the application should know (`docs/datafd.md`, "Events").
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DatafdEvent {
    /// The datafd, by the number under which it was added.
    pub datafd: RawFd,
    /// Its channel.
    pub channel: Channel,
    /// Whether reading from it or writing to it brought it to light.
    pub direction: Direction,
    /// What happened.
    pub problem: DatafdProblem,
}

/// What happened to a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DatafdProblem {
    /// The other end is closed. The datafd is no longer read; remove it.
    EndOfFile,
    /// Reading failed. The datafd is no longer read; remove it.
    ReadFailed {
        /// The errno.
        errno: i32,
    },
    /// A message of more than 65536 bytes was thrown away whole. The datafd lives on.
    MessageTooLong,
    /// Received messages were thrown away because writing them failed. The datafd lives on.
    WriteFailed {
        /// The errno of the last failure.
        errno: i32,
        /// How many messages since the last such event of this channel.
        messages: u64,
    },
    /// Received messages were thrown away whole because the application does not read fast enough.
    /// Comes at most once in 100 ms for a channel.
    Full {
        /// How many messages since the last such event of this channel.
        messages: u64,
    },
}

impl DatafdProblem {
    /// What libknet's callback would have been given as its errno; 0 at the end of the file.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::EndOfFile => 0,
            Self::ReadFailed { errno } | Self::WriteFailed { errno, .. } => *errno,
            Self::MessageTooLong => EMSGSIZE,
            Self::Full { .. } => EAGAIN,
        }
    }
}

impl fmt::Display for DatafdProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let os = std::io::Error::from_raw_os_error;
        match self {
            Self::EndOfFile => f.write_str("the other end is closed"),
            Self::ReadFailed { errno } => write!(f, "reading failed: {}", os(*errno)),
            Self::MessageTooLong => f.write_str("a message of more than 65536 bytes was dropped"),
            Self::WriteFailed { errno, messages } => {
                write!(f, "{messages} message(s) could not be written: {}", os(*errno))
            }
            Self::Full { messages } => write!(f, "{messages} message(s) dropped: reader too slow"),
        }
    }
}
