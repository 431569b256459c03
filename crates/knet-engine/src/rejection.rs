//! Packets that were not let in: each is counted, and one now and then is reported.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId};

/// Packets from the network that were not let in.
///
/// At most one rejection per second and kind of reason is reported. [`DropStats`](crate::DropStats)
/// counts all of them.
///
/// # Examples
///
/// ```
/// use knet_engine::RejectionReason;
/// use knet_wire::HostId;
///
/// let reason = RejectionReason::UnknownHost(HostId::new(7));
/// assert_eq!(reason.to_string(), "host 7 is not known");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The source address of the latest packet. It may be forged.
    pub source: SocketAddr,
    /// Why the latest packet was rejected.
    pub reason: RejectionReason,
    /// How many more packets were rejected for this kind of reason since the previous report.
    pub suppressed: u64,
}

/// Why a packet was not let in.
///
/// # Examples
///
/// ```
/// use knet_engine::RejectionReason;
/// use knet_wire::{HostId, LinkId};
///
/// let (host, link) = (HostId::new(7), LinkId::new(1)?);
/// let reason = RejectionReason::AccessList(host, link);
/// let text = "the access list of link 1 of host 7 does not accept it";
/// assert_eq!(reason.to_string(), text);
/// # Ok::<(), knet_wire::InvalidLinkId>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RejectionReason {
    /// The packet names a link that cannot exist.
    InvalidLink(u8),
    /// The packet claims to come from a host that was never added.
    UnknownHost(HostId),
    /// The packet names a link that is not configured.
    UnknownLink(HostId, LinkId),
    /// The packet comes from another address than that of its link, or, for data, than those of all
    /// links of its host.
    WrongSource(HostId, Option<LinkId>),
    /// The link's access list does not accept the source address.
    AccessList(HostId, LinkId),
}

impl RejectionReason {
    /// Returns the index of its gate in [`RejectionLimiter`].
    fn index(self) -> usize {
        match self {
            Self::InvalidLink(_) => 0,
            Self::UnknownHost(_) => 1,
            Self::UnknownLink(..) => 2,
            Self::WrongSource(..) => 3,
            Self::AccessList(..) => 4,
        }
    }

    /// Returns the host, and if known the link, that the sender claims to be on.
    pub(crate) fn claim(self) -> Option<(HostId, Option<LinkId>)> {
        match self {
            Self::InvalidLink(_) | Self::AccessList(..) => None,
            Self::UnknownHost(host) => Some((host, None)),
            Self::UnknownLink(host, link) => Some((host, Some(link))),
            Self::WrongSource(host, link) => Some((host, link)),
        }
    }
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLink(link) => write!(f, "there is no link {link}: 0 to 7"),
            Self::UnknownHost(host) => write!(f, "host {host} is not known"),
            Self::UnknownLink(host, link) => {
                write!(f, "link {link} of host {host} is not configured")
            }
            Self::WrongSource(host, Some(link)) => {
                write!(f, "the peer of link {link} of host {host} is elsewhere")
            }
            Self::WrongSource(host, None) => write!(f, "host {host} has no link from there"),
            Self::AccessList(host, link) => {
                write!(f, "the access list of link {link} of host {host} does not accept it")
            }
        }
    }
}

/// Limits how often each kind of rejection is reported, and what else a rejection may cost.
#[derive(Debug, Default)]
pub(crate) struct RejectionLimiter {
    gates: [Gate; 5],
    no_search_before: Option<Instant>,
}

#[derive(Debug, Default)]
struct Gate {
    not_before: Option<Instant>,
    suppressed: u64,
}

impl RejectionLimiter {
    /// Returns the rejection to report for a packet, or `None` if one was reported for this kind of
    /// reason within the last second.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        source: SocketAddr,
        reason: RejectionReason,
    ) -> Option<Rejection> {
        let gate = self.gates.get_mut(reason.index())?;
        if gate.not_before.is_some_and(|at| now < at) {
            gate.suppressed += 1;
            return None;
        }
        gate.not_before = Some(now + REPORT_INTERVAL);
        Some(Rejection { source, reason, suppressed: std::mem::take(&mut gate.suppressed) })
    }

    /// Returns `true` if the links may be searched now for the one that a packet was meant for. The
    /// search takes time in proportion to the sockets, and anybody may cause it.
    pub(crate) fn may_search(&mut self, now: Instant) -> bool {
        let may = self.no_search_before.is_none_or(|at| now >= at);
        if may {
            self.no_search_before = Some(now + SEARCH_INTERVAL);
        }
        may
    }
}

/// The least time between two reports of one kind.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two searches for the link that a packet was meant for.
const SEARCH_INTERVAL: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rejection_per_second_and_kind_is_reported() {
        let (now, source) = (Instant::now(), ([192, 0, 2, 7], 5405).into());
        let mut limiter = RejectionLimiter::default();
        let unknown = |id| RejectionReason::UnknownHost(HostId::new(id));
        let mut report =
            |at, reason| limiter.report(at, source, reason).map(|rejection| rejection.suppressed);
        assert_eq!(report(now, unknown(1)), Some(0));
        assert_eq!(report(now, unknown(2)), None, "another host, but the same kind");
        assert_eq!(report(now, RejectionReason::InvalidLink(9)), Some(0));
        assert_eq!(report(now + REPORT_INTERVAL, unknown(3)), Some(1));
        assert_eq!(report(now + 2 * REPORT_INTERVAL, unknown(3)), Some(0));
    }

    #[test]
    fn links_are_searched_once_per_interval() {
        let now = Instant::now();
        let mut limiter = RejectionLimiter::default();
        assert!(limiter.may_search(now));
        assert!(!limiter.may_search(now + SEARCH_INTERVAL / 2));
        assert!(limiter.may_search(now + SEARCH_INTERVAL));
    }
}
