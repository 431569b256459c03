//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use knet_bench::Plan;
use kronosnet::{Channel, HostId, MAX_MESSAGE};

use crate::check::args::CheckArgs;
use crate::monitor::args::MonitorArgs;
use crate::peer::PeerLink;
use crate::remote::Remote;

/// Pipes data through kronosnet links, and shows them at work.
#[derive(Debug, Parser)]
#[command(name = "knet", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Cat(CatArgs),
    Bench(BenchArgs),
    Monitor(MonitorArgs),
    Check(CheckArgs),
}

/// Streams a file between two hosts in this process while one of their two links fails.
///
/// The hosts are linked twice over loopback. The file goes from host 1 to host 2 on channel 0, and
/// acknowledgements come back on channel 1. Half-way the preferred link is taken away, and it is
/// given back later.
///
/// Exit codes: 0 if the file arrived unchanged and the link came back, else 1; 2 for wrong arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// What to stream; by default the knet command itself.
    pub(crate) file: Option<PathBuf>,
}

/// Sends standard input to the peers, and writes what they send to standard output.
///
/// Starts when every peer is reachable. Ends when the input is at its end, everything has been
/// handed to the links and so many messages as --recv says have been received; cleanly, with exit
/// code 0, also when SIGINT or SIGTERM comes or nobody reads the output any more.
///
/// Links repeat nothing and hold nobody back. So that receivers can keep up, no more is sent at once
/// than 128 KiB, the bookkeeping of packets included; then nothing until each link has answered a
/// ping, and for 5 ms more. A receiver that is slower than that loses messages: it says so on
/// standard error, and fails in the end.
///
/// Exit codes: 0 fine, 1 failure, 2 wrong arguments or a line that is too long, 3 a peer cannot be
/// reached.
#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    pub(crate) id: HostId,

    /// A link to another host: 2:127.0.0.1:5001=127.0.0.1:5002 leads to host 2 from the local
    /// address to the remote one. An IPv6 address stands in brackets. Naming a host again adds its
    /// next link; both ends must name their links in the same order.
    ///
    /// With a network in place of the remote address, as in 2:127.0.0.1:5001=127.0.0.0/8, the link is
    /// dynamic: the peer, which has to know our address, is found when it speaks from that network, and
    /// followed when it moves. 0.0.0.0/0 and ::/0 let it speak from anywhere.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., required = true)]
    pub(crate) peers: Vec<PeerLink<Remote>>,

    /// The channel to send and receive on, 0 to 31.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) channel: Channel,

    /// Each line of input is a message, without its newline, and each received message becomes a
    /// line. An empty line travels as a newline, because no message is empty. At most 65536 bytes.
    #[arg(long, conflicts_with = "message_size")]
    pub(crate) lines: bool,

    /// Cuts the input into messages of so many bytes, 1 to 65536. A message is sent when it is full
    /// or the input is at its end.
    #[arg(long, value_name = "BYTES", default_value = "8192", value_parser = parse_message_size)]
    pub(crate) message_size: usize,

    /// How long to wait for the peers at the start, and for one that is lost later.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub(crate) wait: Duration,

    /// How many messages to receive before ending. With empty input it only receives.
    #[arg(long, value_name = "COUNT", default_value = "0")]
    pub(crate) recv: u64,

    /// Sends to these peers only.
    #[arg(long, value_name = "HOST", num_args = 1.., value_parser = parse_host)]
    pub(crate) to: Vec<HostId>,

    /// Tells on standard error what happens to the links; RUST_LOG chooses what else.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Measures how fast messages go from one host to another.
///
/// Without --role both hosts are in this process, linked over loopback. With it each is in a process of
/// its own, perhaps on another machine; both are given the same plan, and each reports what it saw and
/// what it cost there.
///
/// The sender never runs more than --window messages ahead of the receiver, so none is lost. Credit goes
/// back within the process, or else over channel 1.
///
/// Exit codes: 0 fine, 1 failure, also if a message was lost, 2 wrong arguments, 3 the hosts do not find
/// each other.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) plan: Plan,

    /// Which of two processes this is.
    #[arg(long, value_enum, requires_all = ["id", "peers"], conflicts_with = "links")]
    pub(crate) role: Option<Role>,

    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = parse_host, requires = "role")]
    pub(crate) id: Option<HostId>,

    /// A link to the other host, as in knet cat; several add several links.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., requires = "role")]
    pub(crate) peers: Vec<PeerLink>,

    /// How long to wait for the other process at the start.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    pub(crate) wait: Duration,
}

/// Which of two processes this is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Role {
    /// The one that sends.
    Send,
    /// The one that receives, or answers.
    Recv,
}

pub(crate) fn parse_host(text: &str) -> Result<HostId, String> {
    text.parse().map_err(|_| "a number from 0 to 65535 is needed".to_owned())
}

fn parse_message_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 1..=MAX_MESSAGE) => Ok(size),
        _ => Err(format!("a number from 1 to {MAX_MESSAGE} is needed")),
    }
}

pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.ok_or("a number of seconds is needed, such as 10 or 0.5")?;
    // A century is for ever, and can be added to any time of the clock.
    Ok(seconds.min(Duration::from_secs(100 * 365 * 86_400)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn cat(more: &[&str]) -> Result<CatArgs, clap::Error> {
        let start = ["knet", "cat", "--id", "1", "--peer", "2:127.0.0.1:1=127.0.0.1:2"];
        match Args::try_parse_from(start.iter().chain(more))?.command {
            Command::Cat(args) => Ok(args),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let args = cat(&[]).unwrap();
        assert_eq!(args.id, HostId::new(1));
        assert_eq!(args.channel.get(), 0);
        assert_eq!((args.lines, args.message_size), (false, 8192));
        assert_eq!((args.wait, args.recv), (Duration::from_secs(10), 0));
        assert!(args.to.is_empty() && !args.verbose);
    }

    #[test]
    fn lists_may_follow_one_option_or_repeat_it() {
        let args = cat(&["3:[::1]:1=[::1]:2", "--peer", "2:127.0.0.1:3=127.0.0.1:4"]).unwrap();
        let hosts: Vec<u16> = args.peers.iter().map(|peer| peer.host.get()).collect();
        assert_eq!(hosts, [2, 3, 2]);
        let args = cat(&["--to", "2", "3", "--to", "4"]).unwrap();
        assert_eq!(args.to, [2, 3, 4].map(HostId::new));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for wrong in [
            ["--channel", "32"],
            ["--channel", "-1"],
            ["--message-size", "0"],
            ["--message-size", "65537"],
            ["--wait", "-1"],
            ["--wait", "soon"],
            ["--wait", "NaN"],
            ["--recv", "-1"],
            ["--to", "65536"],
            ["--id", "2"],
        ] {
            assert!(cat(&wrong).is_err(), "{wrong:?}");
        }
        assert!(cat(&["--lines", "--message-size", "5"]).is_err());
        assert_eq!(cat(&["--message-size", "65536"]).unwrap().message_size, 65536);
        assert_eq!(cat(&["--wait", "0.25"]).unwrap().wait, Duration::from_millis(250));
        let for_ever = cat(&["--wait", "1e18"]).unwrap().wait;
        assert!(std::time::Instant::now().checked_add(for_ever).is_some());
    }
}
