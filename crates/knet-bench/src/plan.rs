//! What to measure, as the command line says it.

use std::time::Duration;

/// What to measure. The same arguments for everything that can be measured.
#[derive(Clone, Debug, clap::Args)]
#[non_exhaustive]
pub struct Plan {
    /// What to measure.
    #[arg(long, value_enum, default_value_t = Mode::Throughput)]
    pub mode: Mode,

    /// Bytes of a message, 8 to 65536.
    #[arg(long, value_name = "BYTES", default_value = "1024", value_parser = parse_size)]
    pub size: usize,

    /// How many messages, round trips or handles to measure. A tenth as many messages go before as a
    /// warm-up.
    #[arg(long, value_name = "N", default_value = "200000", value_parser = parse_count)]
    pub count: u64,

    /// How many messages may be on their way at most. The receiver gives credit by the half window.
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_window)]
    pub window: u64,

    /// How many messages the application writes or reads with one system call, 1 to 64.
    #[arg(long, value_name = "N", default_value = "64", value_parser = parse_batch)]
    pub batch: usize,

    /// How the links are used.
    #[arg(long, value_enum, default_value_t = Policy::Passive)]
    pub policy: Policy,

    /// How many links there are between the two hosts, 1 to 8, if they are in this process; 0 for an
    /// idle handle.
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_links)]
    pub links: u8,

    /// Whether messages are written to the datafd or given to the call that sends.
    #[arg(long, value_enum, default_value_t = Via::Datafd)]
    pub via: Via,

    /// How many hosts each host has configured, 1 to 1000; all but one never answer.
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_hosts)]
    pub hosts: u16,

    /// How many channels each host has datafds for, 2 to 32; messages go over channel 0.
    #[arg(long, value_name = "N", default_value = "2", value_parser = parse_channels)]
    pub channels: u8,

    /// How long an idle handle is watched.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub seconds: u64,

    /// How long the one who sends pauses before each round trip, which does not count as part of it.
    #[arg(long, value_name = "MICROSECONDS", default_value = "0", value_parser = parse_microseconds)]
    pub pause: Duration,

    /// How long the threads of kronosnet look for more to do at most before they sleep; nobody else's do.
    #[arg(long, value_name = "MICROSECONDS", value_parser = parse_microseconds)]
    pub busy_poll: Option<Duration>,

    /// Writes the report as one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Messages one way, as fast as the window lets them.
    Throughput,
    /// One message at a time, there and back.
    Latency,
    /// How often a handle that has nothing to do wakes up, and how much memory it takes.
    Idle,
    /// How long it takes to make a handle and to let it go.
    Create,
}

/// How several links to a host are used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "libknet has these three")]
pub enum Policy {
    /// The best link only.
    Passive,
    /// Every message over all links.
    Active,
    /// Each message over the next link.
    #[value(name = "rr")]
    #[serde(rename = "rr")]
    RoundRobin,
}

/// How messages are handed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "there are two ways")]
pub enum Via {
    /// Written to the datafd.
    Datafd,
    /// Given to the call that sends.
    Send,
}

/// Why a number on the command line is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a number from {least} to {most} is needed")]
pub struct PlanError {
    least: u64,
    most: u64,
}

impl Plan {
    /// How many messages go before the measured ones.
    pub(crate) fn warm_up(&self) -> u64 {
        self.count.div_ceil(10)
    }

    /// After how many messages the receiver gives credit.
    pub(crate) fn credit_step(&self) -> u64 {
        (self.window / 2).max(1)
    }
}

/// A message has room for its number, and is no longer than libknet takes.
fn parse_size(text: &str) -> Result<usize, PlanError> {
    parse(text, 8, 65536).map(|size| size as usize)
}

fn parse_count(text: &str) -> Result<u64, PlanError> {
    parse(text, 1, 1_000_000_000_000)
}

/// The window is kept in memory, a buffer for each message.
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

/// Two are taken: for messages and for credit.
fn parse_channels(text: &str) -> Result<u8, PlanError> {
    parse(text, 2, 32).map(|channels| channels as u8)
}

fn parse_seconds(text: &str) -> Result<u64, PlanError> {
    parse(text, 1, 3600)
}

fn parse_microseconds(text: &str) -> Result<Duration, PlanError> {
    parse(text, 0, 1_000_000).map(Duration::from_micros)
}

fn parse(text: &str, least: u64, most: u64) -> Result<u64, PlanError> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or(PlanError { least, most })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        plan: Plan,
    }

    fn parsed(text: &[&str]) -> Result<Plan, clap::Error> {
        Args::try_parse_from([&["bench"], text].concat()).map(|args| args.plan)
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
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
                assert!(error.contains("a number from"), "{option} {value}: {error}");
            }
        }
    }

    #[test]
    fn credit_comes_before_the_window_is_used_up() {
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
