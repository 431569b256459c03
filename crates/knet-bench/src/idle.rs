//! Measures what a handle without traffic costs.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cost::{resident_bytes, sleeps_of_other_threads};
use crate::error::BenchError;
use crate::plan::{Mode, Plan};
use crate::report::MIB;

/// What a handle without traffic costs.
///
/// # Example
/// ```
/// use knet_bench::{IdleReport, Plan};
///
/// let mut plan = Plan::default();
/// plan.seconds = 1;
/// let report: IdleReport = knet_bench::idle(&plan, "nothing")?;
/// println!("{:.1} wake-ups per second", report.wake_ups_per_second);
/// # Ok::<(), knet_bench::BenchError>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IdleReport {
    /// What was measured, with its version.
    pub subject: String,
    /// Always [`Mode::Idle`].
    pub mode: Mode,
    /// The duration of the measurement.
    pub seconds: f64,
    /// Wake-ups of all threads together, per second.
    pub wake_ups_per_second: f64,
    /// Resident memory of this process at the end, in bytes.
    pub resident_bytes: u64,
}

/// Measures all threads of this process, except for the calling one, for [`Plan::seconds`]. Waits one
/// second before, so that they come to rest.
///
/// # Errors
/// [`BenchError::Failed`] if `/proc` cannot be read.
///
/// # Example
/// ```
/// let mut plan = knet_bench::Plan::default();
/// plan.seconds = 1;
/// let report = knet_bench::idle(&plan, "nothing")?;
/// assert!(report.seconds >= 1.0);
/// # Ok::<(), knet_bench::BenchError>(())
/// ```
pub fn idle(plan: &Plan, subject: &str) -> Result<IdleReport, BenchError> {
    // PAUSE: nothing reports when threads that were just started first go to sleep.
    thread::sleep(SETTLE);
    let start = Instant::now();
    let before = sleeps_of_other_threads()?;
    // PAUSE: this is the time that is measured.
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

/// How long to wait for a handle to come to rest.
const SETTLE: Duration = Duration::from_secs(1);

impl fmt::Display for IdleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: idle for {:.1} s", self.subject, self.seconds)?;
        writeln!(f, "  wake-ups    {:>12.2} /s", self.wake_ups_per_second)?;
        write!(f, "  memory      {:>12.1} MiB resident", self.resident_bytes as f64 / MIB)
    }
}
