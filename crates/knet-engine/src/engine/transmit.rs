//! Control packets on their way out.

use std::sync::Arc;

use knet_wire::{HostId, LinkId, PING_LEN, PMTU_HEADER_LEN};

use crate::config::{LinkPath, PacketTag};
use crate::link::Link;
use crate::stats::{LinkCounters, PacketKind};

/// A control packet to be sent now. Comes out of [`crate::Engine::poll_transmit`]; tell the outcome
/// with [`Transmit::sent`] or [`Transmit::failed`].
#[derive(Clone, Debug)]
#[must_use = "a transmit that is not sent is a packet lost"]
pub struct Transmit {
    host: HostId,
    link: LinkId,
    path: LinkPath,
    tag: PacketTag,
    kind: PacketKind,
    packet: Packet,
    counters: Arc<LinkCounters>,
}

/// The control packets, by their lengths.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    Ping([u8; PING_LEN]),
    PmtuReply([u8; PMTU_HEADER_LEN]),
    /// A probe: its header, how many zeros follow, and the size it is about.
    Probe {
        header: [u8; PMTU_HEADER_LEN],
        filler: usize,
        size: u16,
    },
}

impl Transmit {
    /// A packet of `link`, which has this id.
    pub(super) fn new(
        host: HostId,
        id: LinkId,
        link: &Link,
        path: LinkPath,
        kind: PacketKind,
        packet: Packet,
    ) -> Self {
        let (tag, counters) = (link.tag, link.counters.clone());
        Self { host, link: id, path, tag, kind, packet, counters }
    }

    /// The host that it is for.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The link that it belongs to.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// Which socket has to send it, and where to.
    #[must_use]
    pub fn path(&self) -> LinkPath {
        self.path
    }

    /// How the driver wants it treated.
    #[must_use]
    pub fn tag(&self) -> PacketTag {
        self.tag
    }

    /// The packet in clear, or its beginning if there is a [`Transmit::filler`].
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        match &self.packet {
            Packet::Ping(bytes) => bytes,
            Packet::PmtuReply(bytes) | Packet::Probe { header: bytes, .. } => bytes,
        }
    }

    /// How many bytes of zero follow the packet, at most 65535.
    #[must_use]
    pub fn filler(&self) -> usize {
        match self.packet {
            Packet::Probe { filler, .. } => filler,
            _ => 0,
        }
    }

    /// The size of the IP packet that a path MTU probe is about, in bytes. If the kernel refuses it
    /// as too long, tell [`crate::Engine::handle_probe_refused`].
    #[must_use]
    pub fn probe_size(&self) -> Option<u16> {
        match self.packet {
            Packet::Probe { size, .. } => Some(size),
            _ => None,
        }
    }

    /// Whether it is a ping. If the kernel refuses it, tell [`crate::Engine::handle_ping_refused`].
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.kind == PacketKind::Ping
    }

    /// Counts that it had to be tried again, because there was no room for it.
    pub fn retried(&self) {
        self.counters.retried(self.kind);
    }

    /// Counts it as sent with so many bytes of UDP payload.
    pub fn sent(self, bytes: usize) {
        self.counters.sent(self.kind, 1, bytes as u64);
    }

    /// Counts it as refused by the kernel.
    pub fn failed(self) {
        self.counters.failed(self.kind);
    }
}
