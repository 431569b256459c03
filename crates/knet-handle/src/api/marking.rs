//! Marking the packets of all links.

use knet_transport::QosMarking;

use crate::api::handle::Handle;
use crate::error::Error;

impl Handle {
    /// Marks the packets of all links for this machine's queues and for the routers on their way
    /// (`knet_handle_setprio_dscp`), but for links with a [`Link::set_marking`](crate::Link::set_marking)
    /// of their own. Not marked at first. Takes effect at once, on links that are there too.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses, for which no cause is known; [`Error::InsideFilter`].
    pub fn set_marking(&self, marking: QosMarking) -> Result<(), Error> {
        self.shared().outside_filter()?;
        Ok(self.shared().sockets.set_marking(marking)?)
    }

    /// How the packets of links without a marking of their own are marked.
    #[must_use]
    pub fn marking(&self) -> QosMarking {
        self.shared().sockets.marking()
    }
}
