//! Making handles, and letting them go.

use std::fmt;
use std::io;
use std::time::Instant;

use serde::Serialize;

use crate::error::BenchError;
use crate::plan::{Mode, Plan};

/// How long handles take to be made and to go away.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LifecycleReport {
    /// What was made, with its version.
    pub subject: String,
    /// Always [`Mode::Create`].
    pub mode: Mode,
    /// How many, one after the other.
    pub handles: u64,
    /// How long one took from its making to the end of its going away.
    pub milliseconds_per_handle: f64,
}

/// Calls `make_and_drop` as often as planned.
///
/// # Errors
/// [`BenchError`], with what the call said.
pub fn create(
    plan: &Plan,
    subject: &str,
    mut make_and_drop: impl FnMut() -> io::Result<()>,
) -> Result<LifecycleReport, BenchError> {
    let start = Instant::now();
    for _ in 0..plan.count {
        make_and_drop().map_err(BenchError::failed("making a handle"))?;
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
