//! What became of a message, host by host.

use std::fmt;
use std::sync::Arc;

use arrayvec::ArrayVec;
use knet_engine::{HostRoute, Routes};
use knet_wire::HostId;

use crate::errno::{EAGAIN, EHOSTDOWN, EMSGSIZE};

/// What became of a message that was sent: which hosts it went to, and why not to the others.
///
/// Making one allocates nothing unless something failed or a filter named more than eight hosts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendReport {
    /// How many hosts it was sent to: for each of them the kernel took the whole message on at least
    /// one link.
    pub hosts: usize,
    targets: Targets,
    failures: Vec<SendFailure>,
}

/// Whom a message was tried to be sent to.
#[derive(Clone, Debug)]
enum Targets {
    /// Everybody who was reachable.
    All(Arc<Routes>),
    Few(ArrayVec<HostId, FEW>),
    Many(Vec<HostId>),
}

/// A host that a message did not go to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SendFailure {
    /// The host.
    pub host: HostId,
    /// Why not.
    pub reason: NotSent,
}

/// Why a message did not go to a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotSent {
    /// The filter named a host that was never added.
    Unknown,
    /// None of its links is up.
    Unreachable,
    /// It would take more fragments than a packet can count, or the kernel found one of its packets
    /// too long for the way.
    TooLong,
    /// The link's socket or its device had no room, and got none in the time that is waited for it.
    QueueFull,
    /// The kernel refused a packet for another reason.
    Refused {
        /// Its errno, such as `EPERM` of a firewall or `ENETUNREACH` of a missing route.
        errno: i32,
    },
}

impl SendReport {
    /// Of a message for everybody.
    pub(crate) fn broadcast(routes: Arc<Routes>, failures: Vec<SendFailure>) -> Self {
        Self::of(Targets::All(routes), failures)
    }

    /// Of a message for some, given as places in the routes. Neither these nor `failures` name a host
    /// twice.
    pub(crate) fn listed(routes: &Routes, targets: &[usize], failures: Vec<SendFailure>) -> Self {
        let hosts = targets.iter().filter_map(|&place| routes.at(place)).map(HostRoute::host);
        let targets = if targets.len() <= FEW {
            Targets::Few(hosts.collect())
        } else {
            Targets::Many(hosts.collect())
        };
        Self::of(targets, failures)
    }

    fn of(targets: Targets, failures: Vec<SendFailure>) -> Self {
        let mut report = Self { hosts: 0, targets, failures };
        report.hosts = report.delivered().count();
        report
    }

    /// The hosts that it was sent to, in ascending order.
    pub fn delivered(&self) -> impl Iterator<Item = HostId> {
        self.targets().filter(|host| !self.failures.iter().any(|failure| failure.host == *host))
    }

    /// The hosts that it was meant for and did not go to, with the reasons. Of a message for everybody
    /// that includes the hosts that are not reachable.
    pub fn failures(&self) -> impl Iterator<Item = SendFailure> {
        let down = match &self.targets {
            Targets::All(routes) => routes.unreachable(),
            Targets::Few(_) | Targets::Many(_) => &[],
        };
        let down = down.iter().map(|&host| SendFailure::unreachable(host));
        self.failures.iter().copied().chain(down)
    }

    fn targets(&self) -> impl Iterator<Item = HostId> {
        let (routes, listed) = match &self.targets {
            Targets::All(routes) => (Some(routes), &[][..]),
            Targets::Few(hosts) => (None, hosts.as_slice()),
            Targets::Many(hosts) => (None, hosts.as_slice()),
        };
        let all = routes.into_iter().flat_map(|routes| routes.hosts());
        all.map(HostRoute::host).chain(listed.iter().copied())
    }
}

impl SendFailure {
    pub(crate) fn unreachable(host: HostId) -> Self {
        Self { host, reason: NotSent::Unreachable }
    }
}

impl NotSent {
    /// The errno that goes with it.
    #[must_use]
    pub fn errno(self) -> i32 {
        match self {
            Self::Unknown | Self::Unreachable => EHOSTDOWN,
            Self::TooLong => EMSGSIZE,
            Self::QueueFull => EAGAIN,
            Self::Refused { errno } => errno,
        }
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it was never added"),
            Self::Unreachable => f.write_str("none of its links is up"),
            Self::TooLong => f.write_str("the message is too long for the way"),
            Self::QueueFull => f.write_str("the link is full"),
            Self::Refused { errno } => std::io::Error::from_raw_os_error(*errno).fmt(f),
        }
    }
}

/// How many destinations fit into a report without allocating.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_failed_are_not_among_those_it_went_to() {
        let failed = SendFailure { host: HostId::new(2), reason: NotSent::QueueFull };
        let stranger = SendFailure { host: HostId::new(999), reason: NotSent::Unknown };
        let few = Targets::Few([1, 2, 3].map(HostId::new).into_iter().collect());
        let many = Targets::Many([1, 2, 3].map(HostId::new).to_vec());
        for targets in [few, many] {
            let report = SendReport::of(targets, vec![failed, stranger]);
            assert_eq!(report.hosts, 2);
            assert_eq!(report.delivered().collect::<Vec<_>>(), [1, 3].map(HostId::new));
            assert_eq!(report.failures().collect::<Vec<_>>(), [failed, stranger]);
        }
    }

    #[test]
    fn each_reason_says_something_and_has_an_errno() {
        let table = [
            (NotSent::Unknown, EHOSTDOWN, "never added"),
            (NotSent::Unreachable, EHOSTDOWN, "none of its links"),
            (NotSent::TooLong, EMSGSIZE, "too long"),
            (NotSent::QueueFull, EAGAIN, "full"),
            (NotSent::Refused { errno: 1 }, 1, "not permitted"),
        ];
        for (reason, errno, text) in table {
            assert_eq!(reason.errno(), errno);
            assert!(reason.to_string().contains(text), "{reason}");
        }
    }
}
