//! What `knet cat`'s threads tell the main one.

use std::io;
use std::sync::mpsc;

use kronosnet::HostId;

/// Something that may end the command.
#[derive(Debug)]
pub(crate) enum Event {
    /// This host became reachable.
    HostReachable(HostId),
    /// The input is at its end, or failed, or could not be sent.
    InputEnded(anyhow::Result<()>),
    /// As many messages as were asked for have been received.
    ReceivedEnough,
    /// Nothing is written any more: nobody reads it, the job is done, or writing failed.
    OutputEnded(io::Result<()>),
    /// SIGINT or SIGTERM.
    Signal,
}

/// Where events are sent to. The main thread may be gone already; then nobody needs to know.
pub(crate) type Events = mpsc::Sender<Event>;
