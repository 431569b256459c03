//! The engine: its tables, and the calls that change them.
//!
//! Each file beside this one holds the calls of one concern. Only they see the fields of
//! [`Engine`]: `host`, `link` and `send` know their own state, and get what else they need as
//! arguments.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, HostId, LinkId};

use crate::config::{DEFAULT_MTU_INTERVAL, EngineConfig};
use crate::cookie::CookieSigner;
use crate::error::LinkError;
use crate::event::Event;
use crate::host::{BufferPool, Host};
use crate::link::Link;
use crate::rejection::RejectionLimiter;
use crate::send::{RouteTable, Routes, SequenceCounter};
use crate::stats::{DropStats, LinkTotals};
use crate::timers::TimerQueue;

mod acl_config;
mod add_link;
mod address_index;
use address_index::AddressIndex;
mod delivery;
pub use delivery::{DatagramMeta, Delivery, DeliveryToken, Received};
mod host_names;
use host_names::HostNames;
mod hosts;
mod link_settings;
mod liveness;
mod local_faults;
mod pmtud;
mod receive;
mod reports;
mod socket_uses;
use socket_uses::SocketUses;
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
///             let meta = DatagramMeta { socket, source: addresses[at], local: None };
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
    names: HostNames,
    sockets: SocketUses,
    addresses: AddressIndex,
    /// How many hosts have been added so far.
    incarnations: u32,
    timers: TimerQueue,
    /// Until when time in which the driver did not run was noted.
    stall_noted: Option<Instant>,
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
            names: HostNames::default(),
            sockets: SocketUses::default(),
            addresses: AddressIndex::default(),
            incarnations: 0,
            timers: TimerQueue::default(),
            stall_noted: None,
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

    /// Returns how many bytes the incomplete messages of all hosts hold, at most 64 MiB and 128 KiB for
    /// each host.
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
        self.routes.take_changed()
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
