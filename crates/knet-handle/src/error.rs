//! The error of the public API.

use std::fmt;
use std::os::fd::RawFd;

use knet_channel::{Channel, ChannelSet, InvalidChannel};
use knet_engine::{AclEntryError, AclError, HostError, LinkError, LinkState, MtuError};
use knet_fd::{AccessMode, FdKind};
use knet_transport::{BindError, DscpOutOfRange, MarkError};
use knet_wire::{HostId, InvalidLinkId, LinkId};

use crate::errno::*;
use crate::operation::Operation;
use crate::send_report::SendFailure;

/// The error of all methods of this crate.
///
/// # Examples
///
/// ```
/// use knet_handle::{ChannelRequest, DatafdSource, Error};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// let error = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap_err();
/// assert!(matches!(error, Error::NotificationsNotEnabled));
/// assert_eq!(error.errno(), 22, "EINVAL");
/// assert_eq!(
///     error.to_string(),
///     "datafd notifications are not enabled: call datafd_events() or on_datafd_event() first"
/// );
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A datafd was added before datafd events were subscribed to.
    #[error(
        "datafd notifications are not enabled: call datafd_events() or on_datafd_event() first"
    )]
    NotificationsNotEnabled,
    /// The channel number is outside 0..=31.
    #[error(transparent)]
    InvalidChannel(#[from] InvalidChannel),
    /// The channel has a datafd already.
    #[error("channel {0} is in use: request another one or any")]
    ChannelInUse(Channel),
    /// All 32 channels are in use.
    #[error("all 32 channels are in use: remove a datafd first")]
    NoChannelFree,
    /// The channel has no datafd.
    #[error("channel {0} has no datafd: add one first")]
    ChannelNotInUse(Channel),
    /// The descriptor is a datafd already.
    #[error("fd {fd} is the datafd of channel {channel} already: remove it first")]
    DatafdExists {
        /// The descriptor.
        fd: RawFd,
        /// The channel that has it.
        channel: Channel,
    },
    /// The descriptor is not a datafd of this handle.
    #[error("fd {fd} is not a datafd of this handle: add it first")]
    UnknownDatafd {
        /// The descriptor.
        fd: RawFd,
    },
    /// Several datafds were added under the number, because the application closed its own descriptors, and
    /// none of them is open under it now.
    #[error(
        "fd {fd} was the number of several datafds, of channels {channels}: name one by its id"
    )]
    AmbiguousDatafd {
        /// The number.
        fd: RawFd,
        /// The channels of the datafds.
        channels: ChannelSet,
    },
    /// The kernel cannot poll this kind of file.
    #[error("fd {fd} ({kind:?}) cannot be polled: use a socket, a TUN/TAP or a pollable device")]
    NotPollable {
        /// The descriptor.
        fd: RawFd,
        /// What it is.
        kind: FdKind,
    },
    /// The descriptor is not open for both reading and writing.
    #[error("fd {fd} is open as {mode:?}: a datafd is read and written")]
    NotReadWrite {
        /// The descriptor.
        fd: RawFd,
        /// How it is open.
        mode: AccessMode,
    },
    /// The descriptor is of a kind that cannot carry messages both ways.
    #[error("fd {fd} ({kind:?}) cannot be a datafd: use a connected socket or a pollable device")]
    UnsupportedDatafd {
        /// The descriptor.
        fd: RawFd,
        /// What it is.
        kind: FdKind,
    },
    /// The message has no bytes, or more than 65536.
    #[error("a message of {length} bytes cannot be sent: 1 to 65536")]
    MessageSize {
        /// Its length in bytes.
        length: usize,
    },
    /// The receive buffer has no bytes.
    #[error("a receive buffer of 0 bytes holds no message: pass one of up to 65536")]
    EmptyBuffer,
    /// No message is available.
    #[error("no message is available on channel {0}: wait until its datafd is readable")]
    WouldBlock(Channel),
    /// The handle's end of the datafd is closed, and no more messages will come.
    #[error("the datafd of channel {0} was removed: add it again")]
    DatafdClosed(Channel),
    /// The message was longer than the buffer. It is lost.
    #[error(
        "a message of channel {channel} was longer than the buffer of {buffer} bytes: pass one of 65536"
    )]
    BufferTooSmall {
        /// The channel.
        channel: Channel,
        /// The length of the buffer in bytes.
        buffer: usize,
    },
    /// The datafd was brought by the application: messages come out of its other end, not out of `recv`.
    #[error("the datafd of channel {0} is yours: read its other end")]
    NotOurDatafd(Channel),
    /// Forwarding is off.
    #[error("forwarding is off: call set_forwarding(true)")]
    ForwardingOff,
    /// The filter rejected the message.
    #[error("the filter rejected the message")]
    FilterRejected,
    /// The filter decided for [`Verdict::Destinations`](crate::Verdict::Destinations) and added none.
    #[error("the filter added no destination: add one, or return Verdict::Broadcast")]
    FilterNoDestination,
    /// The filter moved the message to a channel that does not exist.
    #[error("the filter moved the message to channel {0}, which does not exist: use 0 to 31")]
    FilterChannel(i8),
    /// `send_sync` needs a filter that specifies the destination.
    #[error("send_sync needs a filter: call set_filter()")]
    NoFilter,
    /// `send_sync` sends to one host only.
    #[error("send_sync sends to exactly one host, the filter specified {0}")]
    NotUnicast(Destinations),
    /// No destination is reachable.
    #[error("no destination is reachable{}", in_brackets(failures))]
    NoReachableHost {
        /// Each destination with the reason: those that the filter added, or all hosts.
        failures: Vec<SendFailure>,
    },
    /// The kernel accepted the whole message for none of the destinations.
    #[error("sent to no host: {}", reasons(failures))]
    NotSent {
        /// Each destination with the reason.
        failures: Vec<SendFailure>,
    },
    /// A call about a host was rejected.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A call about a link was rejected.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link id is outside 0..=7.
    #[error(transparent)]
    InvalidLinkId(#[from] InvalidLinkId),
    /// The two addresses of a link are of different families.
    #[error("a link from {local} to {remote} mixes IPv4 and IPv6: use two addresses of one family")]
    MixedFamilies {
        /// The local address.
        local: std::net::SocketAddr,
        /// The peer's.
        remote: std::net::SocketAddr,
    },
    /// An access list was not changed.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// An entry of an access list is invalid.
    #[error(transparent)]
    AclEntry(#[from] AclEntryError),
    /// An MTU setting was rejected.
    #[error(transparent)]
    Mtu(#[from] MtuError),
    /// The socket of a link could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The number is not a differentiated services code point.
    #[error(transparent)]
    Dscp(#[from] DscpOutOfRange),
    /// A host did not become reachable in time.
    #[error("host {host} is not reachable{}", list(links))]
    NotReachable {
        /// The host.
        host: HostId,
        /// Its links with their states.
        links: Vec<(LinkId, LinkState)>,
    },
    /// The handle was created before this process was forked, and its threads run in the other process. That
    /// one is not affected: nothing was changed. Create handles after forking, or daemonising.
    #[error("the handle belongs to process {owner}: create one after forking")]
    Forked {
        /// The process that created the handle.
        owner: u32,
    },
    /// A thread of the handle ended because of a bug, so no message passes. Every link is down for that
    /// reason ([`DownReason::ThreadEnded`](crate::DownReason::ThreadEnded)).
    #[error(
        "the thread {thread} of the handle panicked: close the handle, create another, report the bug"
    )]
    ThreadEnded {
        /// The name of the thread.
        thread: &'static str,
    },
    /// The method cannot be called from within the filter of the handle.
    #[error("not possible within the filter of the handle: use another thread")]
    InsideFilter,
    /// The handle cannot be closed from within one of its callbacks.
    #[error("a callback cannot wait for its own end: close the handle from another thread")]
    InsideCallback,
    /// The handle was to be closed and has other clones.
    #[error(
        "the handle is still in use by {others} other clone(s), hosts, links or datafds: drop them first"
    )]
    StillInUse {
        /// How many there were.
        others: usize,
    },
    /// The operating system refused a call, for a reason that has no variant of its own.
    #[error("{operation} failed")]
    Os {
        /// What the call was for.
        operation: Operation,
        /// The errno of the call.
        errno: i32,
        /// The error of the layer that made the call.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// How many destinations a filter specified: [`Error::NotUnicast`].
///
/// # Examples
///
/// ```
/// use knet_handle::{Destinations, Error, Verdict};
///
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// let channel = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?.channel();
/// handle.set_filter(|_| Verdict::Broadcast)?;
/// let error = handle.send_sync(channel, b"to whom?").unwrap_err();
/// assert!(matches!(error, Error::NotUnicast(Destinations::Everybody)));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Destinations {
    /// All reachable hosts.
    Everybody,
    /// This many hosts.
    Hosts(usize),
}

