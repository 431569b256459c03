//! Counters of links and of discarded packets.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A link's counters, shared between the engine and the threads that send on the link.
///
/// The counters are independent atomic numbers: a reader sees every increment, but reads no two of
/// them at the same instant. Reading and clearing block no thread.
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkCounters, PacketKind};
///
/// let counters = LinkCounters::default();
/// counters.record_sent(PacketKind::Data, 2, 3000);
/// counters.record_error(PacketKind::Ping);
/// let stats = counters.read();
/// assert_eq!((stats.tx_data_packets, stats.tx_data_bytes, stats.tx_errors()), (2, 3000, 1));
/// ```
#[derive(Debug, Default)]
pub struct LinkCounters {
    data: KindCounters,
    ping: KindCounters,
    pong: KindCounters,
    pmtu: KindCounters,
    ups: AtomicU64,
    downs: AtomicU64,
    rejected: AtomicU64,
    moves: AtomicU64,
}

/// The counters of one kind of packet.
#[derive(Debug, Default)]
struct KindCounters {
    tx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    tx_errors: AtomicU64,
    tx_retries: AtomicU64,
    rx_packets: AtomicU64,
    rx_bytes: AtomicU64,
}

/// The kind of packet that [`LinkCounters`] count.
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkCounters, PacketKind};
///
/// let counters = LinkCounters::default();
/// counters.record_sent(PacketKind::Ping, 1, 31);
/// counters.record_error(PacketKind::Pong);
/// let stats = counters.read();
/// assert_eq!((stats.tx_ping_packets, stats.tx_pong_errors, stats.tx_data_packets), (1, 1, 0));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketKind {
    /// A message or a fragment of one.
    Data,
    /// A ping.
    Ping,
    /// The answer to a ping.
    Pong,
    /// A path MTU probe, or the reply to one.
    Pmtu,
}

