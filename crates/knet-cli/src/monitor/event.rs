//! What the monitor reacts to.

use ratatui::crossterm::event::KeyEvent;

use crate::monitor::log_entry::LogEntry;

/// Something that changes what is shown, or ends the command.
#[derive(Debug)]
pub(crate) enum Event {
    /// An entry for the event log.
    Log(LogEntry),
    Key(KeyEvent),
    /// The terminal has a new size.
    Resized,
    /// A signal was received, or the terminal was closed.
    End,
}
