//! Making a handle.

use knet_engine::EngineConfig;
use knet_wire::HostId;

use crate::error::Error;
use crate::handle::Handle;

/// What a handle is made from: [`Handle::builder`].
#[derive(Clone, Debug)]
pub struct HandleBuilder {
    host: HostId,
}

impl HandleBuilder {
    pub(crate) fn new(host: HostId) -> Self {
        Self { host }
    }

    /// Makes the handle and starts its threads. Takes about a millisecond.
    ///
    /// # Errors
    /// [`Error::Os`] if the kernel refuses descriptors, threads or random bytes.
    pub fn build(self) -> Result<Handle, Error> {
        let mut cookie_key = [0; 16];
        getrandom::fill(&mut cookie_key).map_err(|error| Error::Os {
            what: "reading random bytes",
            errno: error.raw_os_error().unwrap_or_default(),
        })?;
        Handle::start(&EngineConfig { host: self.host, cookie_key })
    }
}
