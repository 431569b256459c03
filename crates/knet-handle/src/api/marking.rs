//! Marking the packets of all links.

use knet_transport::QosMarking;

use crate::api::handle::Handle;
use crate::error::Error;
use crate::log::log;

/// # Marking
impl Handle {
    /// Marks the packets of all links for the queues of this machine and for routers
    /// (`knet_handle_setprio_dscp`), except those of links with a
    /// [marking of their own](crate::Link::set_marking). Takes effect at once, also on existing links. Not
    /// marked by default.
    ///
    /// # Errors
    /// - [`Error::Os`] if the kernel refuses, for which no cause is known.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Dscp, QosMarking};
    ///
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let voice = QosMarking { priority: true, dscp: Some(Dscp::try_from(46)?) };
    /// handle.set_marking(voice)?;
    /// assert_eq!(handle.marking(), voice);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_marking(&self, marking: QosMarking) -> Result<(), Error> {
        self.shared().accept_call()?;
        self.shared().sockets.set_marking(marking)?;
        log!(debug, self.shared().log, Transport, ?marking, "marking set");
        Ok(())
    }

    /// Returns the marking of packets whose link has none of its own.
    #[must_use]
    pub fn marking(&self) -> QosMarking {
        self.shared().sockets.marking()
    }
}
