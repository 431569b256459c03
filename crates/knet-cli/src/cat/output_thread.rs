//! The thread that writes received messages to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use crate::cat::event::{Event, Events};
use crate::cat::spool::Spool;

/// Starts writing what is added to `spool`, until it is closed and empty or the reader closes the
/// output. Sends [`Event::OutputEnded`] at the end.
///
/// The thread is never joined, because it may block in a write until the process ends.
///
/// # Errors
/// An error of the kernel if it refuses a descriptor or a thread.
pub(crate) fn start(spool: Arc<Spool>, events: Events) -> io::Result<()> {
    // `io::stdout()` would search everything for newlines.
    let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    thread::Builder::new().name("output".into()).spawn(move || {
        let ended = match write_all(&spool, stdout) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            ended => ended,
        };
        spool.close();
        let _ = events.send(Event::OutputEnded(ended));
    })?;
    Ok(())
}

fn write_all(spool: &Spool, mut output: impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    while spool.take(&mut bytes) {
        output.write_all(&bytes)?;
        bytes.clear();
    }
    Ok(())
}
