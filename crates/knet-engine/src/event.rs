//! The events that the engine reports to the application.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knet_wire::{HostId, LinkId};

use crate::rejection::Rejection;

/// A change that the application may want to know. Returned by
/// [`Engine::poll_event`](crate::Engine::poll_event).
///
/// Events come in the order in which things happened. What follows from one change comes in a fixed
/// order: the link, its host, then the MTUs of the link, of the host and of the handle. A status
/// that is read after an event is as new as the event or newer.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, Event, LinkPeer, LinkState};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
///
/// let Some(Event::Link(first)) = engine.poll_event() else { panic!() };
/// assert_eq!((first.host, first.link, first.state), (host, link, LinkState::Up));
/// let Some(Event::Host(second)) = engine.poll_event() else { panic!() };
/// assert_eq!((second.reachable, second.cause), (true, Some((link, LinkState::Up))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A link came up or went down.
    Link(LinkEvent),
    /// A host became reachable or unreachable.
    Host(HostEvent),
    /// The data MTU of a link, of a host or of the handle changed.
    Mtu(MtuEvent),
    /// The peer of a dynamic link is at another address.
    Address(AddressEvent),
    /// Packets were rejected.
    Rejected(Rejection),
}

/// The peer of a dynamic link is at another address. At most one move per second and link is
/// reported; [`LinkStats::moves`](crate::LinkStats::moves) counts all of them.
///
/// # Examples
///
/// ```
/// use knet_engine::AddressEvent;
///
/// fn warn(event: &AddressEvent) -> Option<String> {
///     let AddressEvent { host, from, to, contested, .. } = event;
///     contested.then(|| format!("two machines are host {host}: {from} and {to}"))
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AddressEvent {
    /// The host at the other end.
    pub host: HostId,
    /// Which of its links.
    pub link: LinkId,
    /// Where it was.
    pub from: SocketAddr,
    /// Where it is now.
    pub to: SocketAddr,
    /// `true` if the peer is back at the address that it left within the last ten seconds. Either
    /// its network changes to and fro, or two machines have the id of this host.
    pub contested: bool,
    /// How many more times it moved since the previous event.
    pub suppressed: u64,
}

impl fmt::Display for AddressEvent {
    /// Formats what happened, such as "is at 10.0.0.2:5405, no longer at 10.0.0.1:5405".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        match self.contested {
            true => {
                write!(f, "moves to and fro between {from} and {to}: two machines may have its id")
            }
            false => write!(f, "is at {to}, no longer at {from}"),
        }
    }
}

/// A link came up or went down.
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
/// # engine.set_pong_count(peer, link, 1)?;
/// # engine.set_link_enabled(now, peer, link, true)?;
/// # let meta = knet_engine::DatagramMeta { socket: path.socket, source: path.remote, local: None };
/// # let ping = engine.poll_transmit().expect("the first ping");
/// # let knet_wire::Body::Ping(ping) = knet_wire::Packet::decode(ping.packet())?.body else { panic!() };
/// # let _ = engine.handle_datagram(now, meta, &ping.encode_pong(peer));
/// # while engine.poll_event().is_some() {}
/// use knet_engine::{DownReason, Event, LinkState};
///
/// engine.set_link_enabled(now, peer, link, false)?;
/// let Some(Event::Link(event)) = engine.poll_event() else { panic!() };
/// assert_eq!(event.state, LinkState::Down(DownReason::Disabled));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkEvent {
    /// The host at the other end.
    pub host: HostId,
    /// Which of its links.
    pub link: LinkId,
    /// The new state of the link, with the reason if it is down.
    pub state: LinkState,
}

/// A host became reachable or unreachable.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{DownReason, Engine, EngineConfig, Event, LinkPeer, LinkState};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// # engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// # engine.set_link_enabled(now, host, link, true)?;
/// # while engine.poll_event().is_some() {}
/// // The host was reachable by this link only.
/// engine.set_link_enabled(now, host, link, false)?;
///
/// let mut events = std::iter::from_fn(|| engine.poll_event());
/// let lost = events.find_map(|event| match event {
///     Event::Host(event) => Some(event),
///     _ => None,
/// });
/// let lost = lost.expect("the host is unreachable");
/// assert!(!lost.reachable);
/// assert_eq!(lost.cause, Some((link, LinkState::Down(DownReason::Disabled))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HostEvent {
    /// The host.
    pub host: HostId,
    /// `true` if at least one link to it is up.
    pub reachable: bool,
    /// The link that caused the change: the first one that came up, or the last one that went down,
    /// with the reason.
    pub cause: Option<(LinkId, LinkState)>,
}

