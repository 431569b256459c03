//! How a measurement went, for people and for programs.

use std::fmt;
use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cost::Cost;
use crate::plan::{Mode, Plan, Policy, Via};

/// How a measurement went.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What was measured, with its version.
    pub subject: String,
    /// What was measured of it.
    pub mode: Mode,
    /// Bytes of a message.
    pub size: usize,
    /// Messages that arrived, or round trips.
    pub messages: u64,
    /// Messages that did not arrive. A run that loses one fails, so it is 0.
    pub lost: u64,
    /// How many messages could be on their way.
    pub window: u64,
    /// How the links were used.
    pub policy: Policy,
    /// How messages were handed over.
    pub via: Via,
    /// How long it took.
    pub seconds: f64,
    /// Messages, or round trips, a second.
    pub messages_per_second: f64,
    /// Payload one way, in 10^6 bytes a second.
    pub megabytes_per_second: f64,
    /// CPU time of this process, all its threads and the kernel on their behalf, for a million
    /// messages or round trips.
    pub cpu_seconds_per_million: f64,
    /// How long a round trip took.
    pub latency: Option<Latency>,
    /// Resident memory of this process at the end.
    pub resident_bytes: u64,
}

/// How long a round trip took, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Half of them were faster.
    pub median: f64,
    /// 99 of 100 were faster.
    pub p99: f64,
    /// 999 of 1000 were faster.
    pub p999: f64,
}

impl Latency {
    pub(crate) fn from_nanoseconds(histogram: &Histogram<u64>) -> Self {
        let microseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { median: microseconds(0.5), p99: microseconds(0.99), p999: microseconds(0.999) }
    }
}

impl Report {
    /// Of a run in which everything that was planned arrived.
    pub(crate) fn new(plan: &Plan, subject: &str, cost: Cost, resident_bytes: u64) -> Self {
        let seconds = cost.elapsed.as_secs_f64().max(1e-9);
        // Nobody counts messages of a number so large that a float is not exact.
        let messages = plan.count as f64;
        Self {
            subject: subject.to_owned(),
            mode: plan.mode,
            size: plan.size,
            messages: plan.count,
            lost: 0,
            window: plan.window,
            policy: plan.policy,
            via: plan.via,
            seconds,
            messages_per_second: messages / seconds,
            megabytes_per_second: messages * plan.size as f64 / seconds / 1e6,
            cpu_seconds_per_million: cost.cpu.as_secs_f64() / messages * 1e6,
            latency: None,
            resident_bytes,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.mode {
            Mode::Latency => "round trips",
            _ => "messages",
        };
        writeln!(f, "{}: {} {what} of {} bytes", self.subject, self.messages, self.size)?;
        writeln!(f, "  in          {:>12.3} s, {} lost", self.seconds, self.lost)?;
        writeln!(f, "  rate        {:>12.0} /s", self.messages_per_second)?;
        writeln!(f, "  payload     {:>12.1} MB/s", self.megabytes_per_second)?;
        writeln!(f, "  CPU         {:>12.3} s for a million", self.cpu_seconds_per_million)?;
        if let Some(Latency { median, p99, p999 }) = self.latency {
            writeln!(f, "  round trip  {median:>12.1} µs median, {p99:.1} p99, {p999:.1} p99.9")?;
        }
        write!(f, "  memory      {:>12.1} MiB resident", self.resident_bytes as f64 / MIB)
    }
}

/// Writes a report to standard output, for people or as one line of JSON.
///
/// # Errors
/// Those of writing.
pub fn print(plan: &Plan, report: &(impl Serialize + fmt::Display)) -> io::Result<()> {
    let text = if plan.json { serde_json::to_string(report)? } else { report.to_string() };
    writeln!(io::stdout(), "{text}")
}

pub(crate) const MIB: f64 = 1024.0 * 1024.0;
