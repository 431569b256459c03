//! What to measure, as specified on the command line.

use std::time::Duration;

/// What to measure. The same arguments work for everything that can be measured.
///
/// # Examples
/// From a command line, with clap:
/// ```
/// use clap::Parser;
/// use knet_bench::{Mode, Plan};
///
/// #[derive(Parser)]
/// struct Args {
///     #[command(flatten)]
///     plan: Plan,
/// }
///
/// let plan = Args::parse_from(["bench", "--mode", "latency", "--size", "64"]).plan;
/// assert_eq!((plan.mode, plan.size, plan.count), (Mode::Latency, 64, 200_000));
/// ```
/// From code:
/// ```
/// use knet_bench::{Mode, Plan};
///
/// let mut plan = Plan::default();
/// plan.mode = Mode::Latency;
/// plan.size = 64;
/// ```
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[non_exhaustive]
pub struct Plan {
    /// What to measure.
    #[arg(long, value_enum, default_value_t = DEFAULT.mode)]
    pub mode: Mode,

    /// The size of a message in bytes, 8 to 65536.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT.size, value_parser = parse_size)]
    pub size: usize,

    /// How many messages, round trips or handles to measure. A tenth as many messages are sent before
    /// as a warm-up.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.count, value_parser = parse_count)]
    pub count: u64,

    /// The maximum number of messages in flight. The receiver returns credit every half window.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.window, value_parser = parse_window)]
    pub window: u64,

    /// How many messages the application writes or reads per system call, 1 to 64.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.batch, value_parser = parse_batch)]
    pub batch: usize,

    /// How several links are used.
    #[arg(long, value_enum, default_value_t = DEFAULT.policy)]
    pub policy: Policy,

    /// The number of links between two hosts in this process, 1 to 8; 0 for an idle handle.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.links, value_parser = parse_links)]
    pub links: u8,

    /// How the application sends messages.
    #[arg(long, value_enum, default_value_t = DEFAULT.via)]
    pub via: Via,

    /// The number of hosts that each host has configured, 1 to 1000. All but one never answer.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.hosts, value_parser = parse_hosts)]
    pub hosts: u16,

    /// The number of channels with a datafd on each host, 2 to 32. Messages use channel 0.
    #[arg(long, value_name = "N", default_value_t = DEFAULT.channels, value_parser = parse_channels)]
    pub channels: u8,

    /// How long to measure an idle handle.
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT.seconds, value_parser = parse_seconds)]
    pub seconds: u64,

    /// A pause of the sender before each round trip, which is not part of the measured time.
    #[arg(long, value_name = "MICROSECONDS", default_value = "0", value_parser = parse_microseconds)]
    pub pause: Duration,

    /// How long kronosnet's threads busy-poll at most before they sleep. Other subjects do not support it.
    #[arg(long, value_name = "MICROSECONDS", value_parser = parse_microseconds)]
    pub busy_poll: Option<Duration>,

    /// Writes the report as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// The defaults, shared by the command line and [`Plan::default`].
const DEFAULT: Plan = Plan {
    mode: Mode::Throughput,
    size: 1024,
    count: 200_000,
    window: 64,
    batch: 64,
    policy: Policy::Passive,
    links: 1,
    via: Via::Datafd,
    hosts: 1,
    channels: 2,
    seconds: 10,
    pause: Duration::ZERO,
    busy_poll: None,
    json: false,
};

impl Default for Plan {
    /// Returns the plan of a command line without arguments.
    fn default() -> Self {
        DEFAULT
    }
}

/// What is measured.
///
/// # Example
/// ```
/// use knet_bench::{Mode, Plan};
///
/// assert_eq!(Plan::default().mode, Mode::Throughput);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Messages in one direction, as fast as the window allows.
    Throughput,
    /// Round trips, one message at a time.
    Latency,
    /// The wake-ups and memory of a handle without traffic.
    Idle,
    /// The time to create and drop a handle.
    Create,
}

/// How several links to a host are used.
///
/// # Example
/// ```
/// use knet_bench::{Plan, Policy};
///
/// assert_eq!(Plan::default().policy, Policy::Passive);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "libknet has these three")]
pub enum Policy {
    /// Only the best link is used.
    Passive,
    /// Every message is sent over all links.
    Active,
    /// Each message is sent over the next link.
    #[value(name = "rr")]
    #[serde(rename = "rr")]
    RoundRobin,
}

