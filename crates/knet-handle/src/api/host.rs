//! A host, as the application sees it.

use std::time::Duration;

use knet_engine::{HostStats, HostStatus, LinkState, Policy};
use knet_wire::{HostId, LinkId};

use crate::api::handle::Handle;
use crate::api::link::Link;
use crate::api::link_config::LinkConfig;
use crate::error::Error;
use crate::log::log;

/// A host of a [`Handle`]. It counts as a clone of the handle.
///
/// # Examples
///
/// ```
/// use knet_handle::{Handle, HostId, LinkConfig, LinkId, Policy};
///
/// let handle = Handle::new(HostId::new(1))?;
/// let host = handle.add_host(HostId::new(2))?;
/// let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
/// for id in [LinkId::new(0)?, LinkId::new(1)?] {
///     host.add_link(id, LinkConfig::udp(local, remote))?;
/// }
/// host.set_policy(Policy::Active)?;
/// assert_eq!(host.links()?.len(), 2);
/// assert!(!host.is_reachable()?);
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Host {
    handle: Handle,
    id: HostId,
}

impl Host {
    pub(crate) fn new(handle: Handle, id: HostId) -> Self {
        Self { handle, id }
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> HostId {
        self.id
    }

    /// Returns the name that [`Host::set_name`] set, or else the id in decimal.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown` if the host was removed.
    pub fn name(&self) -> Result<String, Error> {
        Ok(self.status()?.name)
    }

    /// Sets the name: 1 to 255 bytes without a NUL, and neither the name nor the id of another host.
    ///
    /// # Errors
    /// - [`Error::Host`] with `Unknown`, `NameEmpty`, `NameWithNul`, `NameTooLong` or `NameTaken`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let host = handle.add_host(HostId::new(2))?;
    /// assert_eq!(host.name()?, "2");
    /// host.set_name("backup")?;
    /// assert_eq!(host.name()?, "backup");
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_name(&self, name: &str) -> Result<(), Error> {
        let shared = self.handle.shared();
        shared.configure(|engine, _| engine.set_host_name(self.id, name))??;
        log!(debug, shared.log, Host, host = self.id.get(), name, "host name set");
        Ok(())
    }

    /// Returns the policy by which links are chosen.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn policy(&self) -> Result<Policy, Error> {
        Ok(self.status()?.policy)
    }

    /// Sets the policy by which links are chosen, from the next message on. The default is
    /// [`Policy::Passive`].
    ///
    /// # Errors
    /// - [`Error::Host`] with `Unknown`.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::Policy;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let host = handle.add_host(HostId::new(2))?;
    /// host.set_policy(Policy::RoundRobin)?;
    /// assert_eq!(host.policy()?, Policy::RoundRobin);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn set_policy(&self, policy: Policy) -> Result<(), Error> {
        let shared = self.handle.shared();
        shared.configure(|engine, now| engine.set_policy(now, self.id, policy))??;
        log!(debug, shared.log, Host, host = self.id.get(), ?policy, "link policy set");
        Ok(())
    }

    /// Returns the settings, the state and the statistics.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let host = handle.add_host(HostId::new(2))?;
    /// let status = host.status()?;
    /// assert_eq!((status.name.as_str(), status.reachable), ("2", false));
    /// assert_eq!(host.stats()?, status.stats);
    /// host.clear_stats()?;
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn status(&self) -> Result<HostStatus, Error> {
        Ok(self.handle.shared().query(|engine, _| engine.host_status(self.id))?)
    }

    /// Returns the statistics, with those of all links added up.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn stats(&self) -> Result<HostStats, Error> {
        Ok(self.status()?.stats)
    }

    /// Resets the statistics of the host and of its links.
    ///
    /// # Errors
    /// - [`Error::Host`] with `Unknown`.
    /// - [`Error::InsideFilter`].
    pub fn clear_stats(&self) -> Result<(), Error> {
        Ok(self.handle.shared().configure(|engine, _| engine.clear_host_stats(self.id))??)
    }

    /// Returns `true` if at least one link is usable.
    ///
    /// # Errors
    /// [`Error::Host`] with `Unknown`.
    pub fn is_reachable(&self) -> Result<bool, Error> {
        Ok(self.status()?.reachable)
    }

    /// Blocks until the host is reachable.
    ///
    /// # Errors
    /// - [`Error::NotReachable`] after `timeout`, with the state of each link.
    /// - [`Error::Host`] with `Unknown`, also if the host is removed meanwhile.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let host = handle.add_host(HostId::new(2))?;
    /// let error = host.wait_until_reachable(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.to_string(), "host 2 is not reachable: it has no links");
    ///
    /// let itself = handle.add_host(handle.host_id())?;
    /// itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// itself.wait_until_reachable(Duration::from_secs(1))?;
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn wait_until_reachable(&self, timeout: Duration) -> Result<(), Error> {
        let shared = self.handle.shared();
        shared.accept_call()?;
        let reached = shared.wait_for(timeout, || self.is_reachable().unwrap_or(true));
        self.status()?;
        if reached {
            return Ok(());
        }
        Err(Error::NotReachable { host: self.id, links: self.link_states()? })
    }

    /// Returns the state of each configured link, in ascending order of the ids.
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

    /// Configures a link with all its settings, disabled. Both hosts must use the same id for the same
    /// link.
    ///
    /// # Errors
    /// After any of them, there is no link.
    ///
    /// - [`Error::MixedFamilies`]; [`Error::Bind`].
    /// - [`Error::Link`] with `UnknownHost`, `Configured`, `SharedSocket`, `LoopbackElsewhere` or
    ///   `LoopbackNotAlone`.
    /// - [`Error::Link`] with `UnusableAddress` for an address with which the link could never be up.
    /// - [`Error::Link`] with `PingTimers`, `NoPongs` or `NoAddress` (a marking of a loopback link) if a
    ///   setting is out of range.
    /// - [`Error::Acl`] with `NotDynamic`, `OtherFamily` or `Listed` for the access list.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Error, LinkError};
    ///
    /// # use knet_handle::{Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let host = handle.add_host(HostId::new(2))?;
    /// let (local, remote) = (([127, 0, 0, 1], 0).into(), ([127, 0, 0, 1], 9).into());
    /// let config = LinkConfig { priority: 10, ..LinkConfig::udp(local, remote) };
    /// let id = LinkId::new(0)?;
    /// host.add_link(id, config)?.enable()?;
    /// assert_eq!(host.link(id)?.priority()?, 10);
    ///
    /// let config = LinkConfig { pong_count: 0, ..LinkConfig::udp(local, remote) };
    /// let error = host.add_link(LinkId::new(1)?, config).unwrap_err();
    /// assert!(matches!(error, Error::Link(LinkError::NoPongs)));
    /// assert_eq!(host.links()?, [id]);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn add_link(&self, link: LinkId, config: LinkConfig) -> Result<Link, Error> {
        Link::configure(&self.handle, self.id, link, config)
    }

    /// Returns a configured link.
    ///
    /// # Errors
    /// [`Error::Link`] with `UnknownHost` or `NotConfigured`.
    pub fn link(&self, link: LinkId) -> Result<Link, Error> {
        let shared = self.handle.shared();
        shared.query(|engine, now| engine.link_status(now, self.id, link))?;
        Ok(Link::new(self.handle.clone(), self.id, link))
    }

    /// Returns the ids of the configured links, in ascending order.
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

    /// Removes the host: [`Handle::remove_host`].
    ///
    /// # Errors
    /// Those of [`Handle::remove_host`].
    pub fn remove(self) -> Result<(), Error> {
        self.handle.remove_host(self.id)
    }
}
