//! Counters of links and of what was thrown away.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A link's counters, shared between the engine and those who send on the link.
///
/// Each is a number of its own: a reader sees every increment, but no two counters are read at
/// the same instant. Reading and clearing them stops nobody.
#[derive(Debug, Default)]
pub struct LinkCounters {
    data: KindCounters,
    ping: KindCounters,
    pong: KindCounters,
    pmtu: KindCounters,
    ups: AtomicU64,
    downs: AtomicU64,
    rejected: AtomicU64,
}

/// What is counted of the packets of one kind.
#[derive(Debug, Default)]
struct KindCounters {
    tx_packets: AtomicU64,
    tx_bytes: AtomicU64,
    tx_errors: AtomicU64,
    tx_retries: AtomicU64,
    rx_packets: AtomicU64,
    rx_bytes: AtomicU64,
}

/// Which kind of packet a counter is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PacketKind {
    /// A message or a fragment of one.
    Data,
    /// A ping.
    Ping,
    /// The answer to one.
    Pong,
    /// A path MTU probe or the answer to one.
    Pmtu,
}

impl LinkCounters {
    /// Counts packets given to the kernel: how many, and their bytes as UDP payload.
    pub fn record_sent(&self, kind: PacketKind, packets: u64, bytes: u64) {
        let kind = self.of(kind);
        kind.tx_packets.fetch_add(packets, Relaxed);
        kind.tx_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a packet that did not leave.
    pub fn record_error(&self, kind: PacketKind) {
        self.of(kind).tx_errors.fetch_add(1, Relaxed);
    }

    /// Counts that a packet had to be tried again, because there was no room for it.
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
    }

    /// The counters as they stand.
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

/// A link's counters at one moment (`spec/engine.md` 20). Bytes are UDP payload: what was sent as
/// it left, what was received after it was opened.
///
/// `Default` is a link on which nothing happened, and they can be added up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkStats {
    /// Data packets sent, one for each fragment.
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
    /// Path MTU probes and answers sent.
    pub tx_pmtu_packets: u64,
    /// Bytes of those.
    pub tx_pmtu_bytes: u64,
    /// Path MTU probes and answers received.
    pub rx_pmtu_packets: u64,
    /// Bytes of those.
    pub rx_pmtu_bytes: u64,
    /// Data packets that did not leave: the kernel refused them, or there was no room in time.
    pub tx_data_errors: u64,
    /// Pings that did not leave.
    pub tx_ping_errors: u64,
    /// Pongs that did not leave.
    pub tx_pong_errors: u64,
    /// Path MTU probes and answers that did not leave; too long a probe is not an error.
    pub tx_pmtu_errors: u64,
    /// How often a data packet had to wait because the socket or the device was full, and was tried
    /// again.
    pub tx_data_retries: u64,
    /// The same of pings.
    pub tx_ping_retries: u64,
    /// The same of pongs.
    pub tx_pong_retries: u64,
    /// The same of path MTU probes and answers.
    pub tx_pmtu_retries: u64,
    /// How often the link came up.
    pub up_count: u64,
    /// How often it went down after having been up.
    pub down_count: u64,
    /// Packets that name it and were not let in, for their source.
    pub rx_rejected: u64,
}

impl LinkStats {
    /// Packets of all kinds sent.
    #[must_use]
    pub fn tx_packets(&self) -> u64 {
        self.tx_data_packets + self.tx_ping_packets + self.tx_pong_packets + self.tx_pmtu_packets
    }

    /// Bytes of those.
    #[must_use]
    pub fn tx_bytes(&self) -> u64 {
        self.tx_data_bytes + self.tx_ping_bytes + self.tx_pong_bytes + self.tx_pmtu_bytes
    }

    /// Packets of all kinds that did not leave.
    #[must_use]
    pub fn tx_errors(&self) -> u64 {
        self.tx_data_errors + self.tx_ping_errors + self.tx_pong_errors + self.tx_pmtu_errors
    }

    /// How often a packet of any kind had to wait and was tried again.
    #[must_use]
    pub fn tx_retries(&self) -> u64 {
        self.tx_data_retries + self.tx_ping_retries + self.tx_pong_retries + self.tx_pmtu_retries
    }

    /// Packets of all kinds received.
    #[must_use]
    pub fn rx_packets(&self) -> u64 {
        self.rx_data_packets + self.rx_ping_packets + self.rx_pong_packets + self.rx_pmtu_packets
    }

    /// Bytes of those.
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
            up_count down_count rx_rejected
        }
    }
}

/// The hosts and links of an engine, added up.
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
    /// The counters of the links that are configured now, added up.
    pub stats: LinkStats,
}

/// How many packets were thrown away, by reason. Nothing here stops other traffic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DropStats {
    /// Not a packet of this protocol: wrong version, type, length, fragment or channel.
    pub malformed: u64,
    /// From a host id that was never added.
    pub unknown_host: u64,
    /// For a link that is not configured.
    pub unknown_link: u64,
    /// From an address, or through a socket, that is not the one of the link it claims.
    pub wrong_source: u64,
    /// From an address that the access list of the link it claims does not accept.
    pub access_list: u64,
    /// For a link that cannot exist: 8 or above.
    pub invalid_link: u64,
    /// Data of a host that is not reachable.
    pub not_reachable: u64,
    /// Copies of messages or fragments that came before.
    pub duplicate: u64,
    /// Fragments that contradict others, came too late, or for which there was no memory.
    pub bad_fragment: u64,
    /// Compressed with a method that this build cannot undo.
    pub compressed: u64,
    /// Pongs whose cookie we did not write.
    pub forged_pong: u64,
    /// Answers to path MTU probes that nobody waits for.
    pub unexpected: u64,
    /// Messages that never became complete and were given up: for their age, to make room for newer
    /// ones, or because their sender is another process now.
    pub incomplete: u64,
}
