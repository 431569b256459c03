//! Packets that were not let in: counted each, told of now and then.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId};

/// Somebody sent packets that were not let in. At most one a second is told for each reason, however
/// many there are; [`crate::DropStats`] counts them all.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Refusal {
    /// Where the latest of them said it came from.
    pub source: SocketAddr,
    /// What was wrong with it.
    pub reason: RefusalReason,
    /// How many more were refused for such a reason since the last time it was told.
    pub more: u64,
}

/// Why a packet was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// It names a link that cannot exist.
    InvalidLink(u8),
    /// It claims to be of a host that was never added.
    UnknownHost(HostId),
    /// It names a link that is not configured.
    UnknownLink(HostId, LinkId),
    /// It does not come from the address of the peer whose link it names, or whose data it claims
    /// to be.
    WrongSource(HostId, Option<LinkId>),
    /// The link's access list does not accept its source.
    AccessList(HostId, LinkId),
}

impl RefusalReason {
    /// Which of the gates it goes by.
    fn index(self) -> usize {
        match self {
            Self::InvalidLink(_) => 0,
            Self::UnknownHost(_) => 1,
            Self::UnknownLink(..) => 2,
            Self::WrongSource(..) => 3,
            Self::AccessList(..) => 4,
        }
    }
}

impl fmt::Display for RefusalReason {
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

/// When refusals may be told again, for each reason.
#[derive(Debug, Default)]
pub(crate) struct RefusalGates([Gate; 5]);

impl RefusalGates {
    /// What to tell of a refused packet, unless one was told for such a reason a moment ago.
    pub(crate) fn pass(
        &mut self,
        now: Instant,
        source: SocketAddr,
        reason: RefusalReason,
    ) -> Option<Refusal> {
        let gate = self.0.get_mut(reason.index())?;
        if gate.not_before.is_some_and(|at| now < at) {
            gate.untold += 1;
            return None;
        }
        gate.not_before = Some(now + TELL_INTERVAL);
        Some(Refusal { source, reason, more: std::mem::take(&mut gate.untold) })
    }
}

#[derive(Debug, Default)]
struct Gate {
    not_before: Option<Instant>,
    untold: u64,
}

/// So often one reason is told at most.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
