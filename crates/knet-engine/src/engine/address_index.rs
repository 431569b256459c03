//! Which links lead to an address. A look at all links would make reports about packets, which
//! anybody can send, as expensive as the cluster is large.

use std::collections::BTreeSet;
use std::net::IpAddr;

use knet_wire::{HostId, LinkId};

use crate::config::SocketId;
use crate::link::LinkPeer;

/// The links of all peers whose address is known or was, by socket and address.
#[derive(Debug, Default)]
pub(super) struct AddressIndex(BTreeSet<(SocketId, IpAddr, HostId, LinkId)>);

impl AddressIndex {
    /// Notes that a link leads to this peer now.
    pub(super) fn add(&mut self, host: HostId, link: LinkId, peer: &LinkPeer) {
        self.0.extend(entry(host, link, peer));
    }

    /// Notes that a link no longer leads to this peer.
    pub(super) fn remove(&mut self, host: HostId, link: LinkId, peer: &LinkPeer) {
        if let Some(entry) = entry(host, link, peer) {
            self.0.remove(&entry);
        }
    }

    /// Returns the links from a socket to an address. A dynamic link whose peer is lost is among
    /// them.
    pub(super) fn links(
        &self,
        socket: SocketId,
        address: IpAddr,
    ) -> impl Iterator<Item = (HostId, LinkId)> {
        let from = (socket, address, HostId::new(0), LinkId::ALL[0]);
        let range =
            self.0.range(from..).take_while(move |entry| (entry.0, entry.1) == (socket, address));
        range.map(|&(.., host, link)| (host, link))
    }
}

fn entry(
    host: HostId,
    link: LinkId,
    peer: &LinkPeer,
) -> Option<(SocketId, IpAddr, HostId, LinkId)> {
    Some((peer.socket()?, peer.remote()?.ip(), host, link))
}

#[cfg(test)]
mod tests;
