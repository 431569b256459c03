//! The one error of the public API.

use std::fmt;
use std::os::fd::RawFd;

use knet_channel::{Channel, InvalidChannel};
use knet_engine::{AclEntryError, AclError, HostError, LinkError, LinkState, MtuError};
use knet_fd::{AccessMode, FdKind};
use knet_transport::{BindError, DscpOutOfRange, MarkError};
use knet_wire::{HostId, InvalidLinkId, LinkId};

use crate::errno::*;
use crate::send_report::SendFailure;

/// Why a call failed. [`Error::errno`] gives the value that libknet would have left in `errno`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A datafd was added before anybody asked for datafd notifications.
    #[error(
        "datafd notifications are not enabled: call datafd_events() or on_datafd_event() first"
    )]
    NotificationsNotEnabled,
    /// A channel number outside 0..=31.
    #[error(transparent)]
    InvalidChannel(#[from] InvalidChannel),
    /// The channel has a datafd already.
    #[error("channel {0} is in use")]
    ChannelInUse(Channel),
    /// All 32 channels are in use.
    #[error("no channel is free: all 32 are in use")]
    NoChannelFree,
    /// The channel has no datafd.
    #[error("channel {0} has no datafd")]
    ChannelNotInUse(Channel),
    /// The file descriptor is a datafd already.
    #[error("fd {fd} is the datafd of channel {channel} already")]
    DatafdExists {
        /// The file descriptor.
        fd: RawFd,
        /// The channel that has it.
        channel: Channel,
    },
    /// The file descriptor is no datafd of this handle.
    #[error("fd {fd} is not a datafd of this handle")]
    UnknownDatafd {
        /// The file descriptor.
        fd: RawFd,
    },
    /// A negative number where a file descriptor was expected.
    #[error("fd {fd} is negative: 0 asks for a socket pair, a positive number is an fd of yours")]
    NegativeDatafd {
        /// The number.
        fd: RawFd,
    },
    /// The file descriptor is not open.
    #[error("fd {fd} is not open")]
    DatafdNotOpen {
        /// The file descriptor.
        fd: RawFd,
    },
    /// The kernel cannot watch such a file.
    #[error("fd {fd} ({kind:?}) cannot be polled: use a socket, a TUN/TAP or a pollable device")]
    NotPollable {
        /// The file descriptor.
        fd: RawFd,
        /// What it is.
        kind: FdKind,
    },
    /// The file descriptor cannot be both read and written.
    #[error("fd {fd} is open as {mode:?}: a datafd is read and written")]
    NotReadWrite {
        /// The file descriptor.
        fd: RawFd,
        /// How it is open.
        mode: AccessMode,
    },
    /// The file descriptor is of a kind that cannot carry messages both ways.
    #[error("fd {fd} ({kind:?}) cannot be a datafd: use a connected socket or a pollable device")]
    UnsupportedDatafd {
        /// The file descriptor.
        fd: RawFd,
        /// What it is.
        kind: FdKind,
    },
    /// A message of no bytes, or of more than 65536.
    #[error("a message of {length} bytes cannot be sent: 1 to 65536")]
    MessageSize {
        /// Its bytes.
        length: usize,
    },
    /// A receive buffer of no bytes.
    #[error("a receive buffer of no bytes")]
    EmptyBuffer,
    /// Nothing to receive now.
    #[error("no message is waiting on channel {0}")]
    WouldBlock(Channel),
    /// The handle's end of the datafd is closed; nothing will come any more.
    #[error("the datafd of channel {0} was removed")]
    DatafdClosed(Channel),
    /// The message was longer than the buffer; what did not fit is lost.
    #[error("a message of channel {channel} was longer than the buffer of {buffer} bytes")]
    BufferTooSmall {
        /// The channel.
        channel: Channel,
        /// The buffer's bytes.
        buffer: usize,
    },
    /// The datafd is the caller's own: messages come out of its other end, not out of `recv`.
    #[error("the datafd of channel {0} is yours: read its other end")]
    NotOurDatafd(Channel),
    /// Forwarding is off.
    #[error("forwarding is off: call set_forwarding(true)")]
    ForwardingOff,
    /// The filter refused the message.
    #[error("the filter rejected the message")]
    FilterRejected,
    /// The filter named no destination.
    #[error("the filter named no destination")]
    FilterNoDestination,
    /// The filter moved the message to a channel that does not exist.
    #[error("the filter moved the message to channel {0}: 0 to 31")]
    FilterChannel(i8),
    /// `send_sync` needs a filter that names one destination.
    #[error("send_sync needs a filter: call set_filter()")]
    NoFilter,
    /// `send_sync` sends to one host only.
    #[error("send_sync sends to exactly one host, the filter named {0}")]
    NotUnicast(Destinations),
    /// None of the destinations is reachable.
    #[error("no destination is reachable{}", in_brackets(failures))]
    NoReachableHost {
        /// Each destination with the reason: those that the filter named, or all hosts.
        failures: Vec<SendFailure>,
    },
    /// For none of the destinations did the kernel take all packets of the message.
    #[error("sent to nobody: {}", reasons(failures))]
    NotSent {
        /// Each destination with the reason.
        failures: Vec<SendFailure>,
    },
    /// A call about a host was refused.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A call about a link was refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A link id outside 0..=7.
    #[error(transparent)]
    InvalidLinkId(#[from] InvalidLinkId),
    /// The two addresses of a link are not of one family.
    #[error("a link from {local} to {remote} mixes IPv4 and IPv6")]
    MixedFamilies {
        /// The local address.
        local: std::net::SocketAddr,
        /// The peer's.
        remote: std::net::SocketAddr,
    },
    /// An access list was not changed.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// An entry for an access list cannot be.
    #[error(transparent)]
    AclEntry(#[from] AclEntryError),
    /// A manual MTU was refused.
    #[error(transparent)]
    Mtu(#[from] MtuError),
    /// A link's socket could not be made.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A number that is no differentiated services code point.
    #[error(transparent)]
    Dscp(#[from] DscpOutOfRange),
    /// A host did not become reachable in time.
    #[error("host {host} is not reachable{}", list(links))]
    NotReachable {
        /// The host.
        host: HostId,
        /// Its links with what each of them is.
        links: Vec<(LinkId, LinkState)>,
    },
    /// A method was called from inside the filter that must not be.
    #[error("not possible from inside the filter: hand it to another thread")]
    InsideFilter,
    /// A handle was to be closed from inside a callback of its own.
    #[error("a callback cannot wait for its own end: close the handle from another thread")]
    InsideCallback,
    /// A handle was to be closed that has other clones.
    #[error("the handle is still in use by {others} other clone(s), hosts, links or datafds")]
    StillInUse {
        /// How many there were just then.
        others: usize,
    },
    /// The operating system refused a call, for a reason that has no variant of its own.
    #[error("{operation}: {source}")]
    Os {
        /// What the call was for.
        operation: Operation,
        /// The errno of the call.
        errno: i32,
        /// The error of the layer that made the call.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a call to the operating system was for: [`Error::Os`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// Reading the random bytes that ping cookies are signed with.
    ReadRandomBytes,
    /// Starting a thread of the handle.
    StartThread,
    /// Creating the poller of a thread.
    CreatePoller,
    /// Creating the socket pair of a datafd.
    CreateDatafd,
    /// Finding out what a descriptor is and how it is open.
    InspectDatafd,
    /// Duplicating the descriptor of a datafd.
    DuplicateDatafd,
    /// Making a descriptor non-blocking and close-on-exec.
    SetDatafdFlags,
    /// Adding a datafd to a poller.
    WatchDatafd,
    /// Receiving from a datafd.
    ReceiveFromDatafd,
    /// Adding a link's socket to a poller.
    WatchSocket,
    /// Marking the packets of a link's socket.
    MarkSocket,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadRandomBytes => "reading random bytes",
            Self::StartThread => "starting a thread",
            Self::CreatePoller => "creating a poller",
            Self::CreateDatafd => "creating a datafd",
            Self::InspectDatafd => "inspecting a datafd",
            Self::DuplicateDatafd => "duplicating a datafd",
            Self::SetDatafdFlags => "making a datafd non-blocking and close-on-exec",
            Self::WatchDatafd => "watching a datafd",
            Self::ReceiveFromDatafd => "receiving from a datafd",
            Self::WatchSocket => "watching a link's socket",
            Self::MarkSocket => "marking a socket's packets",
        })
    }
}

/// How many destinations a filter named.
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
            Self::Everybody => f.write_str("everybody"),
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

    /// Returns the value that libknet would have left in `errno`, for ports that branch on it
    /// (`docs/porting.md`, "Error numbers"), or the nearest one for what libknet does not have.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotificationsNotEnabled
            | Self::ChannelNotInUse(_)
            | Self::UnknownDatafd { .. }
            | Self::NegativeDatafd { .. }
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
            Self::DatafdNotOpen { .. } => EBADF,
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
    /// Keeps the errno, so that [`std::io::Error::kind`] is right.
    fn from(error: Error) -> Self {
        Self::from_raw_os_error(error.errno())
    }
}

/// Each link's state, as the end of a sentence.
fn list(links: &[(LinkId, LinkState)]) -> String {
    if links.is_empty() {
        return ": it has no links".to_owned();
    }
    let links: Vec<_> = links.iter().map(|(id, state)| format!("link {id} is {state}")).collect();
    format!(": {}", links.join("; "))
}

/// Why a message did not go to some hosts, as a list.
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
    fn an_error_of_the_system_keeps_its_errno_and_the_error_below() {
        let error = Error::os(Operation::StartThread, EAGAIN, io::Error::from_raw_os_error(EAGAIN));
        assert_eq!(error.errno(), EAGAIN);
        let below = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(below.and_then(io::Error::raw_os_error), Some(EAGAIN));
        assert!(error.to_string().starts_with("starting a thread: "), "{error}");
    }
}
