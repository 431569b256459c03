//! The demo's output: a progress bar on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::demo::byte_count::Bytes;
use crate::demo::output::Output;

/// Writes to standard output. The first error is kept for [`Report::check`]: lines are written in
/// callbacks too.
#[derive(Debug)]
pub(crate) struct Report {
    /// The size of the stream in bytes.
    total: u64,
    output: Output,
    /// `None` if standard output is not a terminal.
    bar: Option<ProgressBar>,
    /// The percentage at which the next plain line is due.
    next_percent: AtomicU64,
}

impl Report {
    /// Creates the output for a stream of `total` bytes.
    pub(crate) fn new(total: u64) -> Self {
        let output = Output::default();
        let bar = io::stdout().is_terminal().then(|| {
            let terminal = Box::new(output.clone());
            let target = ProgressDrawTarget::term_like_with_hz(terminal, REDRAWS_PER_SECOND);
            ProgressBar::with_draw_target(Some(total), target).with_style(style())
        });
        Self { total, output, bar, next_percent: AtomicU64::new(STEP) }
    }

    /// Writes a line, above the bar if there is one.
    pub(crate) fn line(&self, text: fmt::Arguments<'_>) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.line(text)),
            None => self.output.line(text),
        }
    }

    /// Shows how many bytes have arrived.
    pub(crate) fn progress(&self, arrived: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(arrived);
            return;
        }
        let percent = percent(arrived, self.total);
        // Relaxed is enough: only one thread reports progress.
        if percent >= self.next_percent.load(Ordering::Relaxed) {
            self.next_percent.store(percent - percent % STEP + STEP, Ordering::Relaxed);
            let (arrived, total) = (Bytes(arrived), Bytes(self.total));
            self.line(format_args!("{percent:>3} % ({arrived} of {total}) arrived"));
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Checks that everything so far was written.
    ///
    /// # Errors
    /// The first error of a write.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.output.check()
    }
}

/// Returns `part` in whole percent of `total`; 100 if `total` is 0.
pub(crate) fn percent(part: u64, total: u64) -> u64 {
    let percent = (u128::from(part) * 100).checked_div(u128::from(total)).unwrap_or(100);
    // `min` makes it fit into a `u64`.
    percent.min(100) as u64
}

fn style() -> ProgressStyle {
    let template =
        "{bar:40} {percent:>3} % {decimal_bytes} of {decimal_total_bytes} {decimal_bytes_per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The percentage between two plain lines.
const STEP: u64 = 10;
const REDRAWS_PER_SECOND: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_whole_and_at_most_a_hundred() {
        assert_eq!(percent(0, 3), 0);
        assert_eq!(percent(2, 3), 66);
        assert_eq!(percent(3, 3), 100);
        assert_eq!(percent(4, 3), 100, "a file that grew meanwhile");
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
    }
}
