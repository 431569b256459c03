//! Which kind of links uses each socket. A look at all links would make adding them quadratic.

use std::collections::BTreeMap;

use crate::config::SocketId;
use crate::link::{LinkKind, LinkPeer};

/// The sockets of all configured links. The links of a socket are of one kind.
#[derive(Debug, Default)]
pub(super) struct SocketUses(BTreeMap<SocketId, SocketUse>);

#[derive(Debug)]
struct SocketUse {
    kind: LinkKind,
    links: usize,
}

impl SocketUses {
    /// Returns `true` if links of another kind use the peer's socket.
    pub(super) fn clashes(&self, peer: &LinkPeer) -> bool {
        let used = peer.socket().and_then(|socket| self.0.get(&socket));
        used.is_some_and(|used| used.kind != peer.kind())
    }

    /// Iterates over the sockets that links use.
    pub(super) fn iter(&self) -> impl Iterator<Item = SocketId> {
        self.0.keys().copied()
    }

    /// Notes that a link to this peer was added.
    pub(super) fn add(&mut self, peer: &LinkPeer) {
        let Some(socket) = peer.socket() else { return };
        self.0.entry(socket).or_insert(SocketUse { kind: peer.kind(), links: 0 }).links += 1;
    }

    /// Notes that a link to this peer was removed.
    pub(super) fn remove(&mut self, peer: &LinkPeer) {
        let Some(socket) = peer.socket() else { return };
        let Some(used) = self.0.get_mut(&socket) else { return };
        used.links -= 1;
        if used.links == 0 {
            self.0.remove(&socket);
        }
    }
}
