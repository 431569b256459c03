//! Adding a link, and the rules on which links may coexist.

use std::time::Instant;

use knet_wire::{HostId, LinkId};

use super::Engine;
use crate::config::{LinkPath, SocketId};
use crate::error::{AddressProblem, LinkError};
use crate::link::{Link, LinkKind, LinkPeer};

impl Engine {
    /// Adds a link to a host. It is disabled, with default timers, pong count and priority.
    ///
    /// The peer's address is given ([`LinkPath`]) or learned
    /// ([`LinkPeer::dynamic`]). A loopback link ([`LinkPeer::Loopback`]) leads to this host itself,
    /// and is up as soon as it is enabled.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::Configured`]; [`LinkError::SharedSocket`];
    /// [`LinkError::LoopbackElsewhere`]; [`LinkError::LoopbackNotAlone`];
    /// [`LinkError::UnusableAddress`].
    pub fn add_link(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        peer: impl Into<LinkPeer>,
    ) -> Result<(), LinkError> {
        let peer = peer.into();
        self.check_link(host, link, &peer)?;
        let entry = self.hosts.get_mut(&host).ok_or(LinkError::UnknownHost(host))?;
        self.sockets.add(&peer);
        self.addresses.add(host, link, &peer);
        *entry.slot(link) = Some(Box::new(Link::new(now, peer)));
        Ok(())
    }

    /// Checks whether a host may have such a link besides the existing ones.
    fn check_link(&self, host: HostId, id: LinkId, peer: &LinkPeer) -> Result<(), LinkError> {
        let entry = self.hosts.get(&host).ok_or(LinkError::UnknownHost(host))?;
        let is_loopback = peer.kind() == LinkKind::Loopback;
        if is_loopback && host != self.own {
            return Err(LinkError::LoopbackElsewhere { host });
        }
        if let LinkPeer::Static(LinkPath { remote: address, .. }) = *peer {
            if let Some(problem) = AddressProblem::of_remote(address) {
                return Err(LinkError::UnusableAddress { address, problem });
            }
        }
        let excludes = |link: &Link| is_loopback || link.peer.kind() == LinkKind::Loopback;
        if let Some((link, _)) = entry.links().find(|(_, link)| excludes(link)) {
            return Err(LinkError::LoopbackNotAlone { host, link });
        }
        if entry.link(id).is_some() {
            return Err(LinkError::Configured { host, link: id });
        }
        match self.sockets.clashes(peer).then(|| self.first_link_of(peer.socket())).flatten() {
            Some((host, link)) => Err(LinkError::SharedSocket { host, link }),
            None => Ok(()),
        }
    }

    /// Returns the first link that uses a socket.
    fn first_link_of(&self, socket: Option<SocketId>) -> Option<(HostId, LinkId)> {
        let links = self.hosts.iter().flat_map(|(&host, entry)| {
            entry.links().map(move |(id, link)| (host, id, link.peer.socket()))
        });
        links.filter(|(.., used)| *used == socket).map(|(host, id, _)| (host, id)).next()
    }
}
