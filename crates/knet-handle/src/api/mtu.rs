//! The length of packets.

use std::time::Duration;

use crate::api::handle::Handle;
use crate::error::Error;

impl Handle {
    /// Sets by hand how long a whole IP packet may be on every link, in bytes; `None` goes back to
    /// finding it out.
    ///
    /// # Errors
    /// [`Error::Mtu`] if it is too small; [`Error::InsideFilter`].
    pub fn set_manual_mtu(&self, onwire: Option<u16>) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, now| engine.set_manual_mtu(now, onwire))??)
    }

    /// The MTU set by hand, in bytes of a whole IP packet.
    #[must_use]
    pub fn manual_mtu(&self) -> Option<u16> {
        self.shared().query(|engine, _| engine.manual_mtu())
    }

    /// Sets how often the path MTU of each link is searched anew, 1 s to 86400 s. Default 60 s. A
    /// link that comes up is searched at once, and so is one whose packets turn out to be too long.
    ///
    /// # Errors
    /// [`Error::Mtu`] outside that range; [`Error::InsideFilter`].
    pub fn set_mtu_interval(&self, interval: Duration) -> Result<(), Error> {
        Ok(self.shared().configure(|engine, _| engine.set_mtu_interval(interval))??)
    }

    /// How often the path MTU of each link is searched anew.
    #[must_use]
    pub fn mtu_interval(&self) -> Duration {
        self.shared().query(|engine, _| engine.mtu_interval())
    }

    /// Returns how many payload bytes a packet carries on every link in use
    /// (`docs/wire-format.md`, "Length arithmetic").
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.shared().query(|engine, _| engine.data_mtu())
    }
}
