//! Turns the signals that ask a command to end into events.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cat::event::{Event, Events};

/// Tells `events` of each SIGINT and SIGTERM from now on, which no longer end the process by
/// themselves.
///
/// # Errors
/// If the kernel refuses a handler or a thread.
pub(crate) fn watch(events: Events) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for _ in signals.forever() {
            let _ = events.send(Event::Signal);
        }
    })?;
    Ok(())
}
