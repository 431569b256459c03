//! The values that come in with a datagram and go out to the application.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use knet_channel::Channel;
use knet_wire::{HostId, SequenceNumber};

use crate::config::SocketId;
use crate::host::ReassembledMessage;

/// Where a datagram came from, and where it arrived.
///
/// # Examples
///
/// ```
/// use knet_engine::{DatagramMeta, SocketId};
///
/// let meta = DatagramMeta { socket: SocketId(0), source: "192.0.2.7:5405".parse()?, local: None };
/// assert!(meta.source.is_ipv4());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by the driver for every packet")]
pub struct DatagramMeta {
    /// The driver's socket that received it.
    pub socket: SocketId,
    /// The sender's address.
    pub source: SocketAddr,
    /// The own address that it was sent to, if the socket is bound to all addresses of the machine.
    /// Packets to the peer have to leave from there ([`Transmit::source`](crate::Transmit::source)).
    /// `None` if the socket is bound to one address, or if it is not known.
    pub local: Option<IpAddr>,
}

/// What became of a datagram. Returned by
/// [`Engine::handle_datagram`](crate::Engine::handle_datagram).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{Body, DataHeader, Fragment, FragmentPart, HostId, LinkId, Packet};
/// # use knet_wire::SequenceNumber;
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
/// # let header = DataHeader {
/// #     sequence: SequenceNumber::new(1),
/// #     compression: 0,
/// #     broadcast: true,
/// #     fragment: Fragment::Whole,
/// #     channel: 3,
/// # };
/// # use knet_engine::Received;
/// // The peer is reachable, and sends a message of five bytes on channel 3.
/// let datagram = [&header.encode(peer)[..], b"hello"].concat();
/// match engine.handle_datagram(now, meta, &datagram) {
///     Received::Message(delivery, bytes) => {
///         assert_eq!((delivery.source, delivery.channel.get()), (peer, 3));
///         assert_eq!(&datagram[bytes], b"hello");
///     }
///     other => panic!("{other:?}"),
/// }
/// assert!(matches!(engine.handle_datagram(now, meta, &datagram), Received::Duplicate));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it may be a message to deliver"]
#[non_exhaustive]
pub enum Received {
    /// Nothing to deliver: a control packet, a fragment of an incomplete message, or a packet that
    /// was discarded and counted.
    Consumed,
    /// A duplicate of a message or fragment. If delivery of the original fails, pass the datagram
    /// to [`Engine::handle_duplicate`](crate::Engine::handle_duplicate) after
    /// [`Engine::undelivered`](crate::Engine::undelivered).
    Duplicate,
    /// A whole message: the bytes of the datagram in this range.
    Message(Delivery, Range<usize>),
    /// The message that this last missing fragment completes. Return its buffer with
    /// [`Engine::recycle`](crate::Engine::recycle) after delivery.
    Reassembled(Delivery, ReassembledMessage),
}

/// A message to deliver. The example of [`Received`] delivers one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The host that sent it.
    pub source: HostId,
    /// The channel in its packet.
    pub channel: Channel,
    /// `true` if the sender sent it to all hosts. The receiver's filter decides where it goes.
    pub broadcast: bool,
    /// Identifies the message in [`Engine::undelivered`](crate::Engine::undelivered).
    pub token: DeliveryToken,
}

/// Identifies a message that was returned for delivery.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{Body, DataHeader, Fragment, FragmentPart, HostId, LinkId, Packet};
/// # use knet_wire::SequenceNumber;
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
/// # let header = DataHeader {
/// #     sequence: SequenceNumber::new(1),
/// #     compression: 0,
/// #     broadcast: true,
/// #     fragment: Fragment::Whole,
/// #     channel: 3,
/// # };
/// # use knet_engine::Received;
/// # let datagram = [&header.encode(peer)[..], b"hello"].concat();
/// let first = engine.handle_datagram(now, meta, &datagram);
/// let Received::Message(delivery, _) = first else { panic!() };
/// // A duplicate arrives over another link, and the message turns out to be undeliverable.
/// assert!(matches!(engine.handle_datagram(now, meta, &datagram), Received::Duplicate));
/// engine.undelivered(delivery.token);
/// assert!(matches!(engine.handle_duplicate(now, &datagram), Received::Message(..)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeliveryToken {
    pub(super) host: HostId,
    /// Which host of this id: one that was removed has a successor with numbers of its own.
    pub(super) incarnation: u32,
    pub(super) sequence: SequenceNumber,
    pub(super) generation: u32,
}
