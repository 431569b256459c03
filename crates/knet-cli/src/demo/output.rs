//! Standard output as the demo writes it: to its end or to the first error.

use std::fmt;
use std::io;
use std::sync::Arc;

use indicatif::TermLike;
use parking_lot::Mutex;
use ratatui::crossterm::terminal;

use crate::process::stdio;

/// Writes to standard output until a write fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// The first error.
    failed: Arc<Mutex<Option<anyhow::Error>>>,
}

impl Output {
    /// Writes a line.
    pub(crate) fn line(&self, text: fmt::Arguments<'_>) {
        self.write(&format!("{text}\n"));
    }

    /// Checks that everything so far was written.
    ///
    /// # Errors
    /// The first error of a write; reported once.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.failed.lock().take().map_or(Ok(()), Err)
    }

    fn write(&self, text: &str) {
        // Locked, so that lines of different threads do not mix.
        let mut failed = self.failed.lock();
        if failed.is_none() {
            *failed = stdio::write_stdout(text.as_bytes()).err();
        }
    }
}

/// A terminal for the progress bar, whose own one neither waits for room nor reports errors.
impl TermLike for Output {
    fn width(&self) -> u16 {
        terminal::size().map_or(80, |(columns, _)| columns)
    }

    fn height(&self) -> u16 {
        terminal::size().map_or(24, |(_, rows)| rows)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.line(format_args!("{text}"));
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        if n > 0 {
            self.write(&format!("\x1b[{n}{direction}"));
        }
        Ok(())
    }
}
