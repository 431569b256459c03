//! The hosts of an engine: adding and removing them, their settings and their status.

use std::time::Instant;

use knet_wire::HostId;

use super::Engine;
use crate::config::{MAX_HOST_NAME, Policy};
use crate::error::HostError;
use crate::host::{Host, HostStatus};
use crate::send::HostRoute;
use crate::timers::TimerKey;

impl Engine {
    /// Adds a host with the passive policy, its id as its name, and no links.
    ///
    /// # Errors
    /// [`HostError::Exists`].
    pub fn add_host(&mut self, host: HostId) -> Result<(), HostError> {
        if self.hosts.contains_key(&host) {
            return Err(HostError::Exists(host));
        }
        self.incarnations = self.incarnations.wrapping_add(1);
        self.hosts.insert(host, Host::new(self.incarnations));
        self.routes.add_host(host);
        Ok(())
    }

    /// Removes a host that has no links left.
    ///
    /// # Errors
    /// [`HostError::Unknown`]; [`HostError::HasLinks`] while a link is configured.
    pub fn remove_host(&mut self, host: HostId) -> Result<(), HostError> {
        let entry = self.hosts.get_mut(&host).ok_or(HostError::Unknown(host))?;
        let links = entry.links().count();
        if links > 0 {
            return Err(HostError::HasLinks { host, links });
        }
        self.timers.set(TimerKey::Reassembly(host), &mut entry.reassembly, None);
        entry.receive.reassembler.clear(&mut self.pool);
        entry.count_incomplete(&mut self.drops);
        self.names.replace(host, entry.name.as_deref(), None);
        self.hosts.remove(&host);
        self.routes.remove_host(host);
        Ok(())
    }

    /// Sets the name of a host. A host may keep its name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use knet_engine::{Engine, EngineConfig};
    /// # use knet_wire::HostId;
    /// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
    /// # let mut engine = Engine::new(Instant::now(), &config);
    /// # engine.add_host(HostId::new(2))?;
    /// engine.set_host_name(HostId::new(2), "db-2")?;
    /// assert_eq!(engine.host_by_name("db-2")?, HostId::new(2));
    /// # Ok::<(), knet_engine::HostError>(())
    /// ```
    ///
    /// # Errors
    /// [`HostError::Unknown`]; [`HostError::NameEmpty`]; [`HostError::NameWithNul`];
    /// [`HostError::NameTooLong`]; [`HostError::NameTaken`] if another host
    /// has the name, or the name is the decimal id of another host.
    pub fn set_host_name(&mut self, host: HostId, name: &str) -> Result<(), HostError> {
        if !self.hosts.contains_key(&host) {
            return Err(HostError::Unknown(host));
        }
        if name.is_empty() {
            return Err(HostError::NameEmpty);
        }
        if name.contains('\0') {
            return Err(HostError::NameWithNul { name: name.to_owned() });
        }
        if name.len() > MAX_HOST_NAME {
            return Err(HostError::NameTooLong { length: name.len() });
        }
        let spelled = id_spelled(name);
        if let Some(owner) = spelled.or_else(|| self.named(name)).filter(|&owner| owner != host) {
            return Err(HostError::NameTaken { name: name.to_owned(), owner });
        }
        if let Some(entry) = self.hosts.get_mut(&host) {
            let new = spelled.is_none().then_some(name);
            self.names.replace(host, entry.name.as_deref(), new);
            entry.name = new.map(str::to_owned);
        }
        Ok(())
    }

    /// Returns the host with this name. The name of a host that was not named is its decimal id.
    ///
    /// # Errors
    /// [`HostError::NoSuchName`].
    pub fn host_by_name(&self, name: &str) -> Result<HostId, HostError> {
        self.named(name).ok_or_else(|| HostError::NoSuchName(name.to_owned()))
    }

    fn named(&self, name: &str) -> Option<HostId> {
        let unnamed = |id: &HostId| self.hosts.get(id).is_some_and(|host| host.name.is_none());
        self.names.get(name).or_else(|| id_spelled(name).filter(unnamed))
    }

    /// Sets which of a host's links its messages take. Takes effect at once.
    ///
    /// # Errors
    /// [`HostError::Unknown`].
    pub fn set_policy(
        &mut self,
        now: Instant,
        host: HostId,
        policy: Policy,
    ) -> Result<(), HostError> {
        let entry = self.hosts.get_mut(&host).ok_or(HostError::Unknown(host))?;
        entry.policy = policy;
        self.refresh_routes(now, host);
        Ok(())
    }

    /// Iterates over the hosts in ascending order.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.hosts.keys().copied()
    }

    /// Returns a host's settings, state and counters.
    ///
    /// # Errors
    /// [`HostError::Unknown`].
    pub fn host_status(&self, host: HostId) -> Result<HostStatus, HostError> {
        let entry = self.hosts.get(&host).ok_or(HostError::Unknown(host))?;
        let route = self.routes.get(host);
        Ok(HostStatus {
            host,
            name: entry.name.clone().unwrap_or_else(|| host.to_string()),
            policy: entry.policy,
            reachable: entry.reachable,
            data_mtu: route.map(HostRoute::data_mtu),
            active_links: route
                .map(|route| route.links().iter().map(|link| link.link).collect())
                .unwrap_or_default(),
            stats: entry.read_stats(),
        })
    }

    /// Resets the counters of a host and its links to zero.
    ///
    /// # Errors
    /// [`HostError::Unknown`].
    pub fn clear_host_stats(&mut self, host: HostId) -> Result<(), HostError> {
        self.hosts.get_mut(&host).ok_or(HostError::Unknown(host))?.clear_stats();
        Ok(())
    }
}

/// Returns the id that the name is the decimal form of.
fn id_spelled(name: &str) -> Option<HostId> {
    name.parse::<HostId>().ok().filter(|id| id.to_string() == name)
}