impl fmt::Display for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("all hosts"),
            Self::Hosts(n) => write!(f, "{n}"),
        }
    }
}

impl Error {
    pub(crate) fn os(
        operation: Operation,
        errno: i32,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Os { operation, errno, source: Box::new(source) }
    }

    /// Returns libknet's `errno` value for this error, for programs that are ported from C
    /// (`docs/porting.md`, "Error numbers"). For errors that libknet does not have, it is the closest one.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotificationsNotEnabled
            | Self::ChannelNotInUse(_)
            | Self::UnknownDatafd { .. }
            | Self::AmbiguousDatafd { .. }
            | Self::NotReadWrite { .. }
            | Self::UnsupportedDatafd { .. }
            | Self::MessageSize { .. }
            | Self::EmptyBuffer
            | Self::NotOurDatafd(_)
            | Self::FilterNoDestination
            | Self::FilterChannel(_)
            | Self::MixedFamilies { .. } => EINVAL,
            Self::ChannelInUse(_) | Self::NoChannelFree | Self::StillInUse { .. } => EBUSY,
            Self::DatafdExists { .. } => EEXIST,
            Self::NotPollable { .. } => EPERM,
            Self::WouldBlock(_) => EAGAIN,
            Self::DatafdClosed(_) => EPIPE,
            Self::BufferTooSmall { .. } => EMSGSIZE,
            Self::ForwardingOff => ECANCELED,
            Self::FilterRejected => EFAULT,
            Self::NoFilter => ENETDOWN,
            Self::NotUnicast(_) => E2BIG,
            Self::NoReachableHost { .. } => EHOSTDOWN,
            Self::NotReachable { .. } => ETIMEDOUT,
            Self::InsideFilter | Self::InsideCallback => EDEADLK,
            Self::Forked { .. } => EPERM,
            Self::ThreadEnded { .. } => ECANCELED,
            Self::NotSent { failures } => {
                let mut tried = failures.iter().map(|failure| failure.reason.errno());
                tried.find(|&errno| errno != EHOSTDOWN).unwrap_or(EHOSTDOWN)
            }
            Self::Os { errno, .. } => *errno,
            Self::InvalidChannel(error) => error.errno(),
            Self::Host(error) => error.errno(),
            Self::Link(error) => error.errno(),
            Self::InvalidLinkId(error) => error.errno(),
            Self::Acl(error) => error.errno(),
            Self::AclEntry(error) => error.errno(),
            Self::Mtu(error) => error.errno(),
            Self::Bind(error) => error.errno(),
            Self::Dscp(error) => error.errno(),
        }
    }
}

