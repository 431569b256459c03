//! Creating a handle with settings.

use std::time::Duration;

use knet_wire::HostId;

use crate::api::handle::Handle;
use crate::api::handle_config::HandleConfig;
use crate::error::Error;

/// Creates a handle with settings: [`Handle::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use knet_handle::{Handle, HostId};
///
/// # fn main() -> Result<(), knet_handle::Error> {
/// let handle = Handle::builder(HostId::new(1))
///     .busy_poll(Duration::ZERO)
///     .send_timeout(Duration::from_secs(1))
///     .build()?;
/// assert!(handle.busy_poll().is_zero());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HandleBuilder {
    host: HostId,
    config: HandleConfig,
}

impl HandleBuilder {
    pub(crate) fn new(host: HostId) -> Self {
        Self { host, config: HandleConfig::default() }
    }

    /// Sets the longest time for which the data threads busy-poll: [`HandleConfig::busy_poll`].
    #[must_use]
    pub fn busy_poll(mut self, longest: Duration) -> Self {
        self.config.busy_poll = Some(longest);
        self
    }

    /// Sets how long packets wait for room in a link's socket: [`HandleConfig::send_timeout`].
    #[must_use]
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.config.send_timeout = timeout;
        self
    }

    /// Replaces all settings.
    #[must_use]
    pub fn config(mut self, config: HandleConfig) -> Self {
        self.config = config;
        self
    }

    /// Creates the handle and starts its threads. Takes about a millisecond.
    ///
    /// # Errors
    /// Those of [`Handle::with_config`].
    pub fn build(self) -> Result<Handle, Error> {
        Handle::with_config(self.host, self.config)
    }
}
