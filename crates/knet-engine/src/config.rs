//! Settings of an engine, its hosts and its links, with libknet's defaults and limits.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use knet_wire::HostId;

use crate::errno::EINVAL;
use crate::error::PingTimersError;

/// The settings of a new engine.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
///
/// use knet_engine::{Engine, EngineConfig};
/// use knet_wire::HostId;
///
/// // Take the key from the system's random numbers.
/// let config = EngineConfig { host: HostId::new(1), cookie_key: [7; 16] };
/// assert_eq!(Engine::new(Instant::now(), &config).own_id(), HostId::new(1));
/// ```
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Our own host id, written into every packet.
    pub host: HostId,
    /// The secret that signs ping cookies, so that a pong can only answer a ping of this engine.
    /// Take it from the system's random numbers; tests may use any value.
    pub cookie_key: [u8; 16],
}

/// Which of a host's usable links a message takes.
///
/// # Examples
///
/// ```
/// use knet_engine::Policy;
///
/// assert_eq!(Policy::default(), Policy::Passive);
/// assert_eq!(Policy::RoundRobin.to_string(), "round-robin");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "libknet 1.x has exactly these three")]
pub enum Policy {
    /// The usable link with the highest priority; among equals, the one with the lowest id.
    #[default]
    Passive,
    /// Every usable link. The receiver discards the duplicates.
    Active,
    /// One usable link per message, in turn.
    RoundRobin,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passive => "passive",
            Self::Active => "active",
            Self::RoundRobin => "round-robin",
        })
    }
}

impl FromStr for Policy {
    type Err = InvalidPolicy;

    /// Parses the name that [`Display`](fmt::Display) writes, or corosync's `rr` for round robin.
    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        match text {
            "passive" => Ok(Self::Passive),
            "active" => Ok(Self::Active),
            "round-robin" | "rr" => Ok(Self::RoundRobin),
            _ => Err(InvalidPolicy),
        }
    }
}

/// The error of parsing a [`Policy`].
///
/// # Examples
///
/// ```
/// use knet_engine::Policy;
///
/// assert_eq!("round-robin".parse(), Ok(Policy::RoundRobin));
/// let error = "random".parse::<Policy>().unwrap_err();
/// assert_eq!(error.to_string(), "not a policy, use passive, active or round-robin");
/// assert_eq!(error.errno(), 22);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a policy, use passive, active or round-robin")]
#[non_exhaustive]
pub struct InvalidPolicy;

impl InvalidPolicy {
    /// Returns `EINVAL`.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

/// The timers of a link's heartbeat (`docs/protocol.md`, "Heartbeat").
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use knet_engine::PingTimers;
///
/// let quick = PingTimers { interval: Duration::from_millis(100), ..PingTimers::default() };
/// assert!(quick.validate().is_ok());
/// let too_quick = PingTimers { timeout: Duration::from_millis(100), ..quick };
/// assert_eq!(too_quick.validate().unwrap_err().errno(), 22);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the three values of knet_link_set_ping_timers")]
pub struct PingTimers {
    /// The time between two pings. Default 1 s, at least [`PingTimers::MIN_INTERVAL`].
    pub interval: Duration,
    /// How old the last pong may become before the link goes down. Default 2 s, at least
    /// [`PingTimers::MIN_TIMEOUT`] and more than the interval. Extended by the measured latency, and up to tenfold in the
    /// first ten seconds of a link (`docs/protocol.md`, "Adaptive timeout").
    pub timeout: Duration,
    /// How many round trips the mean latency covers. Default 2048, at least 1.
    pub precision: u32,
}

impl PingTimers {
    /// The shortest interval. Below it, pings would be a load of their own.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(1);
    /// The shortest timeout.
    pub const MIN_TIMEOUT: Duration = Duration::from_millis(200);