/// The number of bytes that packets can carry changed: a path MTU was found or set, or other links
/// are in use.
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
/// use knet_engine::{Event, MtuEvent};
///
/// engine.set_manual_mtu(now, Some(1500))?;
/// let Some(Event::Mtu(event)) = engine.poll_event() else { panic!() };
/// // 1500 bytes without the headers of IP, UDP and knet.
/// assert!(matches!(event, MtuEvent::Link { .. }));
/// assert_eq!(event.data_mtu(), 1446);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MtuEvent {
    /// For packets on one link.
    Link {
        /// The host at the other end.
        host: HostId,
        /// Which of its links.
        link: LinkId,
        /// How many bytes of payload a packet on it can carry now.
        data_mtu: usize,
    },
    /// For packets to one host: as many as the narrowest of the links in use takes. Also reported
    /// whenever the host becomes reachable.
    Host {
        /// The host.
        host: HostId,
        /// How many bytes of payload a packet to it can carry now.
        data_mtu: usize,
    },
    /// For packets to any host: as many as the narrowest of all links in use takes. libknet's
    /// `pmtud_notify` reports the same.
    Handle {
        /// How many bytes of payload a packet to any host can carry now.
        data_mtu: usize,
    },
}

impl MtuEvent {
    /// Returns how many bytes of payload a packet can carry now.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        match *self {
            Self::Link { data_mtu, .. }
            | Self::Host { data_mtu, .. }
            | Self::Handle { data_mtu } => data_mtu,
        }
    }
}

/// Whether a link carries messages.
///
/// # Examples
///
/// ```
/// use knet_engine::{DownReason, LinkState};
///
/// assert!(LinkState::Up.is_up());
/// assert_eq!(LinkState::Down(DownReason::Disabled).to_string(), "down: disabled");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a link is up or it is not")]
pub enum LinkState {
    /// Pongs come back in time.
    Up,
    /// It carries no messages, for this reason.
    Down(DownReason),
}

impl LinkState {
    /// Returns `true` if the link is up.
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

/// Why a link is down: by the latest evidence, which replaces what it contradicts.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use knet_engine::DownReason;
///
/// let reason = DownReason::PongTimeout { silence: Duration::from_millis(2100) };
/// assert_eq!(reason.to_string(), "no pong for 2.1 s");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DownReason {
    /// It was never enabled, or was disabled.
    Disabled,
    /// It was enabled, and its peer's address is not known yet, because no packet came from it.
    NoPeerYet,
    /// It was enabled, and not enough pongs have come yet.
    NoPongYet,
    /// No pong came in time.
    PongTimeout {
        /// The age of the last pong when the link went down.
        silence: Duration,
    },
    /// The kernel or a router reported that the peer cannot be reached, and no ping was answered
    /// since then; or the kernel refused to send pings.
    TransportError {
        /// The error, an `errno` value such as `ECONNREFUSED`, or `EPERM` of a firewall.
        errno: i32,
    },
    /// Packets of another host come from the address of the peer: one of the two configurations has
    /// the wrong host id or address. Such packets may be forged.
    WrongHost {
        /// The host that sends from there, by its own account.
        host: HostId,
    },
    /// Packets for another link of the host come from the address of the peer: the links of the two
    /// configurations differ in their order. Such packets may be forged.
    WrongLink {
        /// The link that the packets are for.
        link: LinkId,
    },
    /// The program that has this end of the link is broken: a thread of it ended.
    ThreadEnded,
    /// The kernel of this machine refuses to receive what the peer sends.
    ReceiveError {
        /// The error, an `errno` value such as `ENOSYS` of a filter of system calls.
        errno: i32,
    },
    /// Pongs come, but packets of the least size that carries data do not arrive. The link comes up
    /// when they do.
    PathTooNarrow {
        /// That size: the length of a whole IP packet, in bytes.
        least: usize,
    },
    /// No pong came in time, and this machine no longer has the address that the peer sends them to: packets
    /// leave from another one, or not at all.
    OwnAddressLost {
        /// That address.
        address: IpAddr,
    },
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::NoPeerYet => f.write_str("no packet from the peer yet"),
            Self::NoPongYet => f.write_str("not enough pongs yet"),
            Self::PongTimeout { silence } => {
                write!(f, "no pong for {:.1} s", silence.as_secs_f64())
            }
            Self::TransportError { errno } => {
                write!(f, "{}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::WrongHost { host } => write!(f, "the peer says that it is host {host}"),
            Self::WrongLink { link } => write!(f, "the peer sends link {link} instead"),
            Self::ThreadEnded => f.write_str("a thread of the handle ended"),
            Self::ReceiveError { errno } => {
                write!(f, "receiving fails: {}", std::io::Error::from_raw_os_error(*errno))
            }
            Self::PathTooNarrow { least } => {
                write!(f, "packets of {least} bytes do not pass the path")
            }
            Self::OwnAddressLost { address } => {
                write!(f, "this machine no longer has the address {address}")
            }
        }
    }
}
