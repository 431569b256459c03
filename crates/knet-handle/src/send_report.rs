//! The outcome of sending a message, host by host.

use std::fmt;
use std::sync::Arc;

use arrayvec::ArrayVec;
use knet_engine::{HostRoute, Routes};
use knet_wire::HostId;

use crate::errno::{EAGAIN, EHOSTDOWN, EMSGSIZE};

/// The outcome of sending a message: the hosts that it was sent to, and why not to the others.
///
/// Creating one does not allocate, unless something failed or a filter specified more than eight hosts.
///
/// # Examples
///
/// ```
/// use knet_handle::NotSent;
///
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// handle.add_host(HostId::new(2))?;
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// let report = datafd.send(b"hello")?;
/// assert_eq!(report.hosts, 1);
/// assert_eq!(report.delivered().collect::<Vec<_>>(), [itself.id()]);
/// let failure = report.failures().next().expect("host 2 has no links");
/// assert_eq!((failure.host, failure.reason), (HostId::new(2), NotSent::Unreachable));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SendReport {
    /// How many hosts the message was sent to. For each of them, the kernel accepted the whole message on
    /// at least one link.
    pub hosts: usize,
    targets: Targets,
    failures: Vec<SendFailure>,
}

/// The hosts for which the message was intended.
#[derive(Clone, Debug)]
enum Targets {
    /// All reachable hosts.
    All(Arc<Routes>),
    Few(ArrayVec<HostId, FEW>),
    Many(Vec<HostId>),
}

/// A host that a message was not sent to.
///
/// # Examples
///
/// ```
/// use knet_handle::{Error, NotSent};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let events = handle.datafd_events();
/// # let datafd = handle.add_datafd(
/// #     knet_handle::DatafdSource::Create,
/// #     knet_handle::ChannelRequest::Any,
/// # )?;
/// handle.add_host(HostId::new(2))?;
/// handle.set_forwarding(true)?;
/// let Err(Error::NoReachableHost { failures }) = datafd.send(b"hello") else {
///     panic!("host 2 has no links");
/// };
/// assert_eq!((failures[0].host, failures[0].reason), (HostId::new(2), NotSent::Unreachable));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SendFailure {
    /// The host.
    pub host: HostId,
    /// The reason.
    pub reason: NotSent,
}

/// The reason why a message was not sent to a host.
///
/// # Examples
///
/// ```
/// use knet_handle::NotSent;
///
/// assert_eq!(NotSent::QueueFull.errno(), 11, "EAGAIN");
/// assert_eq!(NotSent::Unreachable.to_string(), "none of its links is up");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum NotSent {
    /// The filter specified a host that was never added.
    Unknown,
    /// No link to the host is up.
    Unreachable,
    /// The message needs more fragments than a packet can count, or the kernel found a packet too long for
    /// the path.
    TooLong,
    /// The link's socket or its device had no room within the send timeout.
    QueueFull,
    /// The kernel refused a packet for another reason.
    Refused {
        /// Its errno, such as `EPERM` of a firewall or `ENETUNREACH` of a missing route.
        errno: i32,
    },
}

impl SendReport {
    /// Creates the report of a message for all hosts.
    pub(crate) fn broadcast(routes: Arc<Routes>, failures: Vec<SendFailure>) -> Self {
        Self::of(Targets::All(routes), failures)
    }

    /// Creates the report of a message for some hosts, which are given as positions in the routes. Neither
    /// these nor `failures` contain a host twice.
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

    /// Returns the hosts that the message was sent to, in ascending order.
    pub fn delivered(&self) -> impl Iterator<Item = HostId> {
        self.targets().filter(|host| !self.failures.iter().any(|failure| failure.host == *host))
    }

    /// Returns the hosts that the message was intended for and not sent to, with the reasons. For a message
    /// to all hosts, that includes the unreachable ones.
    pub fn failures(&self) -> impl Iterator<Item = SendFailure> {
        let routes = match &self.targets {
            Targets::All(routes) => Some(routes),
            Targets::Few(_) | Targets::Many(_) => None,
        };
        let down = routes.into_iter().flat_map(|routes| routes.unreachable());
        self.failures.iter().copied().chain(down.map(SendFailure::unreachable))
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
    /// Returns the corresponding `errno`.
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
            Self::TooLong => f.write_str("the message is too long for the path"),
            Self::QueueFull => f.write_str("the link is full"),
            Self::Refused { errno } => std::io::Error::from_raw_os_error(*errno).fmt(f),
        }
    }
}

/// How many destinations a report holds without allocating.
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
