//! What the monitor reacts to.

use termion::event::Key;

use crate::monitor::log_entry::LogEntry;

/// Something that changes what is shown, or ends the command.
#[derive(Debug)]
pub(crate) enum Event {
    /// An entry for the event log.
    Log(LogEntry),
    Key(Key),
    /// The terminal has a new size.
    Resized,
    /// SIGTSTP: the command is to stop.
    Suspend,
    /// SIGCONT: the command was stopped, and others may have used the terminal.
    Continued,
    /// A signal was received, or the terminal was closed.
    End,
}
