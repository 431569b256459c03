//! Who is at the other end of a link, and where.

use std::net::SocketAddr;

use knet_wire::IpVersion;

use crate::config::{LinkPath, SocketId};

/// Who is at the other end of a link, and where: what a link is configured with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LinkPeer {
    /// A peer at an address that was given.
    Static(LinkPath),
    /// A peer that speaks first, from an address that is learnt then.
    Dynamic(DynamicPeer),
    /// Ourselves, without a socket or packets: the driver hands messages over as they are
    /// (`spec/engine.md` 19).
    Loopback,
}

/// A peer that is where it speaks from (`spec/engine.md` 12.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DynamicPeer {
    socket: SocketId,
    version: IpVersion,
    /// The address that was learnt last.
    remote: Option<SocketAddr>,
    /// Whether the peer is there still, as far as is known (libknet's `dynconnected`).
    known: bool,
}

/// How the peer's address of a link is known.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LinkKind {
    /// It was given.
    Static,
    /// It is learnt from what the peer sends.
    Dynamic,
    /// There is none: the link leads to ourselves.
    Loopback,
}

impl LinkPeer {
    /// A peer whose address is learnt when it speaks, over this socket and address family.
    #[must_use]
    pub fn dynamic(socket: SocketId, version: IpVersion) -> Self {
        Self::Dynamic(DynamicPeer { socket, version, remote: None, known: false })
    }

    /// How the peer's address is known.
    #[must_use]
    pub fn kind(&self) -> LinkKind {
        match self {
            Self::Static(_) => LinkKind::Static,
            Self::Dynamic(_) => LinkKind::Dynamic,
            Self::Loopback => LinkKind::Loopback,
        }
    }

    /// The driver's socket that sends and receives for the link; a loopback link has none.
    #[must_use]
    pub fn socket(&self) -> Option<SocketId> {
        match self {
            Self::Static(path) => Some(path.socket),
            Self::Dynamic(peer) => Some(peer.socket),
            Self::Loopback => None,
        }
    }

    /// The address of the peer's end: the given one, or the one that was learnt last.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Self::Static(path) => Some(path.remote),
            Self::Dynamic(peer) => peer.remote,
            Self::Loopback => None,
        }
    }

    /// Whether the peer is where it is known to be, as far as is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self {
            Self::Static(_) | Self::Loopback => true,
            Self::Dynamic(peer) => peer.known,
        }
    }

    /// The way of packets to the peer, if it is known now.
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

    /// Whether the link uses IPv4, and not IPv6.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.ip_version() == IpVersion::V4
    }

    /// Which header the link's packets carry below UDP.
    pub(crate) fn ip_version(&self) -> IpVersion {
        match self {
            Self::Static(path) if path.remote.is_ipv4() => IpVersion::V4,
            Self::Static(_) => IpVersion::V6,
            // No matter: nothing of it is ever in a packet.
            Self::Loopback => IpVersion::V4,
            Self::Dynamic(peer) => peer.version,
        }
    }

    /// A dynamic peer was found at this address. Gives back where it was known to be last.
    pub(crate) fn learn(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Static(_) | Self::Loopback => self.remote(),
            Self::Dynamic(peer) => {
                peer.known = true;
                peer.remote.replace(address)
            }
        }
    }

    /// A dynamic peer is not where it was any more.
    pub(crate) fn lose(&mut self) {
        if let Self::Dynamic(peer) = self {
            peer.known = false;
        }
    }
}

impl From<LinkPath> for LinkPeer {
    fn from(path: LinkPath) -> Self {
        Self::Static(path)
    }
}
