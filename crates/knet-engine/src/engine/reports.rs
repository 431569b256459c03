//! Reports that packets do not reach the peer: by the network, and by the kernel that refuses to send
//! them.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use knet_wire::{HostId, LinkId};

use super::Engine;
use crate::config::SocketId;
use crate::errno::{ECONNREFUSED, EHOSTDOWN, ENONET};
use crate::event::LinkState;

impl Engine {
    /// Handles a report of the network, an ICMP message, that a packet from this socket could not be
    /// delivered.
    ///
    /// Anybody can send such a message, so it takes no link down. It starts a check: links to that
    /// address are pinged at once, several times, and go down if no pong comes.
    pub fn handle_transport_error(
        &mut self,
        now: Instant,
        socket: SocketId,
        destination: SocketAddr,
        errno: i32,
    ) {
        for (host, id) in self.links_to(socket, destination.ip()) {
            let Ok(link) = self.link_mut(host, id) else { continue };
            // Not the whole address: the kernel may leave out an IPv6 scope.
            let same_port =
                link.peer.remote().is_some_and(|remote| remote.port() == destination.port());
            if link.is_enabled() && same_port {
                link.unreachable_reported(now, errno);
                self.watch_link(now, host, id);
            }
        }
    }

    /// Handles a report about the address that a ping was to leave from: that this machine no longer has it, or
    /// `None` if that is not why the ping was refused. Precedes [`Engine::handle_ping_refused`], unless the ping
    /// left from another address.
    ///
    /// It takes no link down. If no pong comes before the link goes down, it is the reason.
    pub fn handle_own_address_lost(&mut self, host: HostId, id: LinkId, address: Option<IpAddr>) {
        if let Some(link) = self.hosts.get_mut(&host).and_then(|entry| entry.link_mut(id)) {
            link.own_address.set_lost(address);
        }
    }

    /// Handles a report that the kernel refused to send a ping ([`Transmit::is_ping`](crate::Transmit::is_ping)).
    ///
    /// The first refusal takes no link down: what is missing, such as a route, may be back before
    /// the next pong is due. If the repeated ping is refused too, the link goes down, provided that
    /// another link to the host is up. The last link stays up until its pong timeout: taking it
    /// down early would gain nothing, and it would need all its pongs again to come back.
    ///
    /// In any case `errno` becomes the reason of a link that is down, or goes down without a pong.
    ///
    /// `ECONNREFUSED`, `EHOSTDOWN` and `ENONET` are what the kernel derives from ICMP messages about
    /// earlier packets, so they are handled like [`Engine::handle_transport_error`].
    pub fn handle_ping_refused(&mut self, now: Instant, host: HostId, id: LinkId, errno: i32) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let another = entry.links().any(|(other, link)| other != id && link.is_usable());
        let Some(link) = entry.link_mut(id) else { return };
        if matches!(errno, ECONNREFUSED | EHOSTDOWN | ENONET) {
            link.unreachable_reported(now, errno);
            return self.watch_link(now, host, id);
        }
        let reason = link.refusal_reason(errno);
        if link.ping_refused(now, errno) && another && link.take_down(now, reason) {
            self.announce(now, host, id, LinkState::Down(reason));
            self.watch_link(now, host, id);
        }
    }
}
