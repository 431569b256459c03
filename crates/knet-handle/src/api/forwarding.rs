//! Turning the forwarding of messages on and off.

use std::sync::atomic::Ordering;

use crate::api::handle::Handle;
use crate::error::Error;
use crate::log::log;

/// # Forwarding
impl Handle {
    /// Turns the forwarding of messages on or off. Off by default.
    ///
    /// Turning it off first sends what was written to the datafds before the call, and delivers what has
    /// arrived at the links' sockets. Later messages are discarded and counted
    /// ([`tx_forwarding_off`](crate::ChannelStats::tx_forwarding_off),
    /// [`rx_forwarding_off`](crate::ChannelStats::rx_forwarding_off)). Links stay up.
    ///
    /// Blocks at most a second for a slow filter while sending, and another second while delivering:
    /// messages that the filter was not called with by then are discarded and counted. It also waits up
    /// to a second for full links.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// assert!(!handle.forwarding());
    /// handle.set_forwarding(true)?;
    /// assert!(handle.forwarding());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_forwarding(&self, on: bool) -> Result<(), Error> {
        let shared = self.shared();
        shared.accept_call()?;
        if !on && shared.is_forwarding() {
            shared.tx.flush();
            shared.rx.flush();
        }
        shared.forwarding.store(on, Ordering::Release);
        log!(info, shared.log, Handle, on, "forwarding switched");
        Ok(())
    }

    /// Returns `true` if messages are forwarded.
    #[must_use]
    pub fn forwarding(&self) -> bool {
        self.shared().is_forwarding()
    }
}
