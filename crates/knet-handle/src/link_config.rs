//! How a link is configured.

use std::net::SocketAddr;

/// Where a link leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkConfig {
    pub(crate) ends: Ends,
}

/// The two ends of a link, as far as they are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ends {
    Static { local: SocketAddr, remote: SocketAddr },
    Dynamic { local: SocketAddr },
}

impl LinkConfig {
    /// A link over UDP to a peer whose address is known.
    ///
    /// Port 0 in `local` lets the kernel pick one. Links with the same local address share a socket.
    #[must_use]
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { ends: Ends::Static { local, remote } }
    }

    /// A link over UDP to a peer whose address is not known, or may change: it is found when it
    /// speaks, and followed when it speaks from elsewhere. The peer needs a link to our address,
    /// made with [`LinkConfig::udp`]; and its own address has to be accepted by the link's access
    /// list, which is empty at first: [`Link::add_acl_entry`](crate::Link::add_acl_entry).
    ///
    /// A link with such a peer cannot have the local address of one that was made with
    /// [`LinkConfig::udp`].
    #[must_use]
    pub fn udp_dynamic(local: SocketAddr) -> Self {
        Self { ends: Ends::Dynamic { local } }
    }

    /// The address of our end, as it was given.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        match self.ends {
            Ends::Static { local, .. } | Ends::Dynamic { local } => local,
        }
    }

    /// The address of the peer's end, if it was given.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Static { remote, .. } => Some(remote),
            Ends::Dynamic { .. } => None,
        }
    }
}
