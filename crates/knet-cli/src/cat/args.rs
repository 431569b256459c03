//! The arguments of `knet cat`.

use std::time::Duration;

use kronosnet::{Channel, HostId, MAX_MESSAGE};

use crate::args::{PeerLink, Remote, host_id, number, seconds};

/// Sends standard input to the peers, and writes what they send to standard output.
///
/// Starts once every peer is reachable. Ends at the end of the input, once everything has been
/// sent and the requested number of messages has been received (--recv).
///
/// Links neither retransmit nor apply backpressure. So a receiving knet cat returns credit for what it
/// has taken, on the channel 16 above --channel (modulo 32), and a sender has no more in flight than
/// that allows. To other programs at most 128 KiB are sent at once, including the bookkeeping of
/// packets; then each link has to answer a ping, and 5 ms pass. A receiver that is slower than this
/// loses messages. Lost messages are reported on standard error, and are a failure at the end.
///
/// Exit codes: 0 success, 1 failure, 2 wrong arguments or a line that is too long, 3 a peer cannot
/// be reached or was lost, 128 + N ended by signal N.
#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = host_id)]
    pub(crate) id: HostId,

    /// A link to another host. 2:127.0.0.1:5001=127.0.0.1:5002 is a link to host 2, from the local
    /// address to the remote one. IPv6 addresses are written in brackets. Repeating a host adds its
    /// next link; both ends must list their links in the same order.
    ///
    /// With a network in place of the remote address, as in 2:127.0.0.1:5001=127.0.0.0/8, the link
    /// is dynamic: the peer's address is learned from its packets, which must come from that
    /// network, and followed when it changes. The peer must be configured with our address. 0.0.0.0/0 and ::/0
    /// accept any address.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., required = true)]
    pub(crate) peers: Vec<PeerLink<Remote>>,

    /// The channel to send and receive on, 0 to 31.
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) channel: Channel,

    /// Sends each line of the input as a message, without its newline, and writes each received
    /// message as a line. Messages are never empty, so an empty line is sent as a newline. Lines
    /// have at most 65536 bytes.
    #[arg(long, conflicts_with = "message_size")]
    pub(crate) lines: bool,

    /// Splits the input into messages of this size, 1 to 65536 bytes. A message is sent when it is
    /// full, or at the end of the input.
    #[arg(
        long, value_name = "BYTES", default_value = "8192",
        value_parser = |text: &str| number(text, 1, MAX_MESSAGE)
    )]
    pub(crate) message_size: usize,

    /// How long to wait for the peers at the start, and for a peer that is lost later.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) wait: Duration,

    /// How many messages to receive before ending. To receive only, leave the input empty.
    #[arg(
        long, value_name = "COUNT", default_value = "0",
        value_parser = |text: &str| number(text, 0, u64::MAX)
    )]
    pub(crate) recv: u64,

    /// Sends to these peers only.
    #[arg(long, value_name = "HOST", num_args = 1.., value_parser = host_id)]
    pub(crate) to: Vec<HostId>,

    /// Reports link and host events on standard error, and warnings of the library. RUST_LOG selects
    /// what else is logged: a level, such as debug, or a level for a part, such as knet::link=debug.
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        cat: CatArgs,
    }

    fn parse(more: &[&str]) -> Result<CatArgs, clap::Error> {
        let start = ["cat", "--id", "1", "--peer", "2:127.0.0.1:1=127.0.0.1:2"];
        Cli::try_parse_from(start.iter().chain(more)).map(|cli| cli.cat)
    }

    #[test]
    fn the_defaults_are_those_of_the_help() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.id, HostId::new(1));
        assert_eq!(args.channel.get(), 0);
        assert_eq!((args.lines, args.message_size), (false, 8192));
        assert_eq!((args.wait, args.recv), (Duration::from_secs(10), 0));
        assert!(args.to.is_empty() && !args.verbose);
    }

    #[test]
    fn lists_may_follow_one_option_or_repeat_it() {
        let args = parse(&["3:[::1]:1=[::1]:2", "--peer", "2:127.0.0.1:3=127.0.0.1:4"]).unwrap();
        let hosts: Vec<u16> = args.peers.iter().map(|peer| peer.host.get()).collect();
        assert_eq!(hosts, [2, 3, 2]);
        let args = parse(&["--to", "2", "3", "--to", "4"]).unwrap();
        assert_eq!(args.to, [2, 3, 4].map(HostId::new));
    }

    #[test]
    fn numbers_out_of_range_are_rejected() {
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
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&["--lines", "--message-size", "5"]).is_err());
        assert_eq!(parse(&["--message-size", "65536"]).unwrap().message_size, 65536);
        assert_eq!(parse(&["--wait", "0.25"]).unwrap().wait, Duration::from_millis(250));
    }
}
