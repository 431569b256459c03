//! Errors of configuration calls, one type per kind of call.

use std::time::Duration;

use knet_wire::{HostId, LinkId};

use crate::errno::{EBUSY, EEXIST, EINVAL, ENOENT, ENOSYS};

/// Why a call about a host failed.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// use knet_engine::{Engine, EngineConfig, HostError};
/// use knet_wire::HostId;
///
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(Instant::now(), &config);
/// let error = engine.remove_host(HostId::new(2)).unwrap_err();
/// assert_eq!(error, HostError::Unknown(HostId::new(2)));
/// assert_eq!(error.to_string(), "host 2 is not known: add it first");
/// assert_eq!(error.errno(), 22); // EINVAL
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No host with this id was added.
    #[error("host {0} is not known: add it first")]
    Unknown(HostId),
    /// The host was added before.
    #[error("host {0} exists already: use it, or remove it first")]
    Exists(HostId),
    /// The host still has configured links.
    #[error("host {host} still has {links} configured link(s): clear them first")]
    HasLinks {
        /// The host.
        host: HostId,
        /// How many of its links are configured.
        links: usize,
    },
    /// The name has more bytes than [`MAX_HOST_NAME`](crate::MAX_HOST_NAME).
    #[error("host name of {length} bytes is too long: at most 255")]
    NameTooLong {
        /// The length of the name in bytes.
        length: usize,
    },
    /// Another host has the name, or the name is the id of another host, which is that host's
    /// default name.
    #[error("host name {name:?} belongs to host {owner}: choose another")]
    NameTaken {
        /// The name.
        name: String,
        /// The host that has it, or would have it by default.
        owner: HostId,
    },
    /// No host has that name.
    #[error("no host is named {0:?}: set the name of a host first")]
    NoSuchName(String),
}

impl HostError {
    /// Returns the `errno` value of libknet for this error.
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

/// Why a call about a link failed.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// # engine.add_link(now, peer, link, path)?;
/// use knet_engine::LinkError;
///
/// engine.set_link_enabled(now, peer, link, true)?;
/// let error = engine.clear_link(peer, link).unwrap_err();
/// assert_eq!(error, LinkError::Enabled { host: peer, link });
/// assert_eq!(error.to_string(), "link 0 of host 2 is enabled: disable it first");
/// assert_eq!(error.errno(), 16); // EBUSY
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No host with this id was added.
    #[error("host {0} is not known: add it first")]
    UnknownHost(HostId),
    /// The link is not configured.
    #[error("link {link} of host {host} is not configured: add it first")]
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
    /// The socket is used by a link of another [`LinkKind`](crate::LinkKind). Static and dynamic
    /// links cannot share a socket, because their packets could not be distinguished.
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
    /// A loopback link leads to this host itself, so it can only be a link of our own host id.
    #[error("host {host} is not ourselves: a loopback link leads to the own host id only")]
    LoopbackElsewhere {
        /// The host for which the link was requested.
        host: HostId,
    },
    /// A loopback link is the only link of its host.
    #[error("host {host} has link {link}, and a loopback link is the only one of its host")]
    LoopbackNotAlone {
        /// The host, which is this one.
        host: HostId,
        /// The existing link.
        link: LinkId,
    },
    /// A loopback link has no address.
    #[error("link {link} of host {host} is a loopback link, which has no address")]
    NoAddress {
        /// The host, which is this one.
        host: HostId,
        /// The link.
        link: LinkId,
    },
    /// With a pong count of 0 a link would come up without a pong.
    #[error("a pong count of 0 is not possible: at least 1")]
    NoPongs,
    /// The ping timers are outside their limits.
    #[error(transparent)]
    PingTimers(#[from] PingTimersError),
}

impl LinkError {
    /// Returns the `errno` value of libknet for this error.
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

/// Which limit the ping timers violate.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use knet_engine::{PingTimers, PingTimersError};
///
/// let timers = PingTimers { timeout: Duration::ZERO, ..PingTimers::default() };
/// assert_eq!(timers.validate(), Err(PingTimersError::NoTimeout));
/// assert_eq!(PingTimersError::NoTimeout.errno(), 38); // ENOSYS
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PingTimersError {
    /// The interval is shorter than [`PingTimers::MIN_INTERVAL`](crate::PingTimers::MIN_INTERVAL).
    #[error("ping interval of {interval:?} is too short: at least 1ms")]
    Interval {
        /// The requested value.
        interval: Duration,
    },
    /// The timeout is 0, which libknet reserves for an automatic choice and does not implement.
    #[error("an automatic pong timeout is not implemented: give one of at least 200ms")]
    NoTimeout,
    /// The timeout is shorter than [`PingTimers::MIN_TIMEOUT`](crate::PingTimers::MIN_TIMEOUT).
    #[error("pong timeout of {timeout:?} is too short: at least 200ms")]
    Timeout {
        /// The requested value.
        timeout: Duration,
    },
    /// The precision is 0: a mean of no samples.
    #[error("a latency precision of 0 samples is not possible: at least 1")]
    Precision,
}

impl PingTimersError {
    /// Returns the `errno` value of libknet for this error.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NoTimeout => ENOSYS,
            Self::Interval { .. } | Self::Timeout { .. } | Self::Precision => EINVAL,
        }
    }
}

/// Why a setting of the path MTU was rejected.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// # engine.add_link(now, peer, link, path)?;
/// use knet_engine::MtuError;
///
/// let error = engine.set_manual_mtu(now, Some(300)).unwrap_err();
/// let MtuError::TooSmall { onwire: 300, least } = error else { panic!() };
/// engine.set_manual_mtu(now, Some(least))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MtuError {
    /// With this MTU, the longest message would need more fragments than a packet can count.
    #[error("a manual MTU of {onwire} bytes on the wire is too small: at least {least}")]
    TooSmall {
        /// The requested value, in bytes of a whole IP packet.
        onwire: u16,
        /// The smallest possible value, in the same unit.
        least: u16,
    },
    /// The interval between two searches is not between 1 s and 86400 s.
    #[error("a path MTU interval of {interval:?} is not possible: 1s to 86400s")]
    Interval {
        /// The requested value.
        interval: Duration,
    },
}

impl MtuError {
    /// Returns the `errno` value of libknet for this error.
    #[must_use]
    pub fn errno(&self) -> i32 {
        EINVAL
    }
}
