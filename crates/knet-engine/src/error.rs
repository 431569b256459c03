//! Errors of configuration calls, one type per kind of call.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
    /// The name is empty.
    #[error("a host name of no bytes is not possible: at least 1")]
    NameEmpty,
    /// The name contains a NUL, which ends a name in C.
    #[error("host name {name:?} contains a NUL: leave it out")]
    NameWithNul {
        /// The name.
        name: String,
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
            Self::Unknown(_)
            | Self::NameEmpty
            | Self::NameWithNul { .. }
            | Self::NameTooLong { .. } => EINVAL,
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
    /// No packets can be exchanged with or from the address.
    #[error("{address} cannot be the end of a link: {problem}")]
    UnusableAddress {
        /// The address.
        address: SocketAddr,
        /// What is wrong with it.
        problem: AddressProblem,
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
            | Self::UnusableAddress { .. }
            | Self::NoPongs => EINVAL,
            Self::Configured { .. } | Self::Enabled { .. } => EBUSY,
            Self::PingTimers(error) => error.errno(),
        }
    }
}

/// Why an address cannot be the end of a link: [`LinkError::UnusableAddress`].
///
/// # Examples
///
/// ```
/// use knet_engine::AddressProblem;
///
/// assert_eq!(AddressProblem::NoPort.to_string(), "it has port 0: give the port of the peer");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AddressProblem {
    /// The peer's address is `0.0.0.0` or `::`.
    Unspecified,
    /// The peer's port is 0.
    NoPort,
    /// A multicast address.
    Multicast,
    /// The broadcast address `255.255.255.255`.
    Broadcast,
    /// The peer's address is that of a socket of this handle, and the peer is another host.
    OwnSocket,
}

impl AddressProblem {
    /// Returns what is wrong with an address as that of this host. Port 0 is fine: the kernel picks one.
    #[must_use]
    pub fn of_local(address: SocketAddr) -> Option<Self> {
        match address.ip().to_canonical() {
            ip if ip.is_multicast() => Some(Self::Multicast),
            IpAddr::V4(ip) if ip.is_broadcast() => Some(Self::Broadcast),
            _ => None,
        }
    }

    /// Returns what is wrong with an address as that of a peer, as far as that is known without the sockets of
    /// this host.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_engine::AddressProblem;
    ///
    /// assert_eq!(AddressProblem::of_remote("10.0.0.2:5405".parse()?), None);
    /// let nobody = AddressProblem::of_remote("0.0.0.0:5405".parse()?);
    /// assert_eq!(nobody, Some(AddressProblem::Unspecified));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn of_remote(address: SocketAddr) -> Option<Self> {
        match Self::of_local(address) {
            None if address.ip().to_canonical().is_unspecified() => Some(Self::Unspecified),
            None if address.port() == 0 => Some(Self::NoPort),
            problem => problem,
        }
    }
}

impl fmt::Display for AddressProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "it stands for any address: give one of the peer",
            Self::NoPort => "it has port 0: give the port of the peer",
            Self::Multicast => "it is a multicast address: give one of a single host",
            Self::Broadcast => "it is the broadcast address: give one of a single host",
            Self::OwnSocket => "it is our own socket: give the address of the peer",
        })
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
    /// The timeout ends before the next ping leaves: the link would never come up, or go down again and
    /// again.
    #[error(
        "pong timeout of {timeout:?} ends before the next ping: more than the interval of {interval:?}"
    )]
    TimeoutWithinInterval {
        /// The requested interval.
        interval: Duration,
        /// The requested timeout.
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
            Self::Interval { .. }
            | Self::Timeout { .. }
            | Self::TimeoutWithinInterval { .. }
            | Self::Precision => EINVAL,
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
