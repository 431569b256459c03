//! What the engine tells the application.

use std::fmt;
use std::time::Duration;

use knet_wire::{HostId, LinkId};

use crate::rejection::Rejection;

/// Something the application may want to know. Comes out of [`crate::Engine::poll_event`].
///
/// Events come in the order in which things happened. Of what follows from one change, the link comes
/// first, then its host, then the MTUs: of the link, of the host, of the handle. Who looks at a status
/// after an event sees what the event told or something newer, never something older.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A link came up or went down.
    Link(LinkEvent),
    /// A host became reachable or unreachable.
    Host(HostEvent),
    /// Packets carry more or less than before.
    Mtu(MtuEvent),
    /// Somebody sent packets that were not let in.
    Rejected(Rejection),
}

/// A link came up or went down.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkEvent {
    /// The host at the other end.
    pub host: HostId,
    /// Which of its links.
    pub link: LinkId,
    /// What the link is now, with the reason if it is down.
    pub state: LinkState,
}

/// A host became reachable or unreachable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostEvent {
    /// The host.
    pub host: HostId,
    /// Whether at least one link to it is usable.
    pub reachable: bool,
    /// The link that made the difference: of those to the host the first that came up, or the last
    /// that went down, with the reason.
    pub cause: Option<(LinkId, LinkState)>,
}

/// Packets carry more or less than before: a path MTU was found or set, or other links are in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MtuEvent {
    /// Packets on one link.
    Link {
        /// The host at the other end.
        host: HostId,
        /// Which of its links.
        link: LinkId,
        /// The most payload bytes that a packet on it carries now.
        data_mtu: usize,
    },
    /// Packets to one host: what the narrowest of the links in use takes. Told whenever the host
    /// becomes reachable, too.
    Host {
        /// The host.
        host: HostId,
        /// The most payload bytes that a packet to it carries now.
        data_mtu: usize,
    },
    /// Packets to any host: what the narrowest of all links in use takes, which is what libknet's
    /// `pmtud_notify` tells.
    Handle {
        /// The most payload bytes that a packet to anybody carries now.
        data_mtu: usize,
    },
}

impl MtuEvent {
    /// The most payload bytes that a packet carries now.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        match *self {
            Self::Link { data_mtu, .. }
            | Self::Host { data_mtu, .. }
            | Self::Handle { data_mtu } => data_mtu,
        }
    }
}

/// Whether a link carries data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a link is up or it is not")]
pub enum LinkState {
    /// Pongs come back in time.
    Up,
    /// It carries no data, for this reason.
    Down(DownReason),
}

impl LinkState {
    /// Whether the link is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Down(reason) => write!(f, "down: {reason}"),
        }
    }
}

/// Why a link is down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DownReason {
    /// It was never enabled, or was disabled.
    Disabled,
    /// It was enabled, and the peer has not spoken yet, which has to tell its address.
    NoPeerYet,
    /// It was enabled, and not enough pongs have come yet.
    NoPongYet,
    /// No pong came for so long.
    PongTimeout {
        /// The age of the last pong when the link was given up.
        silence: Duration,
    },
    /// The kernel or a router on the way reported that the peer cannot be reached, or the kernel did
    /// not even let pings leave.
    TransportError {
        /// The error, an errno value such as `ECONNREFUSED`, or `EPERM` of a firewall.
        errno: i32,
    },
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::NoPeerYet => f.write_str("the peer has not spoken yet"),
            Self::NoPongYet => f.write_str("not enough pongs yet"),
            Self::PongTimeout { silence } => {
                write!(f, "no pong for {:.1} s", silence.as_secs_f64())
            }
            Self::TransportError { errno } => {
                write!(f, "{}", std::io::Error::from_raw_os_error(*errno))
            }
        }
    }
}
