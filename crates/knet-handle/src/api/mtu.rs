//! The length of packets: path MTU discovery and its manual override.

use std::time::Duration;

use crate::api::handle::Handle;
use crate::error::Error;
use crate::log::log;

/// # Path MTU
impl Handle {
    /// Sets the length of the longest IP packet on every link, in bytes, instead of the discovered path
    /// MTU. `None` returns to discovery.
    ///
    /// # Errors
    /// - [`Error::Mtu`] if it is too small.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// handle.set_manual_mtu(Some(1400))?;
    /// assert_eq!(handle.manual_mtu(), Some(1400));
    /// assert!(handle.set_manual_mtu(Some(100)).is_err());
    /// handle.set_manual_mtu(None)?;
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_manual_mtu(&self, onwire: Option<u16>) -> Result<(), Error> {
        self.shared().configure(|engine, now| engine.set_manual_mtu(now, onwire))??;
        log!(debug, self.shared().log, Pmtud, onwire, "manual MTU set");
        Ok(())
    }

    /// Returns the manual MTU, in bytes of an IP packet, if there is one.
    #[must_use]
    pub fn manual_mtu(&self) -> Option<u16> {
        self.shared().query(|engine, _| engine.manual_mtu())
    }

    /// Sets the time between two discoveries of the path MTU of a link, 1 s to 86400 s. The default is 60
    /// s.
    ///
    /// Regardless of the interval, the path MTU is discovered when a link comes up, and when its packets
    /// turn out to be too long.
    ///
    /// # Errors
    /// - [`Error::Mtu`] outside that range.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// handle.set_mtu_interval(Duration::from_secs(600))?;
    /// assert_eq!(handle.mtu_interval().as_secs(), 600);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_mtu_interval(&self, interval: Duration) -> Result<(), Error> {
        self.shared().configure(|engine, _| engine.set_mtu_interval(interval))??;
        log!(debug, self.shared().log, Pmtud, ?interval, "interval of MTU searches set");
        Ok(())
    }

    /// Returns the time between two discoveries of the path MTU of a link.
    #[must_use]
    pub fn mtu_interval(&self) -> Duration {
        self.shared().query(|engine, _| engine.mtu_interval())
    }

    /// Returns how many bytes of payload a packet can carry on every link in use (`docs/wire-format.md`,
    /// "Length arithmetic").
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.shared().query(|engine, _| engine.data_mtu())
    }
}
