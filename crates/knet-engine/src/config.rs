//! What can be set on an engine, its hosts and its links, with libknet's defaults and limits.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use knet_wire::HostId;

use crate::error::PingTimersError;

/// What an engine is made from.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Our own host id, written into every packet.
    pub host: HostId,
    /// Secret with which ping cookies are signed, so that a pong can only answer a ping of ours.
    /// Take it from the operating system's random source; tests may use any value.
    pub cookie_key: [u8; 16],
}

/// Which of a host's usable links a message takes (`spec/engine.md` 13, `spec/api.md` 9.5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "libknet 1.x has exactly these three")]
pub enum Policy {
    /// The usable link with the highest priority; the lowest id among equals.
    #[default]
    Passive,
    /// A copy over every usable link; the receiver drops the duplicates.
    Active,
    /// One usable link a message, in turn.
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

/// How a link is watched (`spec/engine.md` 11).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the three values of knet_link_set_ping_timers")]
pub struct PingTimers {
    /// Time between two pings. Default 1 s, at least [`PingTimers::MIN_INTERVAL`].
    pub interval: Duration,
    /// How old the last pong may get before the link is down. Default 2 s, at least
    /// [`PingTimers::MIN_TIMEOUT`]. It is stretched by the measured latency, and up to tenfold in
    /// the first ten seconds of a link (`spec/engine.md` 11.4).
    pub timeout: Duration,
    /// How many round trips the mean latency is taken over. Default 2048, at least 1.
    pub precision: u32,
}

impl PingTimers {
    /// The shortest interval: below it, pings would be traffic of their own.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(1);
    /// The shortest timeout (`spec/api.md` 10.6).
    pub const MIN_TIMEOUT: Duration = Duration::from_millis(200);

    /// Checks the limits.
    ///
    /// # Errors
    /// One variant of [`PingTimersError`] for each limit broken.
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

/// A socket of the driver, as the engine knows it: a name to hand back in [`LinkPath`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId(pub u64);

/// Where a link's packets leave and where they go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a path is these two ends and nothing else")]
pub struct LinkPath {
    /// The driver's socket that sends and receives for this link.
    pub socket: SocketId,
    /// The address of the peer's end.
    pub remote: SocketAddr,
}

/// How the driver treats the packets of a link, for example how it marks them for routers: a note of its
/// own, handed back with each of them in [`LinkRoute`](crate::LinkRoute) and
/// [`Transmit`](crate::Transmit). The engine reads nothing into it; 0 at first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct PacketTag(pub u32);

/// How many pongs bring a link up unless told otherwise (`KNET_LINK_DEFAULT_PONG_COUNT`).
pub const DEFAULT_PONG_COUNT: u8 = 5;

/// How often the path MTU is searched unless told otherwise (`KNET_PMTUD_DEFAULT_INTERVAL`).
pub(crate) const DEFAULT_MTU_INTERVAL: Duration = Duration::from_secs(60);

/// The longest host name in bytes (`KNET_MAX_HOST_LEN` less the C string's end).
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
    fn each_limit_has_its_error_and_errno() {
        let base = PingTimers::default();
        let errno = |timers: PingTimers| timers.validate().map_err(|e| e.errno());
        assert_eq!(errno(PingTimers { interval: Duration::ZERO, ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: Duration::ZERO, ..base }), Err(38));
        assert_eq!(errno(PingTimers { precision: 0, ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: Duration::from_millis(199), ..base }), Err(22));
        assert_eq!(errno(PingTimers { timeout: PingTimers::MIN_TIMEOUT, ..base }), Ok(()));
    }
}
