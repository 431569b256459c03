//! A UDP socket that is open before its first link.

use std::net::SocketAddr;

use knet_engine::SocketId;

use crate::api::handle::Handle;
use crate::api::link::check_local;
use crate::error::Error;

/// An open UDP socket with its address: [`Handle::bind`]. Dropping it closes the socket, unless links use
/// it.
///
/// It counts as a clone of its [`Handle`].
///
/// # Examples
///
/// ```
/// use knet_handle::{LinkConfig, LinkId};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// let local = handle.bind(([127, 0, 0, 1], 0).into())?;
/// let config = LinkConfig::udp(local.addr(), ([127, 0, 0, 1], 9).into());
/// let link = handle.add_host(HostId::new(2))?.add_link(LinkId::new(0)?, config)?;
/// assert_eq!(link.local_addr()?, local.addr());
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Debug)]
pub struct LocalSocket {
    handle: Handle,
    socket: SocketId,
    addr: SocketAddr,
}

impl LocalSocket {
    pub(crate) fn new(handle: Handle, local: SocketAddr) -> Result<Self, Error> {
        let shared = handle.shared();
        shared.accept_call()?;
        check_local(local)?;
        let (socket, addr) = shared.sockets.acquire_new_port(local, &shared.rx.poller)?;
        Ok(Self { handle, socket, addr })
    }

    /// Returns the address, with the port that the kernel picked.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let shared = self.handle.shared();
        // A forked process leaves the socket to its parent, whose threads may have locked it.
        if !shared.fate.is_forked() {
            shared.release_socket(self.socket);
        }
    }
}
