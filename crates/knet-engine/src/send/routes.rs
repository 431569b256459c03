//! Routes: an immutable snapshot of the reachable hosts and their usable links.
//!
//! The engine makes a new snapshot when reachability, links, policy or MTU change. Senders hold the
//! latest one and need no lock to read it.
//!
//! Snapshots share what did not change: the hosts are divided into sections of neighbouring ids, and
//! a change copies one section and the list of sections.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use knet_wire::{HostId, LinkId};

use crate::config::{LinkPath, PacketTag, Policy};
use crate::stats::LinkCounters;

/// The reachable hosts and their usable links. Returned by
/// [`Engine::poll_routes`](crate::Engine::poll_routes).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
///
/// let routes = engine.poll_routes().expect("a loopback link is up at once");
/// let route = routes.get(host).expect("reachable");
/// let links: Vec<_> = route.links_of_next_message().map(|(_, link)| link.link).collect();
/// assert_eq!(links, [link]);
/// assert!(engine.poll_routes().is_none(), "no change since");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// The sections with hosts, in ascending order.
    sections: Vec<Section>,
    /// The number of reachable hosts.
    len: usize,
}

/// The hosts whose ids have the same [`section_of`].
#[derive(Clone, Debug)]
struct Section {
    number: u16,
    /// How many hosts are reachable in the sections before this one.
    first: usize,
    hosts: Arc<SectionHosts>,
}

#[derive(Clone, Debug, Default)]
struct SectionHosts {
    /// In ascending order.
    reachable: Vec<Arc<HostRoute>>,
    /// In ascending order.
    unreachable: Vec<HostId>,
}

impl Routes {
    /// Iterates over all reachable hosts, in ascending order: the destinations of a broadcast.
    pub fn hosts(&self) -> impl Iterator<Item = &HostRoute> {
        self.sections.iter().flat_map(|section| &section.hosts.reachable).map(Arc::as_ref)
    }

    /// Returns how many hosts are reachable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns `true` if no host is reachable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Iterates over the known hosts that are not reachable, in ascending order.
    pub fn unreachable(&self) -> impl Iterator<Item = HostId> {
        self.sections.iter().flat_map(|section| &section.hosts.unreachable).copied()
    }

    /// Returns `true` if the host was added and is not reachable.
    #[must_use]
    pub fn is_unreachable(&self, host: HostId) -> bool {
        let section = self.section(host);
        section.is_some_and(|section| section.hosts.unreachable.binary_search(&host).is_ok())
    }

    /// Returns the index of a host in [`Routes::hosts`] if it is reachable.
    #[must_use]
    pub fn position(&self, host: HostId) -> Option<usize> {
        let section = self.section(host)?;
        Some(section.first + section.hosts.find(host).ok()?)
    }

    /// Returns the route to the host at this index.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<&HostRoute> {
        // The last section that begins at or before the place: those before it have no host there.
        let after = self.sections.partition_point(|section| section.first <= place);
        let section = self.sections.get(after.checked_sub(1)?)?;
        section.hosts.reachable.get(place - section.first).map(Arc::as_ref)
    }

    /// Returns the route to a host if it is reachable.
    #[must_use]
    pub fn get(&self, host: HostId) -> Option<&HostRoute> {
        let hosts = &self.section(host)?.hosts;
        hosts.reachable.get(hosts.find(host).ok()?).map(Arc::as_ref)
    }

    /// Sets the route to a host, or `None` for a host that was added and is not reachable. Returns
    /// the route before.
    pub(super) fn insert(
        &mut self,
        host: HostId,
        route: Option<Arc<HostRoute>>,
    ) -> Option<Arc<HostRoute>> {
        let hosts = self.section_mut(host);
        let before = hosts.take(host);
        match route {
            Some(route) => {
                let place = hosts.find(host).unwrap_or_else(|place| place);
                hosts.reachable.insert(place, route);
            }
            None => {
                let place = hosts.unreachable.binary_search(&host).unwrap_or_else(|place| place);
                hosts.unreachable.insert(place, host);
            }
        }
        self.count();
        before
    }

    /// Removes a host. Returns the route to it, if it was reachable.
    pub(super) fn remove(&mut self, host: HostId) -> Option<Arc<HostRoute>> {
        let number = section_of(host);
        let place = self.place(number).ok()?;
        let hosts = Arc::make_mut(&mut self.sections[place].hosts);
        let before = hosts.take(host);
        if hosts.reachable.is_empty() && hosts.unreachable.is_empty() {
            self.sections.remove(place);
        }
        self.count();
        before
    }

    fn place(&self, number: u16) -> Result<usize, usize> {
        self.sections.binary_search_by_key(&number, |section| section.number)
    }

    fn section(&self, host: HostId) -> Option<&Section> {
        self.sections.get(self.place(section_of(host)).ok()?)
    }

    /// Returns the hosts of a section to change them, copied if a snapshot shares them.
    fn section_mut(&mut self, host: HostId) -> &mut SectionHosts {
        let number = section_of(host);
        let place = self.place(number).unwrap_or_else(|place| {
            self.sections.insert(place, Section { number, first: 0, hosts: Arc::default() });
            place
        });
        Arc::make_mut(&mut self.sections[place].hosts)
    }

    /// Counts the reachable hosts again, by section.
    fn count(&mut self) {
        self.len = 0;
        for section in &mut self.sections {
            section.first = self.len;
            self.len += section.hosts.reachable.len();
        }
    }
}

