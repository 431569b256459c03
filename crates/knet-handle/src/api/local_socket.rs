//! A UDP socket that is open before its first link.

use std::net::SocketAddr;

use knet_engine::SocketId;

use crate::api::handle::Handle;
use crate::error::Error;

/// A local address with an open socket: [`Handle::bind`]. Dropping it closes the socket unless
/// links use it.
#[derive(Debug)]
pub struct LocalSocket {
    handle: Handle,
    socket: SocketId,
    addr: SocketAddr,
}

impl LocalSocket {
    pub(crate) fn new(handle: Handle, local: SocketAddr) -> Result<Self, Error> {
        let shared = handle.shared();
        shared.outside_filter()?;
        let (socket, addr) = shared.sockets.acquire_new_port(local, &shared.rx.poller)?;
        Ok(Self { handle, socket, addr })
    }

    /// The address, with the port that the kernel picked.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let shared = self.handle.shared();
        shared.release_socket(self.socket);
    }
}
