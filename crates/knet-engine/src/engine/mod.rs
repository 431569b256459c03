//! The engine: its tables, and the calls that change them.
//!
//! Each file beside this one holds the calls of one concern. The fields of [`Engine`] are theirs
//! alone: the rooms below know their own state only, and are told by the engine what they need.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, HostId, LinkId};

use crate::config::{
    DEFAULT_MTU_INTERVAL, EngineConfig, MAX_HOST_NAME, PacketTag, PingTimers, Policy,
};
use crate::cookie::CookieJar;
use crate::error::{HostError, LinkError};
use crate::event::{DownReason, Event};
use crate::host::{BufferPool, DUPLICATE_WINDOW, Host, HostStatus};
use crate::link::{Link, LinkPeer, LinkStatus};
use crate::rejection::RejectionLimiter;
use crate::send::{HostRoute, MAX_SEQUENCE_LAG, RouteTable, Routes, SequenceCounter};
use crate::stats::{DropStats, LinkTotals};
use crate::timers::{TimerKey, TimerQueue};

mod acl_config;
mod add_link;
mod delivery;
pub use delivery::{DatagramMeta, Delivery, DeliveryToken, Received};
mod liveness;
mod pmtud;
mod receive;
mod source_check;
mod transmit;
pub use transmit::Transmit;

/// Everything the protocol decides for one handle. See the crate's documentation for the contract
/// with its driver.
#[derive(Debug)]
pub struct Engine {
    own: HostId,
    hosts: BTreeMap<HostId, Host>,
    timers: TimerQueue,
    routes: RouteTable,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    sequence: Arc<SequenceCounter>,
    cookies: CookieJar,
    pool: BufferPool,
    drops: DropStats,
    rejections: RejectionLimiter,
    access_lists: bool,
    manual_mtu: Option<u16>,
    mtu_interval: Duration,
    /// The data MTU of all hosts that was told last.
    told_mtu: usize,
    crypto: CryptoSizes,
}

impl Engine {
    /// Makes an engine without hosts.
    #[must_use]
    pub fn new(now: Instant, config: &EngineConfig) -> Self {
        Self {
            own: config.host,
            hosts: BTreeMap::new(),
            timers: TimerQueue::default(),
            routes: RouteTable::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            sequence: Arc::default(),
            cookies: CookieJar::new(config.cookie_key, now),
            pool: BufferPool::default(),
            drops: DropStats::default(),
            rejections: RejectionLimiter::default(),
            access_lists: true,
            manual_mtu: None,
            mtu_interval: DEFAULT_MTU_INTERVAL,
            told_mtu: CryptoSizes::CLEAR.min_mtu(),
            crypto: CryptoSizes::CLEAR,
        }
    }

    /// Adds a host. It has the passive policy, its id as its name and no links.
    ///
    /// # Errors
    /// [`HostError::Exists`].
    pub fn add_host(&mut self, host: HostId) -> Result<(), HostError> {
        if self.hosts.contains_key(&host) {
            return Err(HostError::Exists(host));
        }
        self.hosts.insert(host, Host::new());
        self.routes.hosts_changed();
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
        entry.peer.reassembler.clear(&mut self.pool);
        entry.count_given_up(&mut self.drops);
        self.hosts.remove(&host);
        self.routes.hosts_changed();
        Ok(())
    }

    /// Names a host. Giving a host the name it has is fine.
    ///
    /// # Errors
    /// [`HostError::Unknown`]; [`HostError::NameTooLong`]; [`HostError::NameTaken`] by another
    /// host, or by the host whose id the name spells.
    pub fn set_host_name(&mut self, host: HostId, name: &str) -> Result<(), HostError> {
        if !self.hosts.contains_key(&host) {
            return Err(HostError::Unknown(host));
        }
        if name.len() > MAX_HOST_NAME {
            return Err(HostError::NameTooLong { length: name.len() });
        }
        let spelled = name.parse::<HostId>().ok().filter(|id| id.to_string() == name);
        if let Some(owner) = spelled.or_else(|| self.named(name)).filter(|&owner| owner != host) {
            return Err(HostError::NameTaken { name: name.to_owned(), owner });
        }
        if let Some(entry) = self.hosts.get_mut(&host) {
            entry.name = spelled.is_none().then(|| name.to_owned());
        }
        Ok(())
    }

