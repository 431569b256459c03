//! The hosts of a handle, and the sockets for links to them.

use std::net::SocketAddr;

use knet_wire::HostId;

use crate::api::handle::Handle;
use crate::api::host::Host;
use crate::api::local_socket::LocalSocket;
use crate::error::Error;
use crate::log::log;

/// # Hosts
impl Handle {
    /// Adds a host. The own id can be added too, for links to this host itself.
    ///
    /// # Errors
    /// - [`Error::Host`] with `Exists`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let host = handle.add_host(HostId::new(2))?;
    /// host.set_name("backup")?;
    /// assert_eq!(handle.host_by_name("backup")?.id(), host.id());
    /// assert_eq!(handle.hosts(), [HostId::new(2)]);
    ///
    /// handle.remove_host(HostId::new(2))?;
    /// assert!(handle.host(HostId::new(2)).is_err());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn add_host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().configure(|engine, _| engine.add_host(host))??;
        log!(info, self.shared().log, Host, host = host.get(), "host added");
        Ok(Host::new(self.clone(), host))
    }

    /// Returns a host that was added.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn host(&self, host: HostId) -> Result<Host, Error> {
        self.shared().query(|engine, _| engine.host_status(host))?;
        Ok(Host::new(self.clone(), host))
    }

    /// Returns the host with a name, which is its id in decimal unless [`Host::set_name`] set another.
    ///
    /// # Errors
    /// [`Error::Host`] with `NoSuchName`.
    pub fn host_by_name(&self, name: &str) -> Result<Host, Error> {
        let host = self.shared().query(|engine, _| engine.host_by_name(name))?;
        Ok(Host::new(self.clone(), host))
    }

    /// Returns the ids of the hosts that were added, in ascending order.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostId> {
        self.shared().query(|engine, _| engine.hosts().collect())
    }

    /// Removes a host that has no links.
    ///
    /// # Errors
    /// - [`Error::Host`] with `Unknown` or `HasLinks`.
    /// - [`Error::InsideFilter`].
    pub fn remove_host(&self, host: HostId) -> Result<(), Error> {
        self.shared().configure(|engine, _| engine.remove_host(host))??;
        log!(info, self.shared().log, Host, host = host.get(), "host removed");
        Ok(())
    }

    /// Opens a UDP socket before the first link that uses it. Links with the same local address share the
    /// socket.
    ///
    /// With port 0, the kernel picks a port, a different one for each call. [`LocalSocket::addr`] returns
    /// it, so that the other host can be configured with it.
    ///
    /// # Errors
    /// - [`Error::Bind`].
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let [one, two] = [handle.bind(([127, 0, 0, 1], 0).into())?, handle.bind(([127, 0, 0, 1], 0).into())?];
    /// assert_ne!(one.addr().port(), 0);
    /// assert_ne!(one.addr(), two.addr());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn bind(&self, local: SocketAddr) -> Result<LocalSocket, Error> {
        LocalSocket::new(self.clone(), local)
    }
}
