//! The thread that writes received messages to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use crate::cat::event::{Event, Events};
use crate::cat::spool::Spool;

/// Starts writing what is added to `spool`, until it is closed and empty or nobody reads the output
/// any more. [`Event::OutputEnded`] comes at the end. Nobody waits for the thread: it may be held up
/// in a write for as long as the process lives.
///
/// # Errors
/// If the kernel refuses a descriptor or a thread.
pub(crate) fn start(spool: Arc<Spool>, events: Events) -> io::Result<()> {
    // Not through `io::stdout()`, which looks for newlines in what it is given.
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
