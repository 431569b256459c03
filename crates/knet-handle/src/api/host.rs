//! One host, as the application sees it.

use std::time::Duration;

use knet_engine::{HostStats, HostStatus, LinkState, Policy};
use knet_wire::{HostId, LinkId};

use crate::api::handle::Handle;
use crate::api::link::Link;
use crate::api::link_config::LinkConfig;
use crate::error::Error;

/// A host of a [`Handle`]. It counts as a clone of the handle.
#[derive(Clone, Debug)]
pub struct Host {
    handle: Handle,
    id: HostId,
}

impl Host {
    pub(crate) fn new(handle: Handle, id: HostId) -> Self {
        Self { handle, id }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.id
    }

    /// Its name: what [`Host::set_name`] gave it, or its id in decimal.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown` if it was removed.
    pub fn name(&self) -> Result<String, Error> {
        Ok(self.status()?.name)
    }

    /// Names it. At most 255 bytes, not the name of another host, nor another host's id.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`, `NameTooLong` or `NameTaken`; [`Error::InsideFilter`].
    pub fn set_name(&self, name: &str) -> Result<(), Error> {
        Ok(self.handle.shared().configure(|engine, _| engine.set_host_name(self.id, name))??)
    }

    /// How its links are used.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn policy(&self) -> Result<Policy, Error> {
        Ok(self.status()?.policy)
    }

    /// Chooses how its links are used, from the next message on.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`; [`Error::InsideFilter`].
    pub fn set_policy(&self, policy: Policy) -> Result<(), Error> {
        let shared = self.handle.shared();
        Ok(shared.configure(|engine, now| engine.set_policy(now, self.id, policy))??)
    }

    /// Its settings and state.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn status(&self) -> Result<HostStatus, Error> {
        Ok(self.handle.shared().query(|engine, _| engine.host_status(self.id))?)
    }

    /// What is counted of it, its links added up.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn stats(&self) -> Result<HostStats, Error> {
        Ok(self.status()?.stats)
    }

    /// Starts counting of it and of its links anew.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`; [`Error::InsideFilter`].
    pub fn clear_stats(&self) -> Result<(), Error> {
        Ok(self.handle.shared().configure(|engine, _| engine.clear_host_stats(self.id))??)
    }

    /// Whether at least one of its links is usable.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn is_reachable(&self) -> Result<bool, Error> {
        Ok(self.status()?.reachable)
    }

    /// Waits until it is reachable.
    ///
    /// # Errors
    /// [`Error::NotReachable`] after `timeout`, with each link's state and reason;
    /// [`Error::Host`] with `Unknown`; [`Error::InsideFilter`].
    pub fn wait_until_reachable(&self, timeout: Duration) -> Result<(), Error> {
        let shared = self.handle.shared();
        shared.outside_filter()?;
        let reached = shared.wait_for(timeout, || self.is_reachable().unwrap_or(true));
        self.status()?;
        if reached {
            return Ok(());
        }
        Err(Error::NotReachable { host: self.id, links: self.link_states()? })
    }

    /// Its configured links, each with its state, in ascending order.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`.
    pub fn link_states(&self) -> Result<Vec<(LinkId, LinkState)>, Error> {
        self.handle.shared().query(|engine, now| {
            let mut states = Vec::new();
            for link in engine.links(self.id)? {
                states.push((link, engine.link_status(now, self.id, link)?.state));
            }
            Ok(states)
        })
    }

    /// Configures a link, disabled, with default settings. Both hosts must use the same id for the
    /// same link.
    ///
    /// # Errors
    /// [`Error::MixedFamilies`]; [`Error::Bind`]; [`Error::Link`] with `UnknownHost`,
    /// `Configured` or `SharedSocket`; [`Error::InsideFilter`]. After any of them there is no link.
    pub fn add_link(&self, link: LinkId, config: LinkConfig) -> Result<Link, Error> {
        Link::configure(&self.handle, self.id, link, config)
    }

    /// A link that was configured.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn link(&self, link: LinkId) -> Result<Link, Error> {
        let shared = self.handle.shared();
        shared.query(|engine, now| engine.link_status(now, self.id, link))?;
        Ok(Link::new(self.handle.clone(), self.id, link))
    }

    /// Its configured links, in ascending order.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost`.
    pub fn links(&self) -> Result<Vec<LinkId>, Error> {
        Ok(self
            .handle
            .shared()
            .query(|engine, _| Ok(engine.links(self.id)?.collect()))
            .map_err(|error: knet_engine::LinkError| error)?)
    }

    /// Removes it: [`Handle::remove_host`].
    ///
    /// # Errors
    /// Those of [`Handle::remove_host`].
    pub fn remove(self) -> Result<(), Error> {
        self.handle.remove_host(self.id)
    }
}
