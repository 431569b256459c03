//! The arguments of `knet check`.

use std::time::Duration;

use kronosnet::{Channel, HostId};

use crate::args::{PeerLink, host_id, number, seconds};
use crate::output::Format;

/// Tests each link of a planned cluster and explains what is wrong.
///
/// For each link it checks whether the plan can work at all (addresses, routes, interfaces), whether
/// the peer answers, the round-trip time, ping loss, the path MTU, and whether the peer's own pings
/// arrive. If knet check runs on the other side too, the two exchange their results, and each
/// reports both directions. With any other knet node as a peer, it reports what can be observed
/// from this side.
///
/// Exit codes: 0 every link is fine, 1 failure, 2 wrong arguments, 3 a link is at fault.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = host_id)]
    pub(crate) id: HostId,

    /// A link to another host. 2:127.0.0.1:5001=127.0.0.1:5002 is a link to host 2, from the local
    /// address to the remote one. IPv6 addresses are written in brackets. Repeating a host adds its
    /// next link; both ends must list their links in the same order.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., required = true)]
    pub(crate) peers: Vec<PeerLink>,

    /// How long to wait for a link to come up, and later for anything that is still missing.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) wait: Duration,

    /// How many pings to count on each link, at 20 per second.
    #[arg(
        long, value_name = "COUNT", default_value = "50",
        value_parser = |text: &str| number(text, 1, u32::MAX)
    )]
    pub(crate) count: u32,

    /// Whether to exchange results with peers that run knet check too.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) exchange: Exchange,

    /// The channel for exchanging results, 0 to 31. Choose one that nothing else uses.
    #[arg(long, value_name = "N", default_value = "31")]
    pub(crate) channel: Channel,

    /// The output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// Whether to exchange results with peers that run `knet check` too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Exchange {
    /// With peers that send theirs within two seconds.
    Auto,
    /// With all peers: a peer that sends none is a fault.
    Always,
    /// With no peer: no messages are sent.
    Never,
}