impl From<MarkError> for Error {
    fn from(error: MarkError) -> Self {
        Self::os(Operation::MarkSocket, error.errno(), error)
    }
}

impl From<Error> for std::io::Error {
    /// Keeps the kind of the [`errno`](Error::errno) and, as the inner error, the text.
    fn from(error: Error) -> Self {
        Self::new(Self::from_raw_os_error(error.errno()).kind(), error)
    }
}

/// Describes the state of each link, as the end of a sentence.
fn list(links: &[(LinkId, LinkState)]) -> String {
    if links.is_empty() {
        return ": it has no links".to_owned();
    }
    let links: Vec<_> = links.iter().map(|(id, state)| format!("link {id} is {state}")).collect();
    format!(": {}", links.join("; "))
}

/// Lists the failures in parentheses, or nothing.
fn in_brackets(failures: &[SendFailure]) -> String {
    if failures.is_empty() { String::new() } else { format!(" ({})", reasons(failures)) }
}

fn reasons(failures: &[SendFailure]) -> String {
    let reasons: Vec<_> = failures
        .iter()
        .map(|failure| format!("host {}: {}", failure.host, failure.reason))
        .collect();
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    #[test]
    fn an_io_error_keeps_the_kind_and_the_text() {
        let error = io::Error::from(Error::WouldBlock(Channel::ALL[7]));
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(
            error.to_string(),
            "no message is available on channel 7: wait until its datafd is readable"
        );
        assert!(error.get_ref().unwrap().is::<Error>());
    }

    #[test]
    fn an_error_of_the_system_keeps_its_errno_and_the_error_below() {
        let error = Error::os(Operation::StartThread, EAGAIN, io::Error::from_raw_os_error(EAGAIN));
        assert_eq!(error.errno(), EAGAIN);
        let below = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(below.and_then(io::Error::raw_os_error), Some(EAGAIN));
        assert_eq!(error.to_string(), "starting a thread failed");
    }
}
