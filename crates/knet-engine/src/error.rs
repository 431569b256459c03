//! Why a configuration call was refused, one type per kind of call.

use std::time::Duration;

use knet_wire::{HostId, LinkId};

use crate::errno::{EBUSY, EEXIST, EINVAL, ENOENT, ENOSYS};

/// Why a call about a host was refused (`spec/api.md` 9).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No host of this id was added.
    #[error("host {0} is not known: add it first")]
    Unknown(HostId),
    /// The host was added before.
    #[error("host {0} exists already")]
    Exists(HostId),
    /// The host still has configured links.
    #[error("host {host} still has {links} configured link(s): clear them first")]
    HasLinks {
        /// The host.
        host: HostId,
        /// How many of its links are configured.
        links: usize,
    },
    /// The name has more bytes than [`crate::MAX_HOST_NAME`].
    #[error("host name of {length} bytes is too long: at most 255")]
    NameTooLong {
        /// Bytes of the name.
        length: usize,
    },
    /// Another host has that name, or it is the number of another host, which is that host's
    /// default name.
    #[error("host name {name:?} belongs to host {owner}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it, or would have it by default.
        owner: HostId,
    },
    /// No host has that name.
    #[error("no host is named {0:?}")]
    NoSuchName(String),
}

impl HostError {
    /// The value that libknet would have left in `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Unknown(_) | Self::NameTooLong { .. } => EINVAL,
            Self::Exists(_) | Self::NameTaken { .. } => EEXIST,
            Self::HasLinks { .. } => EBUSY,
            Self::NoSuchName(_) => ENOENT,
        }
    }
}

/// Why a call about a link was refused (`spec/api.md` 10).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No host of this id was added.
    #[error("host {0} is not known: add it first")]
    UnknownHost(HostId),
    /// The link is not configured.
    #[error("link {link} of host {host} is not configured")]
    NotConfigured {
        /// The host.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// The link is configured already.
    #[error("link {link} of host {host} is configured already: clear it first")]
    Configured {
        /// The host.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// The link is enabled, and must not be for this call.
    #[error("link {link} of host {host} is enabled: disable it first")]
    Enabled {
        /// The host.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// The socket is used by a link whose peer's address is known in another way. Packets that come
    /// through a socket could not be told apart.
    #[error(
        "link {link} of host {host} has the same local address, and static and dynamic links \
         cannot share one: choose another"
    )]
    SharedSocket {
        /// The host of the other link.
        host: HostId,
        /// The other link.
        link: LinkId,
    },
    /// A loopback link leads to ourselves, so it can only be a link of our own host id.
    #[error("host {host} is not ourselves: a loopback link leads to the own host id only")]
    LoopbackElsewhere {
        /// The host that it was meant for.
        host: HostId,
    },
    /// A loopback link is the only link of its host.
    #[error("host {host} has link {link}, and a loopback link is the only one of its host")]
    LoopbackNotAlone {
        /// The host, which is ourselves.
        host: HostId,
        /// The link that is there.
        link: LinkId,
    },
    /// A loopback link has no address.
    #[error("link {link} of host {host} is a loopback link, which has no address")]
    NoAddress {
        /// The host, which is ourselves.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// A pong count of 0 would bring a link up that nothing was heard of.
    #[error("a pong count of 0 is not possible: at least 1")]
    NoPongs,
    /// The ping timers are outside their limits.
    #[error(transparent)]
    PingTimers(#[from] PingTimersError),
}

impl LinkError {
    /// The value that libknet would have left in `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::UnknownHost(_)
            | Self::NotConfigured { .. }
            | Self::SharedSocket { .. }
            | Self::LoopbackElsewhere { .. }
            | Self::LoopbackNotAlone { .. }
            | Self::NoAddress { .. }
            | Self::NoPongs => EINVAL,
            Self::Configured { .. } | Self::Enabled { .. } => EBUSY,
            Self::PingTimers(error) => error.errno(),
        }
    }
}

/// Which limit a set of ping timers breaks (`spec/api.md` 10.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PingTimersError {
    /// The interval is shorter than [`crate::PingTimers::MIN_INTERVAL`].
    #[error("ping interval of {interval:?} is too short: at least 1ms")]
    Interval {
        /// What was asked for.
        interval: Duration,
    },
    /// A timeout of 0, which libknet reserves for an automatic choice that it does not have.
    #[error("an automatic pong timeout is not implemented: give one of at least 200ms")]
    NoTimeout,
    /// The timeout is shorter than [`crate::PingTimers::MIN_TIMEOUT`].
    #[error("pong timeout of {timeout:?} is too short: at least 200ms")]
    Timeout {
        /// What was asked for.
        timeout: Duration,
    },
    /// A mean over no samples.
    #[error("a latency precision of 0 samples is not possible: at least 1")]
    Precision,
}

impl PingTimersError {
    /// The value that libknet would have left in `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NoTimeout => ENOSYS,
            Self::Interval { .. } | Self::Timeout { .. } | Self::Precision => EINVAL,
        }
    }
}

/// Why a setting of the path MTU was refused (`spec/api.md` 12).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MtuError {
    /// With so small an MTU the largest message would need more fragments than a packet can count.
    #[error("a manual MTU of {onwire} bytes on the wire is too small: at least {least}")]
    TooSmall {
        /// What was asked for, in bytes of a whole IP packet.
        onwire: u16,
        /// The least that works, in the same unit.
        least: u16,
    },
    /// The interval between two searches is not between 1 s and 86400 s.
    #[error("a path MTU interval of {interval:?} is not possible: 1s to 86400s")]
    Interval {
        /// What was asked for.
        interval: Duration,
    },
}

impl MtuError {
    /// The value that libknet would have left in `errno`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        EINVAL
    }
}
