//! Path MTU discovery of all links: probes, their replies, reports of the kernel, and the routes
//! that follow.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use knet_wire::{
    HostId, IpVersion, LinkId, MAX_FRAGMENTS, MAX_MESSAGE, MTU_HEADER_LEN, PMTU_HEADER_LEN, Pmtu,
    path_overhead,
};

use super::Engine;
use super::transmit::{Packet, Transmit};
use crate::config::SocketId;
use crate::error::MtuError;
use crate::event::{Event, MtuEvent};
use crate::link::{Conditions, Link, PathMtu};
use crate::stats::PacketKind;

impl Engine {
    /// Sets the path MTU of every link by hand: the length of a whole IP packet in bytes. `None`
    /// returns to path MTU discovery. Takes effect with the next message.
    ///
    /// # Errors
    /// [`MtuError::TooSmall`] if the largest message would need too many fragments.
    pub fn set_manual_mtu(&mut self, now: Instant, onwire: Option<u16>) -> Result<(), MtuError> {
        if let Some(onwire) = onwire {
            let least = self.least_manual_mtu();
            if onwire < least {
                return Err(MtuError::TooSmall { onwire, least });
            }
        }
        let crypto = self.crypto;
        let before = std::mem::replace(&mut self.manual_mtu, onwire);
        let all = self.hosts.iter();
        let links: Vec<_> = all
            .flat_map(|(&host, entry)| entry.links().map(move |(id, link)| (host, id, link)))
            .map(|(host, id, link)| {
                (host, id, link.data_mtu(before, crypto), link.data_mtu(onwire, crypto))
            })
            .collect();
        for &(host, link, before, data_mtu) in &links {
            if before != data_mtu {
                self.events.push_back(Event::Mtu(MtuEvent::Link { host, link, data_mtu }));
            }
        }
        for (host, link, ..) in links {
            self.refresh_routes(now, host);
            self.start_or_stop_discovery(now, host, link);
        }
        Ok(())
    }

    /// Returns the manual MTU, in bytes of a whole IP packet, or `None`.
    #[must_use]
    pub fn manual_mtu(&self) -> Option<u16> {
        self.manual_mtu
    }

    /// Returns how many bytes of payload a packet can carry on every link in use. Before any link
    /// is up, that is the least that every path carries (`docs/wire-format.md`, "Length
    /// arithmetic").
    #[must_use]
    pub fn data_mtu(&self) -> usize {
        self.routes.least_mtu().unwrap_or_else(|| self.crypto.min_mtu())
    }

    /// Returns the smallest MTU at which the longest message needs no more than [`MAX_FRAGMENTS`]
    /// on an IPv6 link, which has the longer headers.
    fn least_manual_mtu(&self) -> u16 {
        let enough = |onwire: u16| {
            let room = usize::from(onwire).checked_sub(path_overhead(IpVersion::V6))?;
            let data_mtu = self.crypto.app_mtu(room)?;
            (data_mtu * usize::from(MAX_FRAGMENTS) >= MAX_MESSAGE).then_some(onwire)
        };
        (0..=u16::MAX).find_map(enough).unwrap_or(u16::MAX)
    }

