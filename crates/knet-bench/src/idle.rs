//! A handle that has nothing to do.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cost::{resident_bytes, sleeps_of_other_threads};
use crate::error::BenchError;
use crate::plan::{Mode, Plan};
use crate::report::MIB;

/// What a handle that has nothing to do costs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IdleReport {
    /// What was watched, with its version.
    pub subject: String,
    /// Always [`Mode::Idle`].
    pub mode: Mode,
    /// For how long.
    pub seconds: f64,
    /// How often its threads woke up, all of them together.
    pub wake_ups_per_second: f64,
    /// Resident memory of this process in the end.
    pub resident_bytes: u64,
}

/// Watches this process, but for the calling thread, for as long as planned, once it has settled.
///
/// # Errors
/// [`BenchError`], if `/proc` cannot be read.
pub fn idle(plan: &Plan, subject: &str) -> Result<IdleReport, BenchError> {
    // PAUSE: threads that were just started go to sleep for the first time; nobody tells when.
    thread::sleep(SETTLE);
    let start = Instant::now();
    let before = sleeps_of_other_threads()?;
    // PAUSE: nothing must happen for that long, which is what is measured.
    thread::sleep(Duration::from_secs(plan.seconds));
    let wake_ups = sleeps_of_other_threads()?.saturating_sub(before);
    let seconds = start.elapsed().as_secs_f64();
    Ok(IdleReport {
        subject: subject.to_owned(),
        mode: Mode::Idle,
        seconds,
        wake_ups_per_second: wake_ups as f64 / seconds,
        resident_bytes: resident_bytes()?,
    })
}

/// How long a handle takes to come to rest.
const SETTLE: Duration = Duration::from_secs(1);

impl fmt::Display for IdleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: idle for {:.1} s", self.subject, self.seconds)?;
        writeln!(f, "  wake-ups    {:>12.2} /s", self.wake_ups_per_second)?;
        write!(f, "  memory      {:>12.1} MiB resident", self.resident_bytes as f64 / MIB)
    }
}
