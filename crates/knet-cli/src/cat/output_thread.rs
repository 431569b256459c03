//! The thread that writes received messages to standard output.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use crate::cat::event::{Event, Events};
use crate::cat::spool::Spool;
use crate::process::stdio::Output;

/// Starts writing what is added to `spool`, until it is closed and empty or the reader closes the
/// output. Sends [`Event::OutputEnded`] at the end.
///
/// The thread is never joined, because it may block in a write until the process ends.
///
/// # Errors
/// An error of the kernel if it refuses a thread.
pub(crate) fn start(spool: Arc<Spool>, events: Events) -> io::Result<()> {
    thread::Builder::new().name("output".into()).spawn(move || {
        let ended = write_all(&spool, Output);
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
