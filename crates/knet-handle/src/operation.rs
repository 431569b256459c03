//! What the handle asks of the kernel, as errors name it.

use std::fmt;

/// The purpose of a call to the operating system: [`Error::Os`](crate::Error::Os).
///
/// # Examples
///
/// ```
/// use knet_handle::{Error, Handle, HostId, Operation};
///
/// match Handle::new(HostId::new(1)) {
///     Err(Error::Os { operation: Operation::CreatePoller, source, .. }) => {
///         eprintln!("too many open files? {source}");
///     }
///     other => drop(other?),
/// }
/// # Ok::<(), Error>(())
/// ```
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
