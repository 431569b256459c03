//! What a check has found out about a link.

use std::net::SocketAddr;

use kronosnet::{DownReason, HostId, LinkId, LinkState};
use nix::errno::Errno;

use crate::check::plan::PlannedLink;
use crate::check::probe::PingCount;
use crate::check::report::LinkReport;

/// Everything known about a link at the end of its test.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) planned: PlannedLink,
    pub(crate) state: LinkState,
    /// `true` if the link was up at some time.
    pub(crate) was_up: bool,
    /// All pings since the start.
    pub(crate) total: PingCount,
    /// The pings that were counted while the link was up.
    pub(crate) counted: Option<PingCount>,
    /// Pings received from the peer.
    pub(crate) heard: u64,
    /// `true` if they arrive although nothing listens on the planned port.
    pub(crate) from_other_port: bool,
    /// Why packets from the address of the peer were not for this link, if there were any.
    pub(crate) stray: Option<Stray>,
    /// From where packets came for this link, if not from the address of the peer.
    pub(crate) elsewhere: Option<SocketAddr>,
    /// The mean round-trip time, in microseconds.
    pub(crate) latency_us: Option<u64>,
    pub(crate) path_mtu: Option<usize>,
    pub(crate) data_mtu: usize,
    pub(crate) peer: PeerView,
}

/// Returns `true` if nothing listens on the peer's port.
pub(crate) fn is_refusal(reason: DownReason) -> bool {
    reason == DownReason::TransportError { errno: Errno::ECONNREFUSED as i32 }
}

/// Why a packet from the address of the peer was not for the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stray {
    /// It came from this host.
    Host(HostId),
    /// It was for this link of the peer.
    Link(LinkId),
}

/// What the peer reports about the link.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PeerView {
    /// Nothing, and no report was required: it may not run `knet check`.
    Unknown,
    /// Nothing, although a report was required.
    Missing,
    /// A report of another version of `knet check`.
    OtherVersion,
    /// A report without this link.
    NotPlanned,
    /// This report.
    Report(LinkReport),
}
