//! Faults of this machine: sockets from which nothing can be received, and a driver that ended.

use std::time::Instant;

use super::Engine;
use crate::config::SocketId;
use crate::event::{DownReason, LinkState};

impl Engine {
    /// Handles a report that the kernel refuses to receive from a socket, or from all of them if `socket`
    /// is `None`.
    ///
    /// No link goes down because of it: the next try may work. The error becomes the reason of the links
    /// of the socket that are down, or go down without a pong, until
    /// [`Engine::handle_receive_restored`]. Repeat the call while receiving fails, for links that are
    /// added meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use knet_engine::{DownReason, Engine, EngineConfig, LinkPath, LinkState, SocketId};
    /// # use knet_wire::{HostId, LinkId};
    /// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
    /// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
    /// # let mut engine = Engine::new(now, &config);
    /// # engine.add_host(peer)?;
    /// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
    /// # engine.add_link(now, peer, link, path)?;
    /// # engine.set_link_enabled(now, peer, link, true)?;
    /// // A filter of system calls answers ENOSYS.
    /// engine.handle_receive_failed(now, Some(path.socket), 38);
    /// let state = engine.link_status(now, peer, link)?.state;
    /// assert_eq!(state, LinkState::Down(DownReason::ReceiveError { errno: 38 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_receive_failed(&mut self, now: Instant, socket: Option<SocketId>, errno: i32) {
        self.set_receive_error(now, socket, Some(errno));
    }

    /// Handles a report that receiving works again where [`Engine::handle_receive_failed`] was called.
    pub fn handle_receive_restored(&mut self, now: Instant, socket: Option<SocketId>) {
        self.set_receive_error(now, socket, None);
    }

    /// Counts a datagram that was received in part, because it was too long ([`DropStats::truncated`]).
    ///
    /// [`DropStats::truncated`]: crate::DropStats::truncated
    pub fn record_truncated(&mut self) {
        self.drops.truncated += 1;
    }

    /// Handles the end of the driver by a fault of its own. All links that are enabled are disabled, for
    /// this reason ([`DownReason::ThreadEnded`]).
    pub fn handle_driver_ended(&mut self, now: Instant) {
        let reason = DownReason::ThreadEnded;
        let links: Vec<_> = self
            .hosts
            .iter()
            .flat_map(|(&host, entry)| entry.links().map(move |(id, link)| (host, id, link)))
            .filter_map(|(host, id, link)| link.is_enabled().then_some((host, id)))
            .collect();
        for (host, id) in links {
            let Ok(link) = self.link_mut(host, id) else { continue };
            let was_up = link.disable_because(now, reason);
            self.timers_off(host, id);
            if was_up {
                self.announce(now, host, id, LinkState::Down(reason));
            }
        }
    }

    fn set_receive_error(&mut self, now: Instant, socket: Option<SocketId>, errno: Option<i32>) {
        for link in self.hosts.values_mut().flat_map(crate::host::Host::links_mut) {
            let own = link.peer.socket();
            if own.is_some() && (socket.is_none() || own == socket) {
                link.set_receive_error(now, errno);
            }
        }
    }
}
