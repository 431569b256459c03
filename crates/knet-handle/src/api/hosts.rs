//! The hosts of a handle, and the sockets that links to them use.

use std::net::SocketAddr;

use knet_wire::HostId;

use crate::api::handle::Handle;
use crate::api::host::Host;
use crate::api::local_socket::LocalSocket;
use crate::error::Error;

impl Handle {
    /// Adds a host. Our own id may be added too, for links to ourselves.
    ///
    /// # Errors
    /// [`Error::Host`] with `Exists`; [`Error::InsideFilter`].
    pub fn add_host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().configure(|engine, _| engine.add_host(host))??;
        Ok(Host::new(self.clone(), host))
    }

    /// A host that was added.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().query(|engine, _| engine.host_status(host))?;
        Ok(Host::new(self.clone(), host))
    }

    /// The host of that name, which is its id in decimal unless it was given another.
    ///
    /// # Errors
    /// [`Error::Host`] with `NoSuchName`.
    pub fn host_by_name(&self, name: &str) -> Result<Host, Error> {
        let host = self.shared().query(|engine, _| engine.host_by_name(name))?;
        Ok(Host::new(self.clone(), host))
    }

    /// The hosts that were added, in ascending order.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        self.shared().query(|engine, _| engine.hosts().collect())
    }

    /// Removes a host that has no links.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown` or `HasLinks`; [`Error::InsideFilter`].
    pub fn remove_host(&self, host: HostId) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, _| engine.remove_host(host))??)
    }

    /// Opens a UDP socket for links, before the first link that uses it: with port 0 the kernel
    /// picks one, another one for each call, which [`LocalSocket::addr`] tells, so that the other host
    /// can be told where we are. Links with that address share the socket.
    ///
    /// # Errors
    /// [`Error::Bind`]; [`Error::InsideFilter`].
    pub fn bind(&self, local: SocketAddr) -> Result<LocalSocket, Error> {
        LocalSocket::new(self.clone(), local)
    }
}
