//! The arguments of `knet bench`.

use std::time::Duration;

use knet_bench::Plan;
use kronosnet::HostId;

use crate::args::{PeerLink, host_id, seconds};

/// Measures how fast messages travel from one host to another.
///
/// Without --role both hosts are in this process, linked over loopback. With --role each host is in
/// a process of its own, on one machine or two. Both processes need the same --mode, --size, --count
/// and --window, which they compare at the start; each reports its own results and costs.
///
/// The sender never runs more than --window messages ahead of the receiver, so no message is lost.
/// Credit is returned within the process, or over channel 1 between processes.
///
/// Exit codes: 0 success, 1 failure or a lost message, 2 wrong arguments, 3 the other host
/// cannot be reached or was lost, 128 + N ended by signal N.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) plan: Plan,

    /// Which of two processes this is.
    #[arg(long, value_enum, requires_all = ["id", "peers"], conflicts_with = "links")]
    pub(crate) role: Option<Role>,

    /// Our own host id, 0 to 65535.
    #[arg(long, value_name = "HOST", value_parser = host_id, requires = "role")]
    pub(crate) id: Option<HostId>,

    /// A link to the other host, as in knet cat. Repeating it adds another link.
    #[arg(long = "peer", value_name = "HOST:LOCAL=REMOTE", num_args = 1.., requires = "role")]
    pub(crate) peers: Vec<PeerLink>,

    /// How long to wait for the other process at the start.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
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
