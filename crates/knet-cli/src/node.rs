//! Our host in a cluster, for the commands that watch links and carry no data of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use kronosnet::{Error, Handle, Host, HostId, Link, LinkId, PingTimers};

use crate::peer::PeerLink;
use crate::remote::Remote;

/// The links to the peers, in ascending order of hosts and links.
#[derive(Debug)]
pub(crate) struct Node<R = SocketAddr> {
    pub(crate) handle: Handle,
    pub(crate) peers: Vec<Peer<R>>,
}

/// A host at the other end of links.
#[derive(Debug)]
pub(crate) struct Peer<R = SocketAddr> {
    pub(crate) host: Host,
    pub(crate) links: Vec<NodeLink<R>>,
}

/// A link, and what the command line says of it.
#[derive(Debug)]
pub(crate) struct NodeLink<R = SocketAddr> {
    pub(crate) link: Link,
    pub(crate) path: PeerLink<R>,
}

impl<R: Copy + Into<Remote>> Node<R> {
    /// Adds the peers with their links to a handle, and starts the links.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
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
                let link = path.remote.into().add_link(&host, id, path.local)?;
                link.set_ping_timers(timers)?;
                link.enable()?;
                links.push(NodeLink { link, path });
            }
            node.peers.push(Peer { host, links });
        }
        Ok(node)
    }

    /// All links, with no regard to hosts.
    pub(crate) fn links(&self) -> impl Iterator<Item = &NodeLink<R>> {
        self.peers.iter().flat_map(|peer| &peer.links)
    }
}
