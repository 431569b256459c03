//! Installing the destination filter.

use crate::api::handle::Handle;
use crate::error::Error;
use crate::filter::{FilterMessage, InstalledFilter, Verdict};
use crate::log::log;

/// # Filter
impl Handle {
    /// Installs the destination filter, instead of the previous one. It is called with every message that
    /// is sent or received, on the thread that handles the message, so it must be fast.
    ///
    /// Within the filter, every method of this handle that changes or sends something fails with
    /// [`Error::InsideFilter`]. Other handles can be used. If the filter panics, the message is rejected. One
    /// panic per second is logged and reaches the panic hook of the process: the bytes that cause them may come
    /// from anywhere.
    ///
    /// Once this returns, the previous filter is no longer called. It blocks until a running call of the
    /// previous filter has returned, for at most a second.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// A filter that sends each message to the host that its first byte names, and delivers all messages:
    ///
    /// ```
    /// use knet_handle::{Direction, Verdict};
    ///
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// handle.set_filter(|message| match message.direction() {
    ///     Direction::Tx => {
    ///         let Some(&host) = message.payload().first() else { return Verdict::Reject };
    ///         message.add_destination(HostId::new(host.into()));
    ///         Verdict::Destinations
    ///     }
    ///     Direction::Rx => Verdict::Broadcast,
    /// })?;
    /// assert!(handle.has_filter());
    /// handle.remove_filter()?;
    /// assert!(!handle.has_filter());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_filter(
        &self,
        filter: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.shared().accept_call()?;
        self.shared().set_filter(Some(InstalledFilter::new(filter)));
        log!(debug, self.shared().log, Filter, "filter installed");
        Ok(())
    }

    /// Removes the filter: every message goes to every reachable host, and all received messages are
    /// delivered. Blocks like [`Handle::set_filter`].
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn remove_filter(&self) -> Result<(), Error> {
        self.shared().accept_call()?;
        self.shared().set_filter(None);
        log!(debug, self.shared().log, Filter, "filter removed");
        Ok(())
    }

    /// Returns `true` if a filter is installed.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.shared().filter().is_some()
    }
}
