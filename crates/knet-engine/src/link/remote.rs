//! The peer at the other end of a link, and its address.

use std::net::SocketAddr;

use knet_wire::IpVersion;

use crate::config::{LinkPath, SocketId};

/// The peer at the other end of a link, and how its address is known: the argument of
/// [`Engine::add_link`](crate::Engine::add_link).
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkKind, LinkPath, LinkPeer, SocketId};
/// use knet_wire::IpVersion;
///
/// let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// assert_eq!(LinkPeer::from(path).path(), Some(path));
///
/// let dynamic = LinkPeer::dynamic(SocketId(0), IpVersion::V4);
/// assert_eq!(dynamic.kind(), LinkKind::Dynamic);
/// assert_eq!(dynamic.path(), None); // until the peer's first packet
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LinkPeer {
    /// A peer at a given address.
    Static(LinkPath),
    /// A peer whose address is learned from its packets.
    Dynamic(DynamicPeer),
    /// This host itself, without a socket or packets: the driver delivers messages as they are.
    Loopback,
}

/// A peer whose address is learned. Created by [`LinkPeer::dynamic`].
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkPeer, SocketId};
/// use knet_wire::IpVersion;
///
/// let peer = LinkPeer::dynamic(SocketId(3), IpVersion::V6);
/// assert!(matches!(peer, LinkPeer::Dynamic(_)));
/// assert_eq!((peer.socket(), peer.remote()), (Some(SocketId(3)), None));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DynamicPeer {
    socket: SocketId,
    version: IpVersion,
    /// The address that was learned last.
    remote: Option<SocketAddr>,
    /// `true` as long as the peer is believed to be there (libknet's `dynconnected`).
    known: bool,
}

/// How the address of a link's peer is known.
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkKind, LinkPeer};
///
/// assert_eq!(LinkPeer::Loopback.kind(), LinkKind::Loopback);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LinkKind {
    /// It was given.
    Static,
    /// It is learned from the peer's packets.
    Dynamic,
    /// There is none: the link leads to this host itself.
    Loopback,
}

impl LinkPeer {
    /// Returns a peer whose address is learned from its packets, for this socket and IP version.
    #[must_use]
    pub fn dynamic(socket: SocketId, version: IpVersion) -> Self {
        Self::Dynamic(DynamicPeer { socket, version, remote: None, known: false })
    }

    /// Returns how the peer's address is known.
    #[must_use]
    pub fn kind(&self) -> LinkKind {
        match self {
            Self::Static(_) => LinkKind::Static,
            Self::Dynamic(_) => LinkKind::Dynamic,
            Self::Loopback => LinkKind::Loopback,
        }
    }

    /// Returns the driver's socket that sends and receives for the link; `None` for a loopback
    /// link.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Static(path) => Some(path.socket),
            Self::Dynamic(peer) => Some(peer.socket),
            Self::Loopback => None,
        }
    }

    /// Returns the address of the peer: the given one, or the one that was learned last.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Self::Static(path) => Some(path.remote),
            Self::Dynamic(peer) => peer.remote,
            Self::Loopback => None,
        }
    }

    /// Returns `true` if the peer is believed to be at [`LinkPeer::remote`].
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self {
            Self::Static(_) | Self::Loopback => true,
            Self::Dynamic(peer) => peer.known,
        }
    }

    /// Returns the path of packets to the peer, or `None` if its address is not known.
    #[must_use]
    pub fn path(&self) -> Option<LinkPath> {
        match self {
            Self::Static(path) => Some(*path),
            Self::Dynamic(DynamicPeer { socket, remote, known: true, .. }) => {
                Some(LinkPath { socket: *socket, remote: (*remote)? })
            }
            Self::Dynamic(_) | Self::Loopback => None,
        }
    }

    /// Returns `true` if the link uses IPv4.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.ip_version() == IpVersion::V4
    }

    /// Returns the IP version of the link's packets.
    pub(crate) fn ip_version(&self) -> IpVersion {
        match self {
            Self::Static(path) if path.remote.is_ipv4() => IpVersion::V4,
            Self::Static(_) => IpVersion::V6,
            // Either will do: a loopback link has no packets.
            Self::Loopback => IpVersion::V4,
            Self::Dynamic(peer) => peer.version,
        }
    }

    /// Sets the address of a dynamic peer. Returns the address before.
    pub(crate) fn learn(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Static(_) | Self::Loopback => self.remote(),
            Self::Dynamic(peer) => {
                peer.known = true;
                peer.remote.replace(address)
            }
        }
    }

    /// Sets the zone of a given link-local address. Returns `true` if it was another one.
    pub(crate) fn set_scope(&mut self, scope: u32) -> bool {
        match self {
            Self::Static(LinkPath { remote: SocketAddr::V6(remote), .. })
                if remote.ip().is_unicast_link_local() && remote.scope_id() != scope =>
            {
                remote.set_scope_id(scope);
                true
            }
            _ => false,
        }
    }

    /// Notes that a dynamic peer is no longer believed to be at its address.
    pub(crate) fn lose(&mut self) {
        if let Self::Dynamic(peer) = self {
            peer.known = false;
        }
    }
}

/// Returns `true` if two addresses are of one machine, whatever their ports. A link-local address is of one
/// machine within its zone only, if both zones are known.
pub(crate) fn same_machine(one: SocketAddr, other: SocketAddr) -> bool {
    let zone = |address| match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => v6.scope_id(),
        _ => 0,
    };
    let zones = [zone(one), zone(other)];
    one.ip() == other.ip() && (zones[0] == zones[1] || zones.contains(&0))
}

impl From<LinkPath> for LinkPeer {
    fn from(path: LinkPath) -> Self {
        Self::Static(path)
    }
}
