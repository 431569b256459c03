//! The arguments of `knet check`.

use std::time::Duration;

use kronosnet::{Channel, HostId};

use crate::args::{parse_host, parse_seconds};
use crate::output::Format;
use crate::peer::PeerLink;

/// Tests each link of a planned cluster and says in words what is wrong.
///
/// For each link: whether the plan can work at all (addresses, routes, interfaces), whether the peer
/// answers, the round trip, how many pings are lost, the path MTU, and whether the peer's own pings
/// arrive. If knet check runs on the other side too, the two exchange what they see, so that each
/// tells both directions. Any other knet node will do as a peer; then what can be seen from here is
/// told.
///
/// Exit codes: 0 every link is fine, 1 failure, 2 wrong arguments, 3 something is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = parse_host)]
    pub(crate) id: HostId,

    /// A link to another host: 2:127.0.0.1:5001=127.0.0.1:5002 leads to host 2 from the local
    /// address to the remote one. An IPv6 address stands in brackets. Naming a host again adds its
    /// next link; both ends must name their links in the same order.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., required = true)]
    pub(crate) peers: Vec<PeerLink>,

    /// How long to wait for a link to come up, and later for whatever has not come yet.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub(crate) wait: Duration,

    /// How many pings to count on each link, 20 a second.
    #[arg(
        long, value_name = "COUNT", default_value = "50",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) count: u32,

    /// Whether to exchange what was seen with peers that run knet check too.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) exchange: Exchange,

    /// The channel on which that is exchanged, 0 to 31. Choose one that nobody else uses.
    #[arg(long, value_name = "N", default_value = "31")]
    pub(crate) channel: Channel,

    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// Whether to exchange what was seen with peers that run knet check too.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Exchange {
    /// With those that do so within two seconds.
    Auto,
    /// With all of them: it is a fault if one does not.
    Always,
    /// Sends no messages.
    Never,
}
