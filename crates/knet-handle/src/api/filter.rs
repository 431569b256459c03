//! Installing the destination filter.

use std::sync::Arc;

use crate::api::handle::Handle;
use crate::error::Error;
use crate::filter::{FilterMessage, Verdict};

impl Handle {
    /// Installs the destination filter, in place of the one before. It is asked about every message
    /// sent and received, on the thread that handles it, so it must be quick.
    ///
    /// Inside it every method that changes or sends something fails with [`Error::InsideFilter`].
    /// If it panics, the message is rejected.
    ///
    /// When this returns, the filter before is not asked about any message any more. A call of it
    /// that is running is waited for, but no longer than a second.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn set_filter(
        &self,
        filter: impl Fn(&mut FilterMessage<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.shared().outside_filter()?;
        self.shared().set_filter(Some(Arc::new(filter)));
        Ok(())
    }

    /// Removes the filter: every message goes to everybody, and everything received is delivered.
    /// Waits as [`Handle::set_filter`] does.
    ///
    /// # Errors
    /// [`Error::InsideFilter`].
    pub fn remove_filter(&self) -> Result<(), Error> {
        self.shared().outside_filter()?;
        self.shared().set_filter(None);
        Ok(())
    }

    /// Whether a filter is installed.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.shared().filter().is_some()
    }
}