    /// Checks that all values are within their limits.
    ///
    /// # Errors
    /// The variant of [`PingTimersError`] for the first limit that is violated.
    pub fn validate(&self) -> Result<(), PingTimersError> {
        if self.interval < Self::MIN_INTERVAL {
            return Err(PingTimersError::Interval { interval: self.interval });
        }
        if self.timeout.is_zero() {
            return Err(PingTimersError::NoTimeout);
        }
        if self.precision == 0 {
            return Err(PingTimersError::Precision);
        }
        if self.timeout < Self::MIN_TIMEOUT {
            return Err(PingTimersError::Timeout { timeout: self.timeout });
        }
        // Pongs come an interval apart. With a timeout that ends before, the link would go down in between, if
        // it came up at all.
        if self.timeout <= self.interval {
            let Self { interval, timeout, .. } = *self;
            return Err(PingTimersError::TimeoutWithinInterval { interval, timeout });
        }
        Ok(())
    }
}

impl Default for PingTimers {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(1000),
            timeout: Duration::from_millis(2000),
            precision: 2048,
        }
    }
}

/// Identifies a socket of the driver. The engine returns it in [`LinkPath`] and does not interpret
/// it.
///
/// # Examples
///
/// ```
/// use knet_engine::SocketId;
///
/// // For example an index into the driver's table of sockets.
/// let socket = SocketId(3);
/// assert_eq!(socket.0, 3);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId(pub u64);

/// The two ends of a link: the socket its packets leave from, and their destination.
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkPath, SocketId};
///
/// let path = LinkPath { socket: SocketId(0), remote: "[2001:db8::2]:5405".parse()? };
/// assert_eq!(path.remote.port(), 5405);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a path is these two ends and nothing else")]
pub struct LinkPath {
    /// The driver's socket that sends and receives for this link.
    pub socket: SocketId,
    /// The address of the peer.
    pub remote: SocketAddr,
}

/// Specifies how the driver treats the packets of a link, for example with which DSCP.
///
/// The engine returns it with every packet, in [`LinkRoute`](crate::LinkRoute) and
/// [`Transmit`](crate::Transmit), and does not interpret it. Default 0.
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
/// use knet_engine::PacketTag;
///
/// engine.set_packet_tag(now, peer, link, PacketTag(46))?;
/// engine.set_link_enabled(now, peer, link, true)?;
/// let ping = engine.poll_transmit().expect("the first ping");
/// assert_eq!(ping.tag(), PacketTag(46));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct PacketTag(pub u32);

/// The default of how many pongs bring a link up (`KNET_LINK_DEFAULT_PONG_COUNT`).
pub const DEFAULT_PONG_COUNT: u8 = 5;

/// The default time between two searches for the path MTU (`KNET_PMTUD_DEFAULT_INTERVAL`).
pub const DEFAULT_MTU_INTERVAL: Duration = Duration::from_secs(60);

/// The longest host name in bytes: `KNET_MAX_HOST_LEN` without the terminating NUL.
pub const MAX_HOST_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_libknets_and_valid() {
        let timers = PingTimers::default();
        assert_eq!(timers.interval, Duration::from_secs(1));
        assert_eq!(timers.timeout, Duration::from_secs(2));
        assert_eq!(timers.precision, 2048);
        assert_eq!(timers.validate(), Ok(()));
    }

    #[test]
    fn the_text_of_a_policy_is_parsed() {
        for policy in [Policy::Passive, Policy::Active, Policy::RoundRobin] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("Passive".parse::<Policy>(), Err(InvalidPolicy));
    }

    #[test]
    fn each_limit_has_its_error_and_errno() {
        let base = PingTimers::default();
        let errno = |timers: PingTimers| timers.validate().map_err(|e| e.errno());
        assert_eq!(errno(PingTimers { interval: Duration::ZERO, ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: Duration::ZERO, ..base }), Err(38));
        assert_eq!(errno(PingTimers { precision: 0, ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: Duration::from_millis(199), ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: base.interval, ..base }), Err(22));
        let interval = PingTimers::MIN_TIMEOUT - PingTimers::MIN_INTERVAL;
        assert_eq!(
            errno(PingTimers { interval, timeout: PingTimers::MIN_TIMEOUT, ..base }),
            Ok(())
        );
    }
}
