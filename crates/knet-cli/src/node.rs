//! A host that joins a cluster to observe its links: `knet check` and `knet monitor`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kronosnet::{Error, Handle, Host, HostId, Link, LinkId, PingTimers};

use crate::args::{PeerLink, Remote};

/// A handle and its links to the peers.
#[derive(Debug)]
pub(crate) struct Node<R = SocketAddr> {
    pub(crate) handle: Handle,
    /// In ascending order of host ids.
    pub(crate) peers: Vec<Peer<R>>,
}

/// A peer and the links to it.
#[derive(Debug)]
pub(crate) struct Peer<R = SocketAddr> {
    pub(crate) host: Host,
    /// In ascending order of link ids.
    pub(crate) links: Vec<NodeLink<R>>,
}

/// A link and its addresses on the command line.
#[derive(Debug)]
pub(crate) struct NodeLink<R = SocketAddr> {
    pub(crate) link: Link,
    pub(crate) path: PeerLink<R>,
}

impl<R: Copy + Into<Remote>> Node<R> {
    /// Adds the peers with their links to a handle, and enables the links.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn join(
        handle: Handle,
        peers: &BTreeMap<HostId, Vec<PeerLink<R>>>,
        timers: PingTimers,
    ) -> Result<Self, Error> {
        let mut node = Self { handle, peers: Vec::new() };
        for (&host, paths) in peers {
            let host = node.handle.add_host(host)?;
            let mut links = Vec::new();
            for (&path, id) in paths.iter().zip(LinkId::ALL) {
                let link = path.remote.into().add_link(&host, id, path.local, path.zones)?;
                link.set_ping_timers(timers)?;
                link.enable()?;
                links.push(NodeLink { link, path });
            }
            node.peers.push(Peer { host, links });
        }
        Ok(node)
    }

    /// Returns all links of all peers.
    pub(crate) fn links(&self) -> impl Iterator<Item = &NodeLink<R>> {
        self.peers.iter().flat_map(|peer| &peer.links)
    }
}
