//! Counters of links and of what was thrown away.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// A link's counters, shared between the engine and those who send on the link.
///
/// Each is a number of its own: a reader sees every increment, but no two counters are read at
/// the same instant.
#[derive(Debug, Default)]
pub struct LinkCounters {
    tx_data: Traffic,
    rx_data: Traffic,
    tx_ping: Traffic,
    rx_ping: Traffic,
    tx_pong: Traffic,
    rx_pong: Traffic,
    tx_pmtu: Traffic,
    rx_pmtu: Traffic,
    tx_data_errors: AtomicU32,
    tx_ping_errors: AtomicU32,
    tx_pong_errors: AtomicU32,
    tx_pmtu_errors: AtomicU32,
    ups: AtomicU32,
    downs: AtomicU32,
}

#[derive(Debug, Default)]
struct Traffic {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    fn add(&self, packets: u64, bytes: u64) {
        self.packets.fetch_add(packets, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.packets.load(Relaxed), self.bytes.load(Relaxed))
    }
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
    pub fn sent(&self, kind: PacketKind, packets: u64, bytes: u64) {
        match kind {
            PacketKind::Data => self.tx_data.add(packets, bytes),
            PacketKind::Ping => self.tx_ping.add(packets, bytes),
            PacketKind::Pong => self.tx_pong.add(packets, bytes),
            PacketKind::Pmtu => self.tx_pmtu.add(packets, bytes),
        }
    }

    /// Counts a packet that the kernel refused.
    pub fn failed(&self, kind: PacketKind) {
        match kind {
            PacketKind::Data => &self.tx_data_errors,
            PacketKind::Ping => &self.tx_ping_errors,
            PacketKind::Pong => &self.tx_pong_errors,
            PacketKind::Pmtu => &self.tx_pmtu_errors,
        }
        .fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, kind: PacketKind, bytes: usize) {
        match kind {
            PacketKind::Data => &self.rx_data,
            PacketKind::Ping => &self.rx_ping,
            PacketKind::Pong => &self.rx_pong,
            PacketKind::Pmtu => &self.rx_pmtu,
        }
        .add(1, bytes as u64);
    }

    pub(crate) fn went_up(&self) {
        self.ups.fetch_add(1, Relaxed);
    }

    pub(crate) fn went_down(&self) {
        self.downs.fetch_add(1, Relaxed);
    }

    /// The counters as they stand.
    #[must_use]
    pub fn read(&self) -> LinkStats {
        let (tx_data_packets, tx_data_bytes) = self.tx_data.read();
        let (rx_data_packets, rx_data_bytes) = self.rx_data.read();
        let (tx_ping_packets, tx_ping_bytes) = self.tx_ping.read();
        let (rx_ping_packets, rx_ping_bytes) = self.rx_ping.read();
        let (tx_pong_packets, tx_pong_bytes) = self.tx_pong.read();
        let (rx_pong_packets, rx_pong_bytes) = self.rx_pong.read();
        let (tx_pmtu_packets, tx_pmtu_bytes) = self.tx_pmtu.read();
        let (rx_pmtu_packets, rx_pmtu_bytes) = self.rx_pmtu.read();
        LinkStats {
            tx_data_packets,
            tx_data_bytes,
            rx_data_packets,
            rx_data_bytes,
            tx_ping_packets,
            tx_ping_bytes,
            rx_ping_packets,
            rx_ping_bytes,
            tx_pong_packets,
            tx_pong_bytes,
            rx_pong_packets,
            rx_pong_bytes,
            tx_pmtu_packets,
            tx_pmtu_bytes,
            rx_pmtu_packets,
            rx_pmtu_bytes,
            tx_data_errors: self.tx_data_errors.load(Relaxed),
            tx_ping_errors: self.tx_ping_errors.load(Relaxed),
            tx_pong_errors: self.tx_pong_errors.load(Relaxed),
            tx_pmtu_errors: self.tx_pmtu_errors.load(Relaxed),
            up_count: self.ups.load(Relaxed),
            down_count: self.downs.load(Relaxed),
        }
    }
}

/// A link's counters at one moment (`spec/engine.md` 20). Bytes are UDP payload: what was sent as
/// it left, what was received after it was opened.
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
    /// Data packets that the kernel refused.
    pub tx_data_errors: u32,
    /// Pings that the kernel refused.
    pub tx_ping_errors: u32,
    /// Pongs that the kernel refused.
    pub tx_pong_errors: u32,
    /// Path MTU probes and answers that the kernel refused; too long a probe is not an error.
    pub tx_pmtu_errors: u32,
    /// How often the link came up.
    pub up_count: u32,
    /// How often it went down after having been up.
    pub down_count: u32,
}

/// How many packets were thrown away, by reason. Nothing here stops other traffic.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct DropStats {
    /// Not a packet of this protocol: wrong version, type, length, link id, fragment or channel.
    pub malformed: u64,
    /// From a host id that was never added.
    pub unknown_host: u64,
    /// For a link that is not configured.
    pub unknown_link: u64,
    /// From an address that is not the one of the link it claims.
    pub wrong_source: u64,
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
    /// Messages that never became complete and were forgotten.
    pub incomplete: u64,
}