    /// Sets the time between two searches for the path MTU of a link, 1 s to 86400 s. Default 60 s
    /// (`KNET_PMTUD_DEFAULT_INTERVAL`). Takes effect after the next search.
    ///
    /// # Errors
    /// [`MtuError::Interval`].
    pub fn set_mtu_interval(&mut self, interval: Duration) -> Result<(), MtuError> {
        if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
            return Err(MtuError::Interval { interval });
        }
        self.mtu_interval = interval;
        Ok(())
    }

    /// Returns the time between two searches for the path MTU of a link.
    #[must_use]
    pub fn mtu_interval(&self) -> Duration {
        self.mtu_interval
    }

    /// Handles a report that the kernel refused to send a probe because it is too long. `size` is
    /// its [`Transmit::probe_size`].
    pub fn handle_probe_refused(&mut self, now: Instant, host: HostId, link: LinkId, size: u16) {
        self.change_mtu(now, host, link, |mtu, conditions| {
            mtu.probe_refused(usize::from(size), conditions);
        });
    }

    /// Handles a report of the kernel that IP packets of more than `limit` bytes cannot leave
    /// through this socket for this address: `EMSGSIZE` of local origin in the socket's error
    /// queue. Takes effect at once.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Instant;
    /// # use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
    /// # use knet_wire::{Body, HostId, LinkId, Packet};
    /// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
    /// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
    /// # let mut engine = Engine::new(now, &config);
    /// # engine.add_host(peer)?;
    /// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
    /// # engine.add_link(now, peer, link, path)?;
    /// # engine.set_pong_count(peer, link, 1)?;
    /// # engine.set_link_enabled(now, peer, link, true)?;
    /// # let meta = DatagramMeta { socket: path.socket, source: path.remote, local: None };
    /// # let ping = engine.poll_transmit().expect("the first ping");
    /// # let Body::Ping(ping) = Packet::decode(ping.packet())?.body else { panic!() };
    /// # let _ = engine.handle_datagram(now, meta, &ping.encode_pong(peer));
    /// let probe = engine.poll_transmit().expect("a link that is up is probed");
    /// assert_eq!(probe.probe_size(), Some(65_535));
    /// // The kernel does not take it, and its error queue reports an MTU of 1500.
    /// engine.handle_mtu_limit(now, path.socket, path.remote.ip(), 1500);
    /// engine.handle_probe_refused(now, peer, link, 65_535);
    /// let probe = engine.poll_transmit().expect("the next size");
    /// assert_eq!(probe.probe_size(), Some(1500));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_mtu_limit(
        &mut self,
        now: Instant,
        socket: SocketId,
        destination: IpAddr,
        limit: u32,
    ) {
        self.change_mtus_to(now, socket, destination, |mtu, conditions| {
            mtu.limit(now, length(limit), conditions);
        });
    }

    /// Handles a report of a router (ICMP) that IP packets of more than `limit` bytes for this
    /// address do not pass. The report may be forged, so it only starts a search.
    pub fn handle_mtu_suggestion(
        &mut self,
        now: Instant,
        socket: SocketId,
        destination: IpAddr,
        limit: u32,
    ) {
        self.change_mtus_to(now, socket, destination, |mtu, _| mtu.suggest(now, length(limit)));
    }

    /// Handles the reply to a probe.
    pub(super) fn handle_pmtu_reply(&mut self, now: Instant, host: HostId, reply: Pmtu) {
        let cookie = u16::from_le_bytes(reply.cookie);
        let mut expected = false;
        self.change_mtu(now, host, reply.link, |mtu, _| expected = mtu.probe_answered(cookie));
        self.drops.unexpected += u64::from(!expected);
    }

    /// Starts or stops the search of a link after it came up or went down, or after the MTU was set
    /// by hand or no longer is.
    pub(super) fn start_or_stop_discovery(&mut self, now: Instant, host: HostId, link: LinkId) {
        let manual = self.manual_mtu.is_some();
        let carries = |link: &Link| link.is_usable() || link.is_held_down();
        let searchable = |link: &Link| carries(link) && link.peer.path().is_some();
        let searchable = self.link(host, link).is_ok_and(searchable);
        self.change_mtu(now, host, link, |mtu, _| match (manual, searchable) {
            (true, _) => mtu.overrule(),
            (false, true) => mtu.search(),
            (false, false) => mtu.stop(),
        });
    }

    /// Handles a change of the peer's address. The path MTU stays known only if the port alone
    /// changed.
    pub(super) fn path_changed(&mut self, now: Instant, host: HostId, link: LinkId, same_ip: bool) {
        if !same_ip {
            self.change_mtu(now, host, link, |mtu, _| mtu.forget());
        }
        self.start_or_stop_discovery(now, host, link);
    }

    /// Queues the probe of a link if one is due.
    pub(super) fn probe_mtu(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Some(conditions) = self.conditions(now, host, id) else { return };
        let own = self.own;
        let mut due = None;
        self.change_mtu_only(now, host, id, |mtu, conditions| {
            due = mtu.poll_probe(now, conditions);
        });
        let Some(due) = due else { return };
        if due.with_ping {
            let sequence = self.sequence.current();
            self.queue_ping(now, host, id, sequence, true);
        }
        let size = due.onwire;
        let room = size.saturating_sub(path_overhead(conditions.version));
        let Some(data) = conditions.crypto.app_mtu(room) else { return };
        let Ok(link) = self.link(host, id) else { return };
        // Sizes of whole IP packets are at most 65535.
        let size = u16::try_from(size).unwrap_or(u16::MAX);
        let mut header = [0; PMTU_HEADER_LEN];
        let probe = Pmtu { link: id, cookie: due.cookie.to_le_bytes() };
        // The header alone has the shortest length a probe can have, so this cannot fail.
        let _ = probe.encode_probe(own, &mut header);
        let padding = data + MTU_HEADER_LEN - PMTU_HEADER_LEN;
        let packet = Packet::Probe { header, padding, size };
        let Some(path) = link.peer.path() else { return };
        let from = link.own_address.get();
        let probe = Transmit::new(host, id, link, (path, from), PacketKind::Pmtu, packet);
        self.transmits.push_back(probe);
    }

    /// Changes a link's discovery, sends the probe that is due then, and sets the link's timer.
    fn change_mtu(
        &mut self,
        now: Instant,
        host: HostId,
        id: LinkId,
        change: impl FnOnce(&mut PathMtu, &Conditions),
    ) {
        self.change_mtu_only(now, host, id, change);
        self.probe_mtu(now, host, id);
        self.set_link_timer(now, host, id);
    }

    /// Changes the discovery of all links from this socket to this address.
    fn change_mtus_to(
        &mut self,
        now: Instant,
        socket: SocketId,
        destination: IpAddr,
        change: impl Fn(&mut PathMtu, &Conditions),
    ) {
        for (host, link) in self.links_to(socket, destination) {
            self.change_mtu(now, host, link, &change);
        }
    }

    /// Changes a link's discovery. Reports and applies the data MTU if it changed.
    fn change_mtu_only(
        &mut self,
        now: Instant,
        host: HostId,
        id: LinkId,
        change: impl FnOnce(&mut PathMtu, &Conditions),
    ) {
        let Some(conditions) = self.conditions(now, host, id) else { return };
        let (manual, crypto) = (self.manual_mtu, self.crypto);
        let Ok(link) = self.link_mut(host, id) else { return };
        let before = link.data_mtu(manual, crypto);
        let held = link.is_held_down();
        change(&mut link.mtu, &conditions);
        let data_mtu = link.data_mtu(manual, crypto);
        let changed = link.judge_path(now, held);
        let mtu = (before != data_mtu).then_some(MtuEvent::Link { host, link: id, data_mtu });
        if changed.is_some() || mtu.is_some() {
            self.announce_with(now, host, changed.map(|state| (id, state)), mtu);
        }
    }

    /// Reports the new data MTU of a host, `None` if it is no longer reachable, and that of all
    /// hosts if it changed with it.
    pub(super) fn report_mtu(&mut self, host: HostId, data_mtu: Option<usize>) {
        if let Some(data_mtu) = data_mtu {
            self.events.push_back(Event::Mtu(MtuEvent::Host { host, data_mtu }));
        }
        let least = self.data_mtu();
        if std::mem::replace(&mut self.reported_mtu, least) != least {
            self.events.push_back(Event::Mtu(MtuEvent::Handle { data_mtu: least }));
        }
    }

    /// Returns what the discovery needs from a link.
    fn conditions(&self, now: Instant, host: HostId, id: LinkId) -> Option<Conditions> {
        let link = self.link(host, id).ok()?;
        let cookie = |remote| self.cookies.probe_cookie(now, host, id, remote);
        let timeout = link.heartbeat.timers().timeout;
        let latency = link.heartbeat.latency().mean().unwrap_or_default();
        Some(Conditions {
            version: link.peer.ip_version(),
            crypto: self.crypto,
            patience: latency.saturating_mul(4).min(timeout),
            interval: self.mtu_interval,
            last_pong: link.heartbeat.last_pong(),
            data_packets: link.counters.read().tx_data_packets,
            fresh_cookie: link.peer.remote().map_or(0, cookie),
        })
    }

    /// Returns all links from this socket to this address.
    pub(super) fn links_to(&self, socket: SocketId, destination: IpAddr) -> Vec<(HostId, LinkId)> {
        let known = |&(host, id): &(HostId, LinkId)| {
            self.link(host, id).is_ok_and(|link| link.peer.path().is_some())
        };
        self.addresses.links(socket, destination).filter(known).collect()
    }
}

/// Returns a reported limit as a length. Limits may be longer than any packet.
fn length(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
