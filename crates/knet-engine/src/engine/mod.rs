//! The engine: its tables, and the calls that change them.
//!
//! Each file beside this one holds the calls of one concern. Only they see the fields of
//! [`Engine`]: `host`, `link` and `send` know their own state, and get what else they need as
//! arguments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, HostId, LinkId};

use crate::config::{
    DEFAULT_MTU_INTERVAL, EngineConfig, MAX_HOST_NAME, PacketTag, PingTimers, Policy,
};
use crate::cookie::CookieSigner;
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

/// The protocol's state and decisions for one handle. The [crate documentation](crate) states the
/// contract with its driver.
///
/// # Examples
///
/// Two engines in virtual time, with packets carried by hand until a link between them is up and
/// its path MTU is known:
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
/// use knet_wire::{HostId, LinkId};
///
/// let (one, two) = (HostId::new(1), HostId::new(2));
/// let (link, socket) = (LinkId::new(0)?, SocketId(0));
/// let mut now = Instant::now();
/// let new = |host| Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// let mut engines = [new(one), new(two)];
/// let addresses = ["10.0.0.1:5405".parse()?, "10.0.0.2:5405".parse()?];
/// for (at, peer) in [(0, two), (1, one)] {
///     engines[at].add_host(peer)?;
///     engines[at].add_link(now, peer, link, LinkPath { socket, remote: addresses[1 - at] })?;
///     engines[at].set_link_enabled(now, peer, link, true)?;
/// }
/// while !engines.iter().all(|engine| engine.data_mtu() > 1000) {
///     for at in [0, 1] {
///         engines[at].handle_timeout(now);
///         while let Some(transmit) = engines[at].poll_transmit() {
///             let meta = DatagramMeta { socket, source: addresses[at] };
///             let datagram = [transmit.packet(), &vec![0; transmit.padding_len()]].concat();
///             let _ = engines[1 - at].handle_datagram(now, meta, &datagram);
///             transmit.record_sent(datagram.len());
///         }
///     }
///     now += Duration::from_millis(100);
/// }
/// let routes = engines[0].poll_routes().expect("host 2 became reachable");
/// assert_eq!(routes.get(two).expect("reachable").data_mtu(), 65_481);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    own: HostId,
    hosts: BTreeMap<HostId, Host>,
    timers: TimerQueue,
    routes: RouteTable,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    sequence: Arc<SequenceCounter>,
    cookies: CookieSigner,
    pool: BufferPool,
    drops: DropStats,
    rejections: RejectionLimiter,
    access_lists: bool,
    manual_mtu: Option<u16>,
    mtu_interval: Duration,
    /// The data MTU of all hosts that was reported last.
    reported_mtu: usize,
    crypto: CryptoSizes,
}

impl Engine {
    /// Creates an engine without hosts.
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
            cookies: CookieSigner::new(config.cookie_key, now),
            pool: BufferPool::default(),
            drops: DropStats::default(),
            rejections: RejectionLimiter::default(),
            access_lists: true,
            manual_mtu: None,
            mtu_interval: DEFAULT_MTU_INTERVAL,
            reported_mtu: CryptoSizes::CLEAR.min_mtu(),
            crypto: CryptoSizes::CLEAR,
        }
    }

    /// Adds a host with the passive policy, its id as its name, and no links.
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
        entry.receive.reassembler.clear(&mut self.pool);
        entry.count_incomplete(&mut self.drops);
        self.hosts.remove(&host);
        self.routes.hosts_changed();
        Ok(())
    }

    /// Sets the name of a host. A host may keep its name.
    ///
    /// # Errors
    /// [`HostError::Unknown`]; [`HostError::NameTooLong`]; [`HostError::NameTaken`] if another host
    /// has the name, or the name is the decimal id of another host.
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

    /// Returns the host with this name. The name of a host that was not named is its decimal id.
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

    /// Removes a disabled link with its settings and counters. Returns its peer, so that the driver
    /// can close a socket that is no longer used.
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

    /// Enables or disables a link. Enabling sends the first ping at once; disabling takes an active
    /// link out of use at once. Setting the same value again has no effect.
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
                // No peer has to answer.
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

    /// Sets the ping timers of a link. Takes effect at once.
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

    /// Sets how many pongs in time bring a link up, 1 to 255.
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

    /// Sets a link's priority for [`Policy::Passive`]: the highest wins. Takes effect at once.
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

    /// Sets the tag of a link's packets. Takes effect with the next packet.
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

    /// Returns the tag of a link's packets.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn packet_tag(&self, host: HostId, link: LinkId) -> Result<PacketTag, LinkError> {
        Ok(self.link(host, link)?.tag)
    }

    /// Iterates over the configured links of a host in ascending order.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`].
    pub fn links(&self, host: HostId) -> Result<impl Iterator<Item = LinkId>, LinkError> {
        let entry = self.hosts.get(&host).ok_or(LinkError::UnknownHost(host))?;
        Ok(entry.links().map(|(id, _)| id))
    }

    /// Returns a link's settings, state and counters.
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

    /// Resets the counters and the history of a link. Its state and its mean latency stay.
    ///
    /// # Errors
    /// [`LinkError::UnknownHost`]; [`LinkError::NotConfigured`].
    pub fn clear_link_stats(&mut self, host: HostId, link: LinkId) -> Result<(), LinkError> {
        self.link_mut(host, link)?.clear_stats();
        Ok(())
    }

    /// Returns our own host id.
    #[must_use]
    pub fn own_id(&self) -> HostId {
        self.own
    }

    /// Returns the counter that numbers our messages, to be shared with all threads that send.
    #[must_use]
    pub fn sequence(&self) -> Arc<SequenceCounter> {
        self.sequence.clone()
    }

    /// Returns the totals of all hosts and links.
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

    /// Returns how many packets were discarded, by reason.
    #[must_use]
    pub fn drops(&self) -> DropStats {
        self.drops
    }

    /// Resets the counters of [`Engine::drops`] to zero.
    pub fn clear_drops(&mut self) {
        self.drops = DropStats::default();
    }

    /// Returns how many bytes the incomplete messages of all hosts hold, at most 64 MiB.
    #[must_use]
    pub fn reassembly_memory(&self) -> usize {
        self.pool.in_use()
    }

    /// Returns the next control packet to send.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Returns the next event to report to the application.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Returns the routes if they changed since the last call.
    #[must_use]
    pub fn poll_routes(&mut self) -> Option<Routes> {
        self.routes.take_changed(self.hosts.keys().copied())
    }

    /// Returns when to call [`Engine::handle_timeout`] next, or `None` if no timer runs.
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

// The oldest packet that may leave is still inside the duplicate window of its receivers.
const _: () = assert!(2 * MAX_SEQUENCE_LAG <= DUPLICATE_WINDOW);
