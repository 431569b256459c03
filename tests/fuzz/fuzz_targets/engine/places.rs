//! The hosts' addresses, sockets and links.

use std::net::{IpAddr, SocketAddr};

use knet_engine::{AclAction, AclEntry, LinkPath, LinkPeer, SocketId};
use knet_wire::{HostId, IpVersion, LinkId};

use crate::step::Entry;

pub(crate) fn id(host: usize) -> HostId {
    HostId::new(host as u16 + 1)
}

pub(crate) fn links() -> impl Iterator<Item = LinkId> {
    LinkId::ALL.into_iter().take(LINKS)
}

pub(crate) fn link_of(number: u8) -> LinkId {
    LinkId::ALL[usize::from(number) % LINKS]
}

/// Returns `true` if a host's link to this peer is dynamic: for the first of each pair of hosts, on
/// the second half of the links.
pub(crate) fn is_dynamic(at: usize, peer: usize, link: LinkId) -> bool {
    at < peer && usize::from(link.get()) >= LINKS / 2
}

/// Returns the socket of a host for this peer. Dynamic links have one of their own.
pub(crate) fn socket(at: usize, peer: usize, link: LinkId) -> SocketId {
    let dynamic = if is_dynamic(at, peer, link) { LINKS as u64 } else { 0 };
    SocketId(u64::from(link.get()) + dynamic)
}

/// Returns the address of a host on a link: every second link is IPv6. The host after the last is a
/// stranger.
pub(crate) fn address(host: usize, place: u8, link: LinkId) -> SocketAddr {
    match version(link) {
        IpVersion::V4 => ([10, 0, place / 2, host as u8], 5405 + u16::from(place % 2)).into(),
        IpVersion::V6 => {
            let ip = [0xfd00, 0, 0, 0, 0, 0, u16::from(place / 2), host as u16];
            (ip, 5405 + u16::from(place % 2)).into()
        }
    }
}

/// Returns the host at this address.
pub(crate) fn resident(address: SocketAddr, link: LinkId) -> Option<(usize, u8)> {
    let mut all = (0..=HOSTS).flat_map(|host| (0..PLACES).map(move |place| (host, place)));
    all.find(|&(host, place)| self::address(host, place, link) == address)
}

/// Returns the configuration of a host's link to this peer. A peer on a static link stays at its
/// first address.
pub(crate) fn peer_of(at: usize, peer: usize, link: LinkId) -> LinkPeer {
    let socket = socket(at, peer, link);
    if is_dynamic(at, peer, link) {
        LinkPeer::dynamic(socket, version(link))
    } else {
        LinkPath { socket, remote: address(peer, 0, link) }.into()
    }
}

/// Returns an entry for a link, or `None` if its parts do not match.
pub(crate) fn entry_of(entry: Entry, link: LinkId) -> Option<AclEntry> {
    let Entry { accept, kind, host, place, last } = entry;
    let action = if accept { AclAction::Accept } else { AclAction::Reject };
    let host = usize::from(host) % (HOSTS + 1);
    let [first, last] = [place, last].map(|place| address(host, place % PLACES, link).ip());
    let everything: IpAddr = match version(link) {
        IpVersion::V4 => [0, 0, 0, 0].into(),
        IpVersion::V6 => [0; 16].into(),
    };
    match kind % 3 {
        0 => Some(AclEntry::address(action, first)),
        1 => AclEntry::range(action, first, last).ok(),
        _ => AclEntry::mask(action, everything, everything).ok(),
    }
}

fn version(link: LinkId) -> IpVersion {
    if link.get() % 2 == 0 { IpVersion::V4 } else { IpVersion::V6 }
}

pub(crate) const HOSTS: usize = 3;
/// The number of links, half of which, in both families, are dynamic at one end.
const LINKS: usize = 4;
/// The number of addresses: two ports of three IP addresses.
pub(crate) const PLACES: u8 = 6;
