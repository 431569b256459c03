//! Control packets to be sent by the driver.

use std::net::IpAddr;
use std::sync::Arc;

use knet_wire::{Body, HostId, LinkId, PING_LEN, PMTU_HEADER_LEN, SequenceNumber};

use crate::config::{LinkPath, PacketTag};
use crate::link::Link;
use crate::send::PacketAge;
use crate::stats::{LinkCounters, PacketKind};

/// A control packet to send. Returned by [`Engine::poll_transmit`](crate::Engine::poll_transmit).
///
/// Send [`Transmit::packet`] and [`Transmit::padding_len`] zeros over [`Transmit::path`], from
/// [`Transmit::source`], then record the outcome with [`Transmit::record_sent`] or [`Transmit::record_error`].
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// # engine.add_link(now, peer, link, path)?;
/// engine.set_link_enabled(now, peer, link, true)?;
/// let ping = engine.poll_transmit().expect("the first ping leaves at once");
/// assert!(ping.is_ping());
/// assert_eq!((ping.host(), ping.path().remote), (peer, "10.0.0.2:5405".parse()?));
///
/// let datagram = [ping.packet(), &vec![0; ping.padding_len()]].concat();
/// // … and when the socket has taken it:
/// ping.record_sent(datagram.len());
/// assert_eq!(engine.link_status(now, peer, link)?.stats.tx_ping_packets, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a transmit that is not sent is a packet lost"]
pub struct Transmit {
    host: HostId,
    link: LinkId,
    path: LinkPath,
    source: Option<IpAddr>,
    tag: PacketTag,
    kind: PacketKind,
    packet: Packet,
    link_is_up: bool,
    counters: Arc<LinkCounters>,
}

/// The bytes of a control packet, by their length.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    Ping([u8; PING_LEN]),
    PmtuReply([u8; PMTU_HEADER_LEN]),
    /// A probe: its header, how many zeros follow, and the size of IP packet it tests.
    Probe {
        header: [u8; PMTU_HEADER_LEN],
        padding: usize,
        size: u16,
    },
}

impl Transmit {
    /// Creates a packet of `link`, which has this id.
    pub(super) fn new(
        host: HostId,
        id: LinkId,
        link: &Link,
        (path, source): (LinkPath, Option<IpAddr>),
        kind: PacketKind,
        packet: Packet,
    ) -> Self {
        let (tag, counters) = (link.tag, link.counters.clone());
        let link_is_up = link.is_usable();
        Self { host, link: id, path, source, tag, kind, packet, link_is_up, counters }
    }

    /// Returns the host that receives it.
    #[must_use]
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Returns the link that it belongs to.
    #[must_use]
    pub fn link(&self) -> LinkId {
        self.link
    }

    /// Returns `true` if the link was up when this was made. Otherwise the host may be gone, and the kernel may keep
    /// the packet until it has given up looking for its hardware address.
    #[must_use]
    pub fn link_is_up(&self) -> bool {
        self.link_is_up
    }

    /// Returns the socket that has to send it, and the destination.
    #[must_use]
    pub fn path(&self) -> LinkPath {
        self.path
    }

    /// Returns the own address that it has to leave from, or `None` if the kernel chooses: the
    /// socket is bound to one address, or the peer has not been heard yet.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Returns the tag that the driver set for the link.
    #[must_use]
    pub fn tag(&self) -> PacketTag {
        self.tag
    }

    /// Returns the packet without encryption. [`Transmit::padding_len`] zeros follow it.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        match &self.packet {
            Packet::Ping(bytes) => bytes,
            Packet::PmtuReply(bytes) | Packet::Probe { header: bytes, .. } => bytes,
        }
    }

    /// Returns how many zeros follow the packet, at most 65535.
    #[must_use]
    pub fn padding_len(&self) -> usize {
        match self.packet {
            Packet::Probe { padding, .. } => padding,
            _ => 0,
        }
    }

    /// Returns the size of the IP packet that a path MTU probe tests, in bytes, or `None` if this
    /// is not a probe. If the kernel refuses to send it because it is too long, call
    /// [`Engine::handle_probe_refused`](crate::Engine::handle_probe_refused).
    #[must_use]
    pub fn probe_size(&self) -> Option<u16> {
        match self.packet {
            Packet::Probe { size, .. } => Some(size),
            _ => None,
        }
    }

    /// Returns `true` if it is a ping. If the kernel refuses to send it, call
    /// [`Engine::handle_ping_refused`](crate::Engine::handle_ping_refused).
    #[must_use]
    pub fn is_ping(&self) -> bool {
        self.kind == PacketKind::Ping
    }

    /// Returns `true` if it waited for so long that it must not leave: a ping whose number expired
    /// ([`PacketAge::Expired`]).
    ///
    /// `current` is the latest number
    /// ([`SequenceCounter::current`](crate::SequenceCounter::current)). A peer would conclude from
    /// an old number that this host was restarted, and deliver duplicates as new messages. For the
    /// same reason a ping that announces that nothing was sent expires with the first message.
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

    /// Counts a retry, because the socket had no room for the packet.
    pub fn record_retry(&self) {
        self.counters.record_retry(self.kind);
    }

    /// Counts it as sent, with this many bytes of UDP payload.
    pub fn record_sent(self, bytes: usize) {
        self.counters.record_sent(self.kind, 1, bytes as u64);
    }

    /// Counts it as not sent.
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
        let meta = crate::DatagramMeta {
            socket: SocketId(0),
            source: ([127, 0, 0, 1], 1).into(),
            local: None,
        };
        let _ = engine.handle_datagram(Instant::now(), meta, &question);
        let pong = engine.poll_transmit().unwrap();
        assert!(!pong.is_ping());
        send(&engine, 30_000);
        assert!(!is_outdated(&engine, &pong));
    }
}