impl SectionHosts {
    fn find(&self, host: HostId) -> Result<usize, usize> {
        self.reachable.binary_search_by_key(&host, |route| route.host)
    }

    /// Removes a host. Returns the route to it, if it was reachable.
    fn take(&mut self, host: HostId) -> Option<Arc<HostRoute>> {
        if let Ok(place) = self.unreachable.binary_search(&host) {
            self.unreachable.remove(place);
        }
        Some(self.reachable.remove(self.find(host).ok()?))
    }
}

/// Returns the number of a host's section, which has 64 ids: as many as there may be sections for
/// 4096 hosts.
fn section_of(host: HostId) -> u16 {
    host.get() >> 6
}

/// The route to one reachable host, part of [`Routes`].
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
/// let routes = engine.poll_routes().expect("a new host");
/// let route = routes.at(0).expect("reachable");
/// assert_eq!((route.host(), route.links().len()), (host, 1));
/// assert_eq!(route.data_mtu(), 65_536); // a loopback link does not fragment
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct HostRoute {
    host: HostId,
    policy: Policy,
    data_mtu: usize,
    links: Vec<LinkRoute>,
    /// Messages sent so far, for [`Policy::RoundRobin`].
    turn: AtomicUsize,
}

impl HostRoute {
    /// Creates the route over these links. Returns `None` if there are none.
    pub(super) fn new(host: HostId, policy: Policy, links: Vec<LinkRoute>) -> Option<Self> {
        let data_mtu = links.iter().map(|link| link.data_mtu).min()?;
        Some(Self { host, policy, data_mtu, links, turn: AtomicUsize::new(0) })
    }

    /// Returns the smallest data MTU of the links over UDP, `None` if there is only a loopback link.
    pub(super) fn least_udp_mtu(&self) -> Option<usize> {
        let links = self.links.iter().filter(|link| link.path.is_some());
        links.map(|link| link.data_mtu).min()
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Returns how many bytes of payload a packet to this host can carry: as many as the narrowest
    /// of its usable links takes.
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.data_mtu
    }

    /// Returns the links in use: one under [`Policy::Passive`], otherwise all usable ones.
    #[must_use]
    pub fn links(&self) -> &[LinkRoute] {
        &self.links
    }

    /// Returns the links for the next message and all its fragments, each with its index in
    /// [`HostRoute::links`]. Call it once per message: under [`Policy::RoundRobin`] every call
    /// moves to the next link.
    pub fn links_of_next_message(&self) -> impl Iterator<Item = (usize, &LinkRoute)> {
        let places = match self.policy {
            Policy::Passive => 0..self.links.len().min(1),
            Policy::Active => 0..self.links.len(),
            Policy::RoundRobin => {
                match self.turn.fetch_add(1, Relaxed).checked_rem(self.links.len()) {
                    Some(place) => place..place + 1,
                    None => 0..0,
                }
            }
        };
        places.filter_map(|place| Some((place, self.links.get(place)?)))
    }
}

/// A link in use, part of [`HostRoute`].
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPeer};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, host, link) = (Instant::now(), HostId::new(1), LinkId::new(0)?);
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// # engine.add_host(host)?;
/// engine.add_link(now, host, link, LinkPeer::Loopback)?;
/// engine.set_link_enabled(now, host, link, true)?;
/// # let routes = engine.poll_routes().expect("a new host");
/// use knet_engine::PacketKind;
///
/// let route = &routes.at(0).expect("reachable").links()[0];
/// assert!(route.path.is_none(), "a loopback link has no socket");
/// route.counters.record_sent(PacketKind::Data, 1, 5);
/// assert_eq!(engine.link_status(now, host, link)?.stats.tx_data_bytes, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct LinkRoute {
    /// Which of the host's links.
    pub link: LinkId,
    /// The socket to send from, and the destination; `None` for a loopback link, whose messages the
    /// driver delivers itself.
    pub path: Option<LinkPath>,
    /// The own address to send from, or `None` if the kernel chooses.
    pub source: Option<IpAddr>,
    /// The tag that the driver set for the link.
    pub tag: PacketTag,
    /// How many bytes of payload a packet on this link can carry.
    pub data_mtu: usize,
    /// Counters for the packets that are sent.
    pub counters: Arc<LinkCounters>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_one_section_and_shares_the_others() {
        let mut routes = Routes::default();
        for id in 0..2000 {
            routes.insert(HostId::new(id), None);
        }
        let before = routes.clone();
        routes.insert(HostId::new(1000), None);
        let copied = before.sections.iter().zip(&routes.sections);
        let copied = copied.filter(|(old, new)| !Arc::ptr_eq(&old.hosts, &new.hosts));
        assert_eq!((before.sections.len(), copied.count()), (32, 1));
    }
}