impl LinkCounters {
    /// Counts packets that the kernel took: their number, and their bytes of UDP payload.
    pub fn record_sent(&self, kind: PacketKind, packets: u64, bytes: u64) {
        let kind = self.of(kind);
        kind.tx_packets.fetch_add(packets, Relaxed);
        kind.tx_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a packet that was not sent.
    pub fn record_error(&self, kind: PacketKind) {
        self.of(kind).tx_errors.fetch_add(1, Relaxed);
    }

    /// Counts a retry, because the socket had no room for the packet.
    pub fn record_retry(&self, kind: PacketKind) {
        self.of(kind).tx_retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn record_received(&self, kind: PacketKind, bytes: usize) {
        let kind = self.of(kind);
        kind.rx_packets.fetch_add(1, Relaxed);
        kind.rx_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn record_up(&self) {
        self.ups.fetch_add(1, Relaxed);
    }

    pub(crate) fn record_down(&self) {
        self.downs.fetch_add(1, Relaxed);
    }

    /// Notes that the peer of the link was found at another address.
    pub(crate) fn record_move(&self) {
        self.moves.fetch_add(1, Relaxed);
    }

    pub(crate) fn record_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn clear(&self) {
        for kind in [&self.data, &self.ping, &self.pong, &self.pmtu] {
            kind.clear();
        }
        self.ups.store(0, Relaxed);
        self.downs.store(0, Relaxed);
        self.rejected.store(0, Relaxed);
        self.moves.store(0, Relaxed);
    }

    /// Returns the current values.
    #[must_use]
    pub fn read(&self) -> LinkStats {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        LinkStats {
            tx_data_packets: get(&self.data.tx_packets),
            tx_data_bytes: get(&self.data.tx_bytes),
            rx_data_packets: get(&self.data.rx_packets),
            rx_data_bytes: get(&self.data.rx_bytes),
            tx_ping_packets: get(&self.ping.tx_packets),
            tx_ping_bytes: get(&self.ping.tx_bytes),
            rx_ping_packets: get(&self.ping.rx_packets),
            rx_ping_bytes: get(&self.ping.rx_bytes),
            tx_pong_packets: get(&self.pong.tx_packets),
            tx_pong_bytes: get(&self.pong.tx_bytes),
            rx_pong_packets: get(&self.pong.rx_packets),
            rx_pong_bytes: get(&self.pong.rx_bytes),
            tx_pmtu_packets: get(&self.pmtu.tx_packets),
            tx_pmtu_bytes: get(&self.pmtu.tx_bytes),
            rx_pmtu_packets: get(&self.pmtu.rx_packets),
            rx_pmtu_bytes: get(&self.pmtu.rx_bytes),
            tx_data_errors: get(&self.data.tx_errors),
            tx_ping_errors: get(&self.ping.tx_errors),
            tx_pong_errors: get(&self.pong.tx_errors),
            tx_pmtu_errors: get(&self.pmtu.tx_errors),
            tx_data_retries: get(&self.data.tx_retries),
            tx_ping_retries: get(&self.ping.tx_retries),
            tx_pong_retries: get(&self.pong.tx_retries),
            tx_pmtu_retries: get(&self.pmtu.tx_retries),
            up_count: get(&self.ups),
            down_count: get(&self.downs),
            rx_rejected: get(&self.rejected),
            moves: get(&self.moves),
        }
    }

    fn of(&self, kind: PacketKind) -> &KindCounters {
        match kind {
            PacketKind::Data => &self.data,
            PacketKind::Ping => &self.ping,
            PacketKind::Pong => &self.pong,
            PacketKind::Pmtu => &self.pmtu,
        }
    }
}

impl KindCounters {
    fn clear(&self) {
        for counter in [
            &self.tx_packets,
            &self.tx_bytes,
            &self.tx_errors,
            &self.tx_retries,
            &self.rx_packets,
            &self.rx_bytes,
        ] {
            counter.store(0, Relaxed);
        }
    }
}

/// The values of a link's counters. Bytes are UDP payload: of sent packets as they left, of
/// received packets after decryption.
///
/// `Default` is a link without any packet. Values can be added with `+=`.
///
/// # Examples
///
/// ```
/// use knet_engine::{LinkCounters, LinkStats, PacketKind};
///
/// let links = [LinkCounters::default(), LinkCounters::default()];
/// links[0].record_sent(PacketKind::Data, 1, 100);
/// links[1].record_sent(PacketKind::Ping, 1, 26);
/// let mut sum = LinkStats::default();
/// for link in &links {
///     sum += &link.read();
/// }
/// assert_eq!((sum.tx_packets(), sum.tx_bytes()), (2, 126));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Data packets sent, one per fragment.
    pub tx_data_packets: u64,
    /// Bytes of those.
    pub tx_data_bytes: u64,
    /// Data packets received, duplicates included.
    pub rx_data_packets: u64,
    /// Bytes of those.
    pub rx_data_bytes: u64,
    /// Pings sent.
    pub tx_ping_packets: u64,
    /// Bytes of those.
    pub tx_ping_bytes: u64,
    /// Pings received.
    pub rx_ping_packets: u64,
    /// Bytes of those.
    pub rx_ping_bytes: u64,
    /// Pongs sent.
    pub tx_pong_packets: u64,
    /// Bytes of those.
    pub tx_pong_bytes: u64,
    /// Pongs received.
    pub rx_pong_packets: u64,
    /// Bytes of those.
    pub rx_pong_bytes: u64,
    /// Path MTU probes and replies sent.
    pub tx_pmtu_packets: u64,
    /// Bytes of those.
    pub tx_pmtu_bytes: u64,
    /// Path MTU probes and replies received.
    pub rx_pmtu_packets: u64,
    /// Bytes of those.
    pub rx_pmtu_bytes: u64,
    /// Data packets not sent: the kernel refused them, or the socket had no room in time.
    pub tx_data_errors: u64,
    /// Pings not sent.
    pub tx_ping_errors: u64,
    /// Pongs not sent.
    pub tx_pong_errors: u64,
    /// Path MTU probes and replies not sent. A probe that is too long is not an error.
    pub tx_pmtu_errors: u64,
    /// Retries of data packets, because the socket or the device was full.
    pub tx_data_retries: u64,
    /// Retries of pings.
    pub tx_ping_retries: u64,
    /// Retries of pongs.
    pub tx_pong_retries: u64,
    /// Retries of path MTU probes and replies.
    pub tx_pmtu_retries: u64,
    /// How often the link came up.
    pub up_count: u64,
    /// How often the link went down.
    pub down_count: u64,
    /// Packets that name the link and were rejected for their source address.
    pub rx_rejected: u64,
    /// How often the peer of a dynamic link was found at another address than before.
    pub moves: u64,
}

impl LinkStats {
    /// Returns the packets of all kinds sent.
    #[must_use]
    pub fn tx_packets(&self) -> u64 {
        self.tx_data_packets + self.tx_ping_packets + self.tx_pong_packets + self.tx_pmtu_packets
    }

    /// Returns their bytes.
    #[must_use]
    pub fn tx_bytes(&self) -> u64 {
        self.tx_data_bytes + self.tx_ping_bytes + self.tx_pong_bytes + self.tx_pmtu_bytes
    }

    /// Returns the packets of all kinds not sent.
    #[must_use]
    pub fn tx_errors(&self) -> u64 {
        self.tx_data_errors + self.tx_ping_errors + self.tx_pong_errors + self.tx_pmtu_errors
    }

    /// Returns the retries of all kinds of packets.
    #[must_use]
    pub fn tx_retries(&self) -> u64 {
        self.tx_data_retries + self.tx_ping_retries + self.tx_pong_retries + self.tx_pmtu_retries
    }

    /// Returns the packets of all kinds received.
    #[must_use]
    pub fn rx_packets(&self) -> u64 {
        self.rx_data_packets + self.rx_ping_packets + self.rx_pong_packets + self.rx_pmtu_packets
    }

    /// Returns their bytes.
    #[must_use]
    pub fn rx_bytes(&self) -> u64 {
        self.rx_data_bytes + self.rx_ping_bytes + self.rx_pong_bytes + self.rx_pmtu_bytes
    }
}

impl AddAssign<&LinkStats> for LinkStats {
    fn add_assign(&mut self, other: &LinkStats) {
        // A field that is not listed does not compile.
        macro_rules! add {
            ($($field:ident)*) => {
                let LinkStats { $($field),* } = other;
                $(self.$field += $field;)*
            };
        }
        add! {
            tx_data_packets tx_data_bytes rx_data_packets rx_data_bytes
            tx_ping_packets tx_ping_bytes rx_ping_packets rx_ping_bytes
            tx_pong_packets tx_pong_bytes rx_pong_packets rx_pong_bytes
            tx_pmtu_packets tx_pmtu_bytes rx_pmtu_packets rx_pmtu_bytes
            tx_data_errors tx_ping_errors tx_pong_errors tx_pmtu_errors
            tx_data_retries tx_ping_retries tx_pong_retries tx_pmtu_retries
            up_count down_count rx_rejected moves
        }
    }
}

/// The totals of all hosts and links. Returned by [`Engine::totals`](crate::Engine::totals).
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
/// let totals = engine.totals();
/// assert_eq!((totals.hosts, totals.reachable_hosts, totals.usable_links), (1, 1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkTotals {
    /// Hosts that were added.
    pub hosts: usize,
    /// Hosts that are reachable.
    pub reachable_hosts: usize,
    /// Links that are configured.
    pub links: usize,
    /// Links that are up.
    pub usable_links: usize,
    /// The sum of the counters of all configured links.
    pub stats: LinkStats,
}

/// How many packets were discarded, by reason. Returned by
/// [`Engine::drops`](crate::Engine::drops).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{DatagramMeta, Engine, EngineConfig, SocketId};
/// # let (now, host) = (Instant::now(), knet_wire::HostId::new(1));
/// # let mut engine = Engine::new(now, &EngineConfig { host, cookie_key: [0; 16] });
/// let meta = DatagramMeta { socket: SocketId(0), source: "10.0.0.2:5405".parse()?, local: None };
/// let _ = engine.handle_datagram(now, meta, b"no packet of this protocol");
/// assert_eq!(engine.drops().malformed, 1);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DropStats {
    /// Not packets of this protocol: wrong version, type, length, fragment or channel.
    pub malformed: u64,
    /// From a host id that was never added.
    pub unknown_host: u64,
    /// For a link that is not configured.
    pub unknown_link: u64,
    /// From another address, or through another socket, than those of the link they name.
    pub wrong_source: u64,
    /// From an address that the access list of the link they name does not accept.
    pub access_list: u64,
    /// For a link that cannot exist: 8 or above.
    pub invalid_link: u64,
    /// Data of a host that is not reachable.
    pub not_reachable: u64,
    /// Duplicates of messages or fragments.
    pub duplicate: u64,
    /// Data that a host sent before it was restarted, and that arrived after the restart had been
    /// noticed.
    pub late: u64,
    /// Fragments that contradict others, came too late, or exceeded the memory.
    pub bad_fragment: u64,
    /// Compressed messages, which are not supported.
    pub compressed: u64,
    /// Pongs with a cookie that this engine did not issue.
    pub forged_pong: u64,
    /// Replies to path MTU probes, and pongs, that were not expected.
    pub unexpected: u64,
    /// Messages that were discarded before they were complete: they expired, made room for newer
    /// ones, or their sender was restarted.
    pub incomplete: u64,
    /// Longer than a packet of this protocol can be, so that they were received in part.
    pub truncated: u64,
    /// Pings and path MTU probes that were not answered, because too many answers had not left yet.
    pub unanswered: u64,
}
