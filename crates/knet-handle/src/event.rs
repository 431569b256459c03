//! Events of datafds, and the frame in which all events are reported.

use std::fmt;
use std::os::fd::RawFd;

use knet_channel::Channel;

use crate::datafd_key::DatafdId;
use crate::errno::{EAGAIN, EMSGSIZE};

/// An event of an [`EventStream`](crate::EventStream) or for a callback.
///
/// # Examples
///
/// ```
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// let links = handle.link_events();
/// itself.link(LinkId::new(0)?)?.disable()?;
/// let notification = links.iter().find(|notification| !notification.event.state.is_up());
/// let notification = notification.expect("the stream is open");
/// assert_eq!((notification.event.host, notification.lost), (itself.id(), 0));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the event and what the reader missed")]
pub struct Notification<T> {
    /// The event.
    pub event: T,
    /// How many events this stream or callback has missed so far, because it fell behind. For each of them, a
    /// later event about the same link, host or problem of a datafd was kept, which counts the messages or
    /// moves of those before.
    pub lost: u64,
}

/// The direction of a message.
///
/// # Examples
///
/// ```
/// use knet_handle::{Direction, FilterMessage, Verdict};
///
/// /// Delivers no messages of other hosts.
/// fn filter(message: &mut FilterMessage<'_>) -> Verdict {
///     match message.direction() {
///         Direction::Tx => Verdict::Broadcast,
///         Direction::Rx => Verdict::Reject,
///     }
/// }
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// handle.set_filter(filter)?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Direction {
    /// From the application to the other hosts: read from a datafd.
    Tx,
    /// From the other hosts to the application: written to a datafd.
    Rx,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tx => "tx",
            Self::Rx => "rx",
        })
    }
}

/// A problem of a datafd (`docs/datafd.md`): [`Handle::datafd_events`](crate::Handle::datafd_events).
///
/// # Examples
///
/// ```
/// use knet_handle::{DatafdProblem, Handle, HostId, Notification};
///
/// let handle = Handle::new(HostId::new(1))?;
/// handle.on_datafd_event(|handle, Notification { event, .. }| match event.problem {
///     DatafdProblem::ReadFailed { passing: true, .. } => {
///         let _ = handle.resume_datafd(event.id);
///     }
///     DatafdProblem::EndOfFile | DatafdProblem::ReadFailed { .. } => {
///         let _ = handle.remove_datafd(event.id);
///     }
///     problem => eprintln!("channel {}: {problem}", event.channel),
/// });
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DatafdEvent {
    /// The datafd, which no other ever has the id of.
    pub id: DatafdId,
    /// The number under which the datafd was added, which the application may have closed or used again
    /// since.
    pub datafd: RawFd,
    /// The channel.
    pub channel: Channel,
    /// Whether the problem occurred while the datafd was read (`Tx`) or written (`Rx`).
    pub direction: Direction,
    /// The problem.
    pub problem: DatafdProblem,
}

/// A problem of a datafd.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use knet_handle::{ChannelRequest, DatafdProblem, DatafdSource, Direction, Handle, HostId};
///
/// let handle = Handle::new(HostId::new(1))?;
/// let problems = handle.datafd_events();
/// let (ours, theirs) = UnixStream::pair()?;
/// handle.add_datafd(DatafdSource::Fd(theirs.as_fd()), ChannelRequest::Any)?;
/// drop(ours);
///
/// let event = problems.recv()?.event;
/// assert_eq!((event.problem, event.direction), (DatafdProblem::EndOfFile, Direction::Tx));
/// assert_eq!(event.problem.to_string(), "the other end is closed");
/// handle.remove_datafd(event.id)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DatafdProblem {
    /// The other end is closed. The datafd is no longer read: remove it.
    EndOfFile,
    /// Reading failed. The datafd is no longer read: remove it, or let it be read again with
    /// [`Datafd::resume`](crate::Datafd::resume).
    ReadFailed {
        /// The errno.
        errno: i32,
        /// Whether the datafd can still carry messages. A connected UDP socket whose other end is not there
        /// yet returns such an error (`ECONNREFUSED`). Other errors are final: they would be returned again,
        /// or be followed by the end of file.
        passing: bool,
    },
    /// A message of more than 65536 bytes was discarded as a whole. The datafd stays in use.
    MessageTooLong,
    /// Received messages were discarded because writing them failed. The datafd stays in use.
    WriteFailed {
        /// The errno of the last failure.
        errno: i32,
        /// How many messages since the previous event of this kind for the datafd.
        messages: u64,
    },
    /// Received messages were discarded because the reader of the datafd fell behind. Reported at most once
    /// in 100 ms per channel.
    Full {
        /// How many messages since the previous event of this kind for the datafd.
        messages: u64,
    },
}

impl fmt::Display for DatafdEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { datafd, channel, direction, problem, .. } = self;
        write!(f, "fd {datafd} of channel {channel}, {direction}: {problem}")
    }
}

impl DatafdProblem {
    /// Returns the `errno` that libknet passes to its callback, which is 0 at the end of the file.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::EndOfFile => 0,
            Self::ReadFailed { errno, .. } | Self::WriteFailed { errno, .. } => *errno,
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
            Self::ReadFailed { errno, passing: false } => {
                write!(f, "reading failed: {}", os(*errno))
            }
            Self::ReadFailed { errno, passing: true } => {
                write!(f, "reading failed for now: {}", os(*errno))
            }
            Self::MessageTooLong => f.write_str("a message of more than 65536 bytes was dropped"),
            Self::WriteFailed { errno, messages } => {
                write!(f, "{messages} message(s) could not be written: {}", os(*errno))
            }
            Self::Full { messages } => write!(f, "{messages} message(s) dropped: reader too slow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use knet_poller::Token;

    use super::*;

    #[test]
    fn an_event_names_the_datafd_and_the_problem() {
        let event = DatafdEvent {
            id: DatafdId { token: Token(7), number: 13 },
            datafd: 13,
            channel: Channel::ALL[4],
            direction: Direction::Tx,
            problem: DatafdProblem::EndOfFile,
        };
        assert_eq!(event.to_string(), "fd 13 of channel 4, tx: the other end is closed");
        assert_eq!(event.id.to_string(), "fd 13 (datafd 7)");
    }
}
