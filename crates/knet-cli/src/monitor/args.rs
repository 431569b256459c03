//! The arguments of `knet monitor`.

use std::time::Duration;

use kronosnet::HostId;

use crate::args::{PeerLink, Remote, host_id, seconds};
use crate::output::Format;

/// Shows the links to the peers: state, latency, path MTU, rates and events.
///
/// Joins the cluster as a host of its own, which the peers must have in their configuration, and
/// shows what its own links observe. Sends only pings and path MTU probes.
///
/// On a terminal it fills the screen until q is pressed. The up and down keys select a link, whose
/// details are shown below the table; s changes the order, and ? lists all keys.
///
/// With --once it waits until every peer is reachable, then up to 2 s more for the other links and
/// the path MTU, prints the state, and ends. A signal ends the wait.
///
/// Exit codes: 0 success, 1 failure, 2 wrong arguments, or no terminal without --once, 3 a peer is
/// not reachable with --once, 128 + N ended by signal N.
#[derive(Debug, clap::Args)]
pub(crate) struct MonitorArgs {
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

    /// Prints the state once and ends. The output need not be a terminal.
    #[arg(long)]
    pub(crate) once: bool,

    /// How long --once waits for the peers.
    #[arg(
        long, value_name = "SECONDS", default_value = "10", value_parser = seconds,
        requires = "once"
    )]
    pub(crate) wait: Duration,

    /// The output format of --once.
    #[arg(long, value_name = "FORMAT", default_value = "table", requires = "once")]
    pub(crate) format: Format,
}
