//! A host of libknet.

use std::net::SocketAddr;
use std::time::Duration;

use kronosnet::{HostId, LinkId, Policy};

use super::error::CallError;
use super::handle::Handle;
use super::link::Link;

/// A host that was added to a handle.
#[derive(Clone, Debug)]
pub struct Host {
    handle: Handle,
    id: HostId,
}

/// A host did not become reachable, or unreachable, in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("for libknet, host {host} is still {}", if *.wanted { "not reachable" } else { "reachable" })]
pub struct HostTimeout {
    /// The host.
    pub host: HostId,
    /// Whether it should have become reachable.
    pub wanted: bool,
}

impl Host {
    pub(super) fn new(handle: Handle, id: HostId) -> Self {
        Self { handle, id }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.id
    }

    /// Sets the policy of its links (`knet_host_set_policy`), which takes effect some milliseconds
    /// later.
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_policy(&self, policy: Policy) -> Result<(), CallError> {
        let number = match policy {
            Policy::Passive => 0,
            Policy::Active => 1,
            Policy::RoundRobin => 2,
        };
        self.handle.raw().set_policy(self.id.get(), number)
    }

    /// Returns `true` if it was reachable when libknet last reported it.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.handle.news().is_reachable(self.id.get())
    }

    /// Waits until libknet reports that it is reachable.
    ///
    /// # Errors
    /// [`HostTimeout`].
    pub fn wait_reachable(&self, timeout: Duration) -> Result<(), HostTimeout> {
        self.wait(true, timeout)
    }

    /// Waits until libknet reports that it is no longer reachable.
    ///
    /// # Errors
    /// [`HostTimeout`].
    pub fn wait_unreachable(&self, timeout: Duration) -> Result<(), HostTimeout> {
        self.wait(false, timeout)
    }

    fn wait(&self, wanted: bool, timeout: Duration) -> Result<(), HostTimeout> {
        let host = self.id;
        let came = self.handle.news().wait(host.get(), wanted, timeout);
        if came { Ok(()) } else { Err(HostTimeout { host, wanted }) }
    }

    /// Adds a link over UDP, which is disabled at first; without a remote address it waits for its
    /// peer (`knet_link_set_config`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn add_link(
        &self,
        id: LinkId,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<Link, CallError> {
        Link::configure(self.handle.clone(), self.id, id, local, remote)
    }
}
