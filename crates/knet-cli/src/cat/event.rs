//! What the threads of `knet cat` report to the main thread.

use std::io;
use std::sync::mpsc;

use kronosnet::HostId;

/// Something that may end the command.
#[derive(Debug)]
pub(crate) enum Event {
    /// This host became reachable.
    HostReachable(HostId),
    /// The input has ended, or could not be read or sent.
    InputEnded(anyhow::Result<()>),
    /// The requested number of messages has been received.
    ReceivedEnough,
    /// Writing has ended: the reader closed the output, the job is done, or a write failed.
    OutputEnded(io::Result<()>),
    /// SIGINT or SIGTERM.
    Signal(i32),
}

/// Where to send events. Sending fails if the main thread has already ended, and may be ignored.
pub(crate) type Events = mpsc::Sender<Event>;
