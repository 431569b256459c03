//! A host of libknet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kronosnet::{HostId, LinkId, Policy};

use super::error::CallError;
use super::link::Link;
use super::shared::Shared;

/// A host that was added to a handle.
#[derive(Clone, Debug)]
pub struct Host {
    shared: Arc<Shared>,
    id: HostId,
}

/// A host did not become reachable, or unreachable, in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("for libknet, host {host} is still {}", if *.wanted { "not reachable" } else { "reachable" })]
pub struct HostTimeout {
    /// The host.
    pub host: HostId,
    /// `true` if it should have become reachable.
    pub wanted: bool,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, id: HostId) -> Self {
        Self { shared, id }
    }

    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.id
    }

    /// Sets its link policy, which takes effect some milliseconds later (`knet_host_set_policy`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn set_policy(&self, policy: Policy) -> Result<(), CallError> {
        let number = match policy {
            Policy::Passive => 0,
            Policy::Active => 1,
            Policy::RoundRobin => 2,
        };
        self.shared.raw.set_policy(self.id.get(), number)
    }

    /// Returns `true` if libknet last reported it as reachable.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.shared.notifications.is_reachable(self.id.get())
    }

    /// Waits until libknet reports it as reachable.
    ///
    /// # Errors
    /// [`HostTimeout`].
    pub fn wait_until_reachable(&self, timeout: Duration) -> Result<(), HostTimeout> {
        self.wait(true, timeout)
    }

    /// Waits until libknet reports it as not reachable.
    ///
    /// # Errors
    /// [`HostTimeout`].
    pub fn wait_unreachable(&self, timeout: Duration) -> Result<(), HostTimeout> {
        self.wait(false, timeout)
    }

    fn wait(&self, wanted: bool, timeout: Duration) -> Result<(), HostTimeout> {
        let host = self.id;
        let happened = self.shared.notifications.wait(host.get(), wanted, timeout);
        if happened { Ok(()) } else { Err(HostTimeout { host, wanted }) }
    }

    /// Adds a disabled UDP link. Without a remote address the link is dynamic (`knet_link_set_config`).
    ///
    /// # Errors
    /// [`CallError`].
    pub fn add_link(
        &self,
        id: LinkId,
        local: SocketAddr,
        remote: Option<SocketAddr>,
    ) -> Result<Link, CallError> {
        Link::configure(self.shared.clone(), self.id, id, local, remote)
    }
}
