//! The remote end of a link: an address, or a network from which the peer may send.

use std::fmt;
use std::net::SocketAddr;

use kronosnet::{Error, Host, Link, LinkConfig, LinkId, LinkZones};

use crate::args::network::Network;

/// Where the peer of a link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Remote {
    /// At this address.
    At(SocketAddr),
    /// Somewhere in this network. The link is dynamic: the peer's address is learned from its
    /// packets.
    Within(Network),
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        Self::At(address)
    }
}

impl Remote {
    /// Adds a link from `local` to this remote end, disabled. It follows `zones`.
    ///
    /// # Errors
    /// Those of [`Host::add_link`] and [`Link::add_acl_entry`].
    pub(crate) fn add_link(
        self,
        host: &Host,
        id: LinkId,
        local: SocketAddr,
        zones: LinkZones,
    ) -> Result<Link, Error> {
        match self {
            Self::At(remote) => {
                host.add_link(id, LinkConfig { zones, ..LinkConfig::udp(local, remote) })
            }
            Self::Within(network) => {
                let link =
                    host.add_link(id, LinkConfig { zones, ..LinkConfig::udp_dynamic(local) })?;
                link.add_acl_entry(network.acl_entry())?;
                Ok(link)
            }
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Within(network) => network.fmt(f),
        }
    }
}