    /// The host of that name; a host without a name of its own has its id in decimal as name.
    ///
    /// # Errors
    /// [`HostError::NoSuchName`].
    pub fn host_by_name(&self, name: &str) -> Result<HostId, HostError> {
        self.named(name).ok_or_else(|| HostError::NoSuchName(name.to_owned()))
    }

    fn named(&self, name: &str) -> Option<HostId> {
        let has = |id: &HostId, host: &Host| match &host.name {
            Some(own) => own == name,
            None => id.to_string() == name,
        };
        self.hosts.iter().find(|(id, host)| has(id, host)).map(|(&id, _)| id)
    }

    /// Chooses how a host's links are used. Takes effect at once.
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

    /// The hosts, in ascending order.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        self.hosts.keys().copied()
    }

    /// A host's settings and state.
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

    /// Starts counting of a host and its links anew.
    ///
    /// # Errors
    /// [`HostError::Unknown`].
    pub fn clear_host_stats(&mut self, host: HostId) -> Result<(), HostError> {
        self.hosts.get_mut(&host).ok_or(HostError::Unknown(host))?.clear_stats();
        Ok(())
    }

    /// Forgets a disabled link with its settings and counters. Gives back its peer, so that the
    /// driver can close a socket that nobody needs any more.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::Enabled`].
    pub fn clear_link(&mut self, host: HostId, link: LinkId) -> Result<LinkPeer, LinkError> {
        if self.link(host, link)?.is_enabled() {
            return Err(LinkError::Enabled { host, link });
        }
        let entry = self.hosts.get_mut(&host).ok_or(LinkError::UnknownHost(host))?;
        let slot = entry.slot(link);
        let mut cleared = slot.take().ok_or(LinkError::NotConfigured { host, link })?;
        self.timers.set(TimerKey::Link(host, link), &mut cleared.deadline, None);
        Ok(cleared.peer)
    }

    /// Starts or stops watching and using a link. Enabling sends the first ping at once; disabling
    /// takes an active link out of use at once. The same value again does nothing.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_link_enabled(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        enabled: bool,
    ) -> Result<(), LinkError> {
        let entry = self.link_mut(host, link)?;
        if entry.is_enabled() == enabled {
            return Ok(());
        }
        if enabled {
            entry.enable(now);
            if entry.peer == LinkPeer::Loopback {
                // There is nobody to wait for.
                self.link_up(now, host, link);
            }
            self.watch_link(now, host, link);
            return Ok(());
        }
        let was_up = entry.disable(now);
        self.timers_off(host, link);
        if was_up {
            self.announce_down(now, host, link, DownReason::Disabled);
        }
        Ok(())
    }

    /// Sets how a link is watched. Takes effect at once.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::PingTimers`].
    pub fn set_ping_timers(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        timers: PingTimers,
    ) -> Result<(), LinkError> {
        timers.validate()?;
        self.link_mut(host, link)?.heartbeat.set_timers(now, timers);
        self.watch_link(now, host, link);
        Ok(())
    }

    /// Sets how many good pongs bring a link up, 1 to 255.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`]; [`LinkError::NoPongs`] for 0.
    pub fn set_pong_count(
        &mut self,
        host: HostId,
        link: LinkId,
        count: u8,
    ) -> Result<(), LinkError> {
        if count == 0 {
            return Err(LinkError::NoPongs);
        }
        self.link_mut(host, link)?.heartbeat.set_pong_count(count);
        Ok(())
    }

    /// Sets a link's priority for the passive policy: the highest wins. Takes effect at once.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_priority(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        priority: u8,
    ) -> Result<(), LinkError> {
        self.link_mut(host, link)?.priority = priority;
        self.refresh_routes(now, host);
        Ok(())
    }

    /// Tags a link's packets from now on, so that the driver knows how to treat them.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn set_packet_tag(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        tag: PacketTag,
    ) -> Result<(), LinkError> {
        self.link_mut(host, link)?.tag = tag;
        self.refresh_routes(now, host);
        Ok(())
    }

    /// How a link's packets are tagged.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn packet_tag(&self, host: HostId, link: LinkId) -> Result<PacketTag, LinkError> {
        Ok(self.link(host, link)?.tag)
    }

    /// The configured links of a host, in ascending order.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`].
    pub fn links(&self, host: HostId) -> Result<impl Iterator<Item = LinkId>, LinkError> {
        let entry = self.hosts.get(&host).ok_or(LinkError::UnknownHost(host))?;
        Ok(entry.links().map(|(id, _)| id))
    }

    /// A link's settings, state and counters.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn link_status(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
    ) -> Result<LinkStatus, LinkError> {
        Ok(self.link(host, link)?.status(now, self.manual_mtu, self.crypto))
    }

    /// Starts counting a link's packets and changes anew. What it is and has measured stays.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn clear_link_stats(&mut self, host: HostId, link: LinkId) -> Result<(), LinkError> {
        self.link_mut(host, link)?.clear_stats();
        Ok(())
    }

    /// Our own host id.
    #[must_use]
    pub fn own_id(&self) -> HostId {
        self.own
    }

    /// The counter that numbers our messages, shared with those who send.
    #[must_use]
    pub fn sequence(&self) -> Arc<SequenceCounter> {
        self.sequence.clone()
    }

    /// All hosts and links added up.
    #[must_use]
    pub fn totals(&self) -> LinkTotals {
        let mut totals = LinkTotals { hosts: self.hosts.len(), ..LinkTotals::default() };
        for entry in self.hosts.values() {
            totals.reachable_hosts += usize::from(entry.reachable);
            for (_, link) in entry.links() {
                totals.links += 1;
                totals.usable_links += usize::from(link.is_usable());
                totals.stats += &link.counters.read();
            }
        }
        totals
    }

    /// What was thrown away so far, by reason.
    #[must_use]
    pub fn drops(&self) -> DropStats {
        self.drops
    }

    /// Starts counting what is thrown away anew.
    pub fn clear_drops(&mut self) {
        self.drops = DropStats::default();
    }

    /// Bytes held for messages that are not complete, of all hosts together; bounded.
    #[must_use]
    pub fn reassembly_memory(&self) -> usize {
        self.pool.in_use()
    }

    /// The next control packet to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to tell the application.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The routes, if they changed since they were last handed out.
    #[must_use]
    pub fn poll_routes(&mut self) -> Option<Routes> {
        self.routes.take_changed(self.hosts.keys().copied())
    }

    /// When [`Engine::handle_timeout`] has to be called next; `None` if there is nothing to wait
    /// for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn link(&self, host: HostId, link: LinkId) -> Result<&Link, LinkError> {
        let entry = self.hosts.get(&host).ok_or(LinkError::UnknownHost(host))?;
        entry.link(link).ok_or(LinkError::NotConfigured { host, link })
    }

    fn link_mut(&mut self, host: HostId, link: LinkId) -> Result<&mut Link, LinkError> {
        let entry = self.hosts.get_mut(&host).ok_or(LinkError::UnknownHost(host))?;
        entry.link_mut(link).ok_or(LinkError::NotConfigured { host, link })
    }
}

// A packet that just may leave is well inside the window of its receiver, which knows newer ones.
const _: () = assert!(2 * MAX_SEQUENCE_LAG <= DUPLICATE_WINDOW);
