//! Letting messages through.

use std::sync::atomic::Ordering;

use crate::api::handle::Handle;
use crate::error::Error;

impl Handle {
    /// Lets messages through or stops them. Off at first.
    ///
    /// Switching off first sends what was written to the datafds before the call, and delivers what
    /// has arrived at our sockets; messages that come later are dropped. Links go on being watched.
    ///
    /// A slow filter is waited for while that is done, but no longer than a second when sending and
    /// another when delivering. What it was not asked about by then is dropped and counted
    /// ([`tx_forwarding_off`](crate::ChannelStats::tx_forwarding_off),
    /// [`rx_forwarding_off`](crate::ChannelStats::rx_forwarding_off)); what it is being
    /// asked about just then goes where it says. Links that are full are waited for a second as well.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn set_forwarding(&self, on: bool) -> Result<(), Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if !on && shared.is_forwarding() {
            shared.tx.flush();
            shared.rx.flush();
        }
        shared.forwarding.store(on, Ordering::Release);
        Ok(())
    }

    /// Whether messages are let through.
    #[must_use]
    pub fn forwarding(&self) -> bool {
        self.shared().is_forwarding()
    }
}