/// How the application sends messages.
///
/// # Example
/// ```
/// use knet_bench::{DirectEndpoint, Plan, Via};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// for via in [Via::Datafd, Via::Send] {
///     plan.via = via;
///     let report = knet_bench::run(&plan, "socket pair", &near, &far)?;
///     assert_eq!(report.via, via);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Via {
    /// Write to the datafd.
    Datafd,
    /// Call the function that sends, such as `Datafd::send`.
    Send,
}

/// Why a number on the command line was rejected.
///
/// # Example
/// ```
/// use clap::Parser;
/// use knet_bench::Plan;
///
/// #[derive(Debug, Parser)]
/// struct Args {
///     #[command(flatten)]
///     plan: Plan,
/// }
///
/// let error = Args::try_parse_from(["bench", "--size", "7"]).unwrap_err();
/// assert!(error.to_string().contains("expected a number from 8 to 65536"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a number from {min} to {max}")]
pub struct PlanError {
    min: u64,
    max: u64,
}

impl Plan {
    /// Returns how many messages are sent before the measured ones.
    pub(crate) fn warm_up(&self) -> u64 {
        self.count.div_ceil(10)
    }

    /// Returns after how many messages the receiver returns credit.
    pub(crate) fn credit_step(&self) -> u64 {
        (self.window / 2).max(1)
    }
}

/// Parses the size of a message, which has room for its number and is at most as large as libknet allows.
fn parse_size(text: &str) -> Result<usize, PlanError> {
    parse(text, 8, 65536).map(|size| size as usize)
}

fn parse_count(text: &str) -> Result<u64, PlanError> {
    parse(text, 1, 1_000_000_000_000)
}

/// Parses the window. Each message in it needs a buffer.
fn parse_window(text: &str) -> Result<u64, PlanError> {
    parse(text, 1, 4096)
}

fn parse_batch(text: &str) -> Result<usize, PlanError> {
    parse(text, 1, 64).map(|batch| batch as usize)
}

fn parse_links(text: &str) -> Result<u8, PlanError> {
    parse(text, 0, 8).map(|links| links as u8)
}

fn parse_hosts(text: &str) -> Result<u16, PlanError> {
    parse(text, 1, 1000).map(|hosts| hosts as u16)
}

/// Parses the number of channels. Two are in use: for messages and for credit.
fn parse_channels(text: &str) -> Result<u8, PlanError> {
    parse(text, 2, 32).map(|channels| channels as u8)
}

fn parse_seconds(text: &str) -> Result<u64, PlanError> {
    parse(text, 1, 3600)
}

fn parse_microseconds(text: &str) -> Result<Duration, PlanError> {
    parse(text, 0, 1_000_000).map(Duration::from_micros)
}

fn parse(text: &str, min: u64, max: u64) -> Result<u64, PlanError> {
    let number = text.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or(PlanError { min, max })
}

/// Parses these arguments, as a command does.
#[cfg(test)]
pub(crate) fn parsed(arguments: &[&str]) -> Result<Plan, clap::Error> {
    #[derive(Debug, clap::Parser)]
    struct Args {
        #[command(flatten)]
        plan: Plan,
    }

    clap::Parser::try_parse_from([&["bench"], arguments].concat()).map(|args: Args| args.plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_rejected() {
        for (option, wrong) in [
            ("--size", ["7", "65537"]),
            ("--count", ["0", "x"]),
            ("--window", ["0", "4097"]),
            ("--batch", ["0", "65"]),
            ("--links", ["x", "9"]),
            ("--hosts", ["0", "1001"]),
            ("--channels", ["1", "33"]),
            ("--seconds", ["0", "3601"]),
            ("--pause", ["x", "1000001"]),
            ("--busy-poll", ["x", "1000001"]),
        ] {
            for value in wrong {
                let error = parsed(&[option, value]).unwrap_err().to_string();
                assert!(error.contains("expected a number from"), "{option} {value}: {error}");
            }
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        assert_eq!(parsed(&[]).unwrap(), Plan::default());
    }

    #[test]
    fn credit_is_returned_before_the_window_is_used_up() {
        for (window, step) in [("1", 1), ("2", 1), ("3", 1), ("64", 32)] {
            assert_eq!(parsed(&["--window", window]).unwrap().credit_step(), step);
        }
    }

    #[test]
    fn there_is_always_a_warm_up() {
        assert_eq!(parsed(&["--count", "1"]).unwrap().warm_up(), 1);
        assert_eq!(parsed(&["--count", "100"]).unwrap().warm_up(), 10);
    }
}
