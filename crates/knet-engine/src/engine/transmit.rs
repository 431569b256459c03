//! Control packets on their way out.

use std::sync::Arc;

use knet_wire::{Body, HostId, LinkId, PING_LEN, PMTU_HEADER_LEN, SequenceNumber};

use crate::config::{LinkPath, PacketTag};
use crate::link::Link;
use crate::send::PacketAge;
use crate::stats::{LinkCounters, PacketKind};

/// A control packet to be sent now. Comes out of [`crate::Engine::poll_transmit`]; tell the outcome
/// with [`Transmit::record_sent`] or [`Transmit::record_error`].
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
        padding: usize,
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

    /// The packet in clear, or its beginning if there is a [`Transmit::padding_len`].
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        match &self.packet {
            Packet::Ping(bytes) => bytes,
            Packet::PmtuReply(bytes) | Packet::Probe { header: bytes, .. } => bytes,
        }
    }

    /// How many bytes of zero follow the packet, at most 65535.
    #[must_use]
    pub fn padding_len(&self) -> usize {
        match self.packet {
            Packet::Probe { padding, .. } => padding,
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

    /// Returns `true` if it waited so long that it must not leave: a ping with a number that expired
    /// ([`PacketAge::Expired`]).
    ///
    /// `current` is the latest number ([`crate::SequenceCounter::current`]). A peer would take the
    /// numbers between then and now for those of a restarted host, and duplicates for new messages.
    /// For the same reason a ping that announces that nothing was sent expires with the first
    /// message.
    #[must_use]
    pub fn is_outdated(&self, current: SequenceNumber) -> bool {
        match knet_wire::Packet::decode(self.packet()).map(|packet| packet.body) {
            Ok(Body::Ping(ping)) if ping.sequence == SequenceNumber::ZERO => {
                current != SequenceNumber::ZERO
            }
            Ok(Body::Ping(ping)) => PacketAge::of(ping.sequence, current) == PacketAge::Expired,
            _ => false,
        }
    }

    /// Counts that it had to be tried again, because there was no room for it.
    pub fn record_retry(&self) {
        self.counters.record_retry(self.kind);
    }

    /// Counts it as sent with so many bytes of UDP payload.
    pub fn record_sent(self, bytes: usize) {
        self.counters.record_sent(self.kind, 1, bytes as u64);
    }

    /// Counts it as refused by the kernel.
    pub fn record_error(self) {
        self.counters.record_error(self.kind);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{Engine, EngineConfig, MAX_SEQUENCE_LAG, SocketId};

    const PEER: HostId = HostId::new(2);

    /// The first ping of an engine that has sent so many messages before.
    fn ping_after(messages: u16) -> (Engine, Transmit) {
        let (now, link) = (Instant::now(), LinkId::ALL[0]);
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let mut engine = Engine::new(now, &config);
        let path = LinkPath { socket: SocketId(0), remote: ([127, 0, 0, 1], 1).into() };
        send(&engine, messages);
        engine.add_host(PEER).unwrap();
        engine.add_link(now, PEER, link, path).unwrap();
        engine.set_link_enabled(now, PEER, link, true).unwrap();
        let ping = engine.poll_transmit().unwrap();
        assert!(ping.is_ping());
        (engine, ping)
    }

    fn send(engine: &Engine, messages: u16) {
        for _ in 0..messages {
            engine.sequence().next();
        }
    }

    fn is_outdated(engine: &Engine, packet: &Transmit) -> bool {
        packet.is_outdated(engine.sequence().current())
    }

    #[test]
    fn a_ping_that_thousands_of_messages_overtook_is_outdated() {
        let (engine, ping) = ping_after(1000);
        send(&engine, MAX_SEQUENCE_LAG);
        assert!(!is_outdated(&engine, &ping));
        send(&engine, 1);
        assert!(is_outdated(&engine, &ping));
    }

    #[test]
    fn a_ping_that_says_that_nothing_was_sent_is_outdated_by_the_first_message() {
        let (engine, ping) = ping_after(0);
        assert!(!is_outdated(&engine, &ping));
        send(&engine, 1);
        assert!(is_outdated(&engine, &ping));
    }

    #[test]
    fn an_answer_is_never_outdated() {
        let (mut engine, ping) = ping_after(1);
        let packet = knet_wire::Packet::decode(ping.packet()).unwrap();
        let Body::Ping(ping) = packet.body else { panic!("{packet:?}") };
        let question = ping.encode_ping(PEER);
        let meta = crate::DatagramMeta { socket: SocketId(0), source: ([127, 0, 0, 1], 1).into() };
        let _ = engine.handle_datagram(Instant::now(), meta, &question);
        let pong = engine.poll_transmit().unwrap();
        assert!(!pong.is_ping());
        send(&engine, 30_000);
        assert!(!is_outdated(&engine, &pong));
    }
}
