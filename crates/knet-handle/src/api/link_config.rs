//! How a link is configured.

use std::net::SocketAddr;

use crate::link_transport::Transport;

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
    Loopback,
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

    /// A link to ourselves: messages to our own host id are delivered here, without packets, and
    /// without passing the filter a second time.
    ///
    /// It has to be the only link of our own host id. It is up, and that host reachable, for as long
    /// as the link is enabled. What is sent is delivered by another thread: sending succeeds when the
    /// message is on its way, and what a full datafd does not take is counted for its channel.
    #[must_use]
    pub fn loopback() -> Self {
        Self { ends: Ends::Loopback }
    }

    /// What carries its messages.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.ends {
            Ends::Static { .. } | Ends::Dynamic { .. } => Transport::Udp,
            Ends::Loopback => Transport::Loopback,
        }
    }

    /// The address of our end, as it was given; a loopback link has none.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Static { local, .. } | Ends::Dynamic { local } => Some(local),
            Ends::Loopback => None,
        }
    }

    /// The address of the peer's end, if it was given.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Static { remote, .. } => Some(remote),
            Ends::Dynamic { .. } | Ends::Loopback => None,
        }
    }
}
