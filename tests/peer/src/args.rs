//! The command line, a subset of that of `knet`. The suite `interop` tests that they are compatible.

use std::time::Duration;

use clap::{Parser, Subcommand};
use knet_bench::Plan;
use kronosnet::{Channel, HostId, MAX_MESSAGE};

use crate::peer_link::{PeerLink, Remote};

/// Does what knet does, with the libknet of this machine.
#[derive(Debug, Parser)]
#[command(name = "libknet-peer", max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the release of libknet.
    Version,
    Cat(CatArgs),
    Bench(BenchArgs),
}

/// Sends standard input to the peers, and writes what they send to standard output.
///
/// libknet does not report which messages were lost, so libknet-peer sends at most 128 KiB per two
/// answered pings: about 300 KiB per second.
#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST")]
    pub(crate) id: HostId,

    /// A link to another host, such as 2:127.0.0.1:5001=127.0.0.1:5002. With a network in place of the
    /// remote address, as in 2:127.0.0.1:5001=127.0.0.0/8, the address is learned from its packets.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., required = true)]
    pub(crate) peers: Vec<PeerLink<Remote>>,

    /// The channel to send and receive on, 0 to 31.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) channel: Channel,

    /// Sends each line of the input as a message, without its newline.
    #[arg(long, conflicts_with = "message_size")]
    pub(crate) lines: bool,

    /// Splits the input into messages of this size.
    #[arg(long, value_name = "BYTES", default_value = "8192", value_parser = parse_message_size)]
    pub(crate) message_size: usize,

    /// How long to wait for the peers.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub(crate) wait: Duration,

    /// How many messages to receive before ending.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) recv: u64,

    /// Sends to these peers only.
    #[arg(long, value_name = "HOST", num_args = 1..)]
    pub(crate) to: Vec<HostId>,

    /// Reports on standard error when all peers are reachable.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Measures libknet in the same way as knet bench.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) plan: Plan,

    /// Which of two processes this is.
    #[arg(long, value_enum, requires_all = ["id", "peers"], conflicts_with = "links")]
    pub(crate) role: Option<Role>,

    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", requires = "role")]
    pub(crate) id: Option<HostId>,

    /// A link to the other host. Repeating it adds another link.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., requires = "role")]
    pub(crate) peers: Vec<PeerLink>,

    /// How long to wait for the other process at the start.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    pub(crate) wait: Duration,
}

/// Which of two processes this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Sends.
    Send,
    /// Receives, or answers in latency mode.
    Recv,
}

fn parse_message_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=MAX_MESSAGE) => Ok(size),
        _ => Err(format!("expected a number from 1 to {MAX_MESSAGE}")),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or("expected a number of seconds, such as 10 or 0.5")
}
