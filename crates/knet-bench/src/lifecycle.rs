//! Measures how long handles take to be created and dropped.

use std::fmt;
use std::io;
use std::time::Instant;

use serde::Serialize;

use crate::error::BenchError;
use crate::plan::{Mode, Plan};

/// How long handles take to be created and dropped.
///
/// # Example
/// ```
/// use knet_bench::{LifecycleReport, Plan};
///
/// let mut plan = Plan::default();
/// plan.count = 100;
/// let report: LifecycleReport = knet_bench::create(&plan, "nothing", || Ok(()))?;
/// println!("{:.3} ms each", report.milliseconds_per_handle);
/// # Ok::<(), knet_bench::BenchError>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LifecycleReport {
    /// What was created, with its version.
    pub subject: String,
    /// Always [`Mode::Create`].
    pub mode: Mode,
    /// The number of handles, created one after the other.
    pub handles: u64,
    /// The mean time from the creation of a handle to the end of its drop.
    pub milliseconds_per_handle: f64,
}

/// Calls `create_and_drop` [`Plan::count`] times. `subject` is the name of what is measured.
///
/// # Errors
/// [`BenchError::Failed`] with the error of the call.
///
/// # Example
/// ```
/// use std::net::UdpSocket;
///
/// let mut plan = knet_bench::Plan::default();
/// plan.count = 10;
/// let report = knet_bench::create(&plan, "UDP socket", || {
///     UdpSocket::bind("127.0.0.1:0").map(drop)
/// })?;
/// assert_eq!(report.handles, 10);
/// # Ok::<(), knet_bench::BenchError>(())
/// ```
pub fn create(
    plan: &Plan,
    subject: &str,
    mut create_and_drop: impl FnMut() -> io::Result<()>,
) -> Result<LifecycleReport, BenchError> {
    let start = Instant::now();
    for _ in 0..plan.count {
        create_and_drop().map_err(BenchError::failed("creating a handle"))?;
    }
    Ok(LifecycleReport {
        subject: subject.to_owned(),
        mode: Mode::Create,
        handles: plan.count,
        milliseconds_per_handle: start.elapsed().as_secs_f64() * 1e3 / plan.count as f64,
    })
}

impl fmt::Display for LifecycleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} handles", self.subject, self.handles)?;
        write!(f, "  each        {:>12.3} ms", self.milliseconds_per_handle)
    }
}
