//! The values that come in with a datagram and go out to the application.

use std::net::SocketAddr;
use std::ops::Range;

use knet_channel::Channel;
use knet_wire::{HostId, SequenceNumber};

use crate::config::SocketId;
use crate::host::ReassembledMessage;

/// Where a datagram came from.
///
/// # Examples
///
/// ```
/// use knet_engine::{DatagramMeta, SocketId};
///
/// let meta = DatagramMeta { socket: SocketId(0), source: "192.0.2.7:5405".parse()? };
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
}

/// What became of a datagram. Returned by [`crate::Engine::handle_datagram`].
#[derive(Debug)]
#[must_use = "it may be a message to deliver"]
#[non_exhaustive]
pub enum Received {
    /// Nothing to deliver: a control packet, a fragment of an incomplete message, or a packet that
    /// was discarded and counted.
    Consumed,
    /// A duplicate of a message or fragment. If delivery of the original fails, pass the datagram
    /// to [`crate::Engine::handle_duplicate`] after [`crate::Engine::undelivered`].
    Duplicate,
    /// A whole message: the bytes of the datagram in this range.
    Message(Delivery, Range<usize>),
    /// The message that this last missing fragment completes. Return its buffer with
    /// [`crate::Engine::recycle`] after delivery.
    Reassembled(Delivery, ReassembledMessage),
}

/// A message to deliver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// The host that sent it.
    pub source: HostId,
    /// The channel in its packet.
    pub channel: Channel,
    /// `true` if the sender sent it to all hosts. The receiver's filter decides where it goes.
    pub broadcast: bool,
    /// Identifies the message in [`crate::Engine::undelivered`].
    pub token: DeliveryToken,
}

/// Identifies a message that was returned for delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeliveryToken {
    pub(super) host: HostId,
    pub(super) sequence: SequenceNumber,
    pub(super) generation: u32,
}
