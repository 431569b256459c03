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
        }
    }

    /// The driver's socket that sends and receives for the link.
    #[must_use]
    pub fn socket(&self) -> SocketId {
        match self {
            Self::Static(path) => path.socket,
            Self::Dynamic(peer) => peer.socket,
        }
    }

    /// The address of the peer's end: the given one, or the one that was learnt last.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self {
            Self::Static(path) => Some(path.remote),
            Self::Dynamic(peer) => peer.remote,
        }
    }

    /// The way to the peer, if it is known now.
    #[must_use]
    pub fn path(&self) -> Option<LinkPath> {
        match self {
            Self::Static(path) => Some(*path),
            Self::Dynamic(DynamicPeer { socket, remote, known: true, .. }) => {
                Some(LinkPath { socket: *socket, remote: (*remote)? })
            }
            Self::Dynamic(_) => None,
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
            Self::Dynamic(peer) => peer.version,
        }
    }

    /// A dynamic peer was found at this address. Gives back where it was known to be last.
    pub(crate) fn learn(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        match self {
            Self::Static(path) => Some(path.remote),
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
