//! The results of a measurement, for people and for scripts.

use std::fmt;
use std::io::{self, Write};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cost::Cost;
use crate::plan::{Mode, Plan, Policy, Via};

/// The results of a measurement.
///
/// # Example
/// Its `Display` is for people, its `Serialize` for scripts:
/// ```
/// use knet_bench::{DirectEndpoint, Plan, Report};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// let report: Report = knet_bench::run(&plan, "socket pair", &near, &far)?;
/// assert!(report.to_string().starts_with("socket pair: 1000 messages of 1024 bytes"));
/// assert_eq!(serde_json::to_value(&report)?["messages"], 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What was measured, with its version.
    pub subject: String,
    /// What about it was measured.
    pub mode: Mode,
    /// The size of a message in bytes.
    pub size: usize,
    /// Messages that arrived, or round trips.
    pub messages: u64,
    /// Messages that did not arrive: 0, because a run that loses one fails.
    pub lost: u64,
    /// The maximum number of messages in flight.
    pub window: u64,
    /// How the links were used.
    pub policy: Policy,
    /// How the application sent messages.
    pub via: Via,
    /// The duration of the measurement.
    pub seconds: f64,
    /// Messages, or round trips, per second.
    pub messages_per_second: f64,
    /// Payload in one direction, in 10^6 bytes per second.
    pub megabytes_per_second: f64,
    /// CPU time of all threads of this process, user and kernel, per million messages or round trips.
    pub cpu_seconds_per_million: f64,
    /// The round-trip times; only in [`Mode::Latency`].
    pub latency: Option<Latency>,
    /// Resident memory of this process at the end, in bytes.
    pub resident_bytes: u64,
}

/// Round-trip times, in microseconds.
///
/// # Example
/// ```
/// use knet_bench::{DirectEndpoint, Latency, Mode, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.mode = Mode::Latency;
/// plan.count = 100;
/// let report = knet_bench::run(&plan, "socket pair", &near, &far)?;
/// let Some(Latency { median, p99, .. }) = report.latency else { panic!("latency mode") };
/// assert!(median <= p99);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Half of the round trips were faster.
    pub median: f64,
    /// 99 of 100 round trips were faster.
    pub p99: f64,
    /// 999 of 1000 round trips were faster.
    pub p999: f64,
}

impl Latency {
    pub(crate) fn from_nanoseconds(histogram: &Histogram<u64>) -> Self {
        let microseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { median: microseconds(0.5), p99: microseconds(0.99), p999: microseconds(0.999) }
    }
}

impl Report {
    /// Creates the report of a run in which all messages arrived.
    pub(crate) fn new(plan: &Plan, subject: &str, cost: Cost, resident_bytes: u64) -> Self {
        // The clock may be too coarse for a very short run.
        let seconds = cost.elapsed.as_secs_f64().max(1e-9);
        // The plan's maximum is far below 2^53, up to which a float is exact.
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
        writeln!(f, "  CPU         {:>12.3} s per million", self.cpu_seconds_per_million)?;
        if let Some(Latency { median, p99, p999 }) = self.latency {
            writeln!(f, "  round trip  {median:>12.1} µs median, {p99:.1} p99, {p999:.1} p99.9")?;
        }
        write!(f, "  memory      {:>12.1} MiB resident", self.resident_bytes as f64 / MIB)
    }
}

/// Writes a report to standard output: as one line of JSON with [`Plan::json`], otherwise for people.
///
/// # Errors
/// Those of the write.
///
/// # Example
/// ```
/// let mut plan = knet_bench::Plan::default();
/// plan.count = 1;
/// plan.json = true;
/// let report = knet_bench::create(&plan, "nothing", || Ok(()))?;
/// knet_bench::print(&plan, &report)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn print(plan: &Plan, report: &(impl Serialize + fmt::Display)) -> io::Result<()> {
    io::stdout().write_all(render(plan, report)?.as_bytes())
}

/// Formats a report as [`print()`] writes it, with a newline at the end.
///
/// # Errors
/// An error if the report cannot be represented in JSON, which no report of this crate causes.
///
/// # Example
/// ```
/// let mut plan = knet_bench::Plan::default();
/// plan.count = 1;
/// let report = knet_bench::create(&plan, "nothing", || Ok(()))?;
/// assert!(knet_bench::render(&plan, &report)?.starts_with("nothing: 1 handles\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn render(plan: &Plan, report: &(impl Serialize + fmt::Display)) -> io::Result<String> {
    let text = if plan.json { serde_json::to_string(report)? } else { report.to_string() };
    Ok(text + "\n")
}

pub(crate) const MIB: f64 = 1024.0 * 1024.0;
