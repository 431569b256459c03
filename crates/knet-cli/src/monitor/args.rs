//! The arguments of `knet monitor`.

use std::time::Duration;

use kronosnet::HostId;

use crate::args::{parse_host, parse_seconds};
use crate::output::Format;
use crate::peer::PeerLink;
use crate::remote::Remote;

/// Shows the links to the peers: state, latency, path MTU, rates, and what happened to them.
///
/// It takes part in the cluster as a host of its own, which the peers must have been told of, and
/// sees what its own links see. It sends nothing but pings and path MTU probes.
///
/// On a terminal it fills the screen until q is pressed. The up and down keys choose a link, of which
/// the line below the table tells more; s changes the order.
///
/// With --once it waits until every peer is reachable, then up to 2 s more for the rest of the links
/// and for the path MTU, prints what it sees, and ends. A signal ends the wait.
///
/// Exit codes: 0 fine, 1 failure, 2 wrong arguments, or no terminal and not --once; with --once: 3 if
/// a peer is not reachable.
#[derive(Debug, clap::Args)]
pub(crate) struct MonitorArgs {
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

    /// Prints once, to a terminal or elsewhere, and ends.
    #[arg(long)]
    pub(crate) once: bool,

    /// How long --once waits for the peers.
    #[arg(
        long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds,
        requires = "once"
    )]
    pub(crate) wait: Duration,

    /// What --once prints.
    #[arg(long, value_name = "FORMAT", default_value = "table", requires = "once")]
    pub(crate) format: Format,
}
