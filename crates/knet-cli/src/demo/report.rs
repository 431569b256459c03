//! What the demo shows: a progress bar on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::demo::bytes::Bytes;

/// Writes to standard output. If nobody reads it any more the demo goes on; its exit code tells.
#[derive(Debug)]
pub(crate) struct Report {
    /// How many bytes there are to stream.
    total: u64,
    /// None where there is no terminal.
    bar: Option<ProgressBar>,
    /// At how many percent the next plain line of progress is due.
    next_percent: AtomicU64,
}

impl Report {
    /// For a stream of `total` bytes.
    pub(crate) fn new(total: u64) -> Self {
        let bar = io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stdout());
            bar.with_style(style())
        });
        Self { total, bar, next_percent: AtomicU64::new(STEP) }
    }

    /// Writes a line, above the bar if there is one.
    pub(crate) fn line(&self, text: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| write(text)),
            None => write(text),
        }
    }

    /// Shows how many bytes have arrived.
    pub(crate) fn progress(&self, arrived: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(arrived);
            return;
        }
        let percent = percent(arrived, self.total);
        if percent >= self.next_percent.load(Ordering::Relaxed) {
            self.next_percent.store(percent - percent % STEP + STEP, Ordering::Relaxed);
            let (arrived, total) = (Bytes(arrived), Bytes(self.total));
            self.line(format_args!("{percent:>3} % ({arrived} of {total}) arrived"));
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How much of `total` is `part`, in whole percent. All of nothing is everything.
pub(crate) fn percent(part: u64, total: u64) -> u64 {
    let percent = (u128::from(part) * 100).checked_div(u128::from(total)).unwrap_or(100);
    // At most 100, so it fits.
    percent.min(100) as u64
}

fn write(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn style() -> ProgressStyle {
    let template =
        "{bar:40} {percent:>3} % {decimal_bytes} of {decimal_total_bytes} {decimal_bytes_per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// How many percent lie between two plain lines of progress.
const STEP: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_whole_and_at_most_a_hundred() {
        assert_eq!(percent(0, 3), 0);
        assert_eq!(percent(2, 3), 66);
        assert_eq!(percent(3, 3), 100);
        assert_eq!(percent(4, 3), 100, "a file that grew meanwhile");
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }
}
