//! What comes in with a datagram, and what comes out of it for the application.

use std::net::SocketAddr;
use std::ops::Range;

use knet_channel::Channel;
use knet_wire::{HostId, SequenceNumber};

use crate::config::SocketId;
use crate::host::Assembled;

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "made by the driver for every packet")]
pub struct Arrival {
    /// The driver's socket that received it.
    pub socket: SocketId,
    /// The sender's address.
    pub source: SocketAddr,
}

/// What became of a datagram.
#[derive(Debug)]
#[must_use = "it may be a message to deliver"]
#[non_exhaustive]
pub enum Received {
    /// Nothing to deliver: a control packet, a fragment that was kept, or something that was
    /// thrown away and counted.
    Nothing,
    /// A copy of a message, or of a part of one, that was handed out before. If that could not be
    /// delivered, give it to [`crate::Engine::handle_copy`] after [`super::Engine::delivery_failed`].
    Copy,
    /// A whole message: the bytes of the datagram in this range.
    Whole(Delivery, Range<usize>),
    /// The last missing fragment of a message. Give the buffer back with
    /// [`crate::Engine::recycle`] when it is delivered.
    Assembled(Delivery, Assembled),
}

/// A message to deliver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivery {
    /// Who sent it.
    pub source: HostId,
    /// The channel in its packet.
    pub channel: Channel,
    /// Whether the sender sent it to everybody. For information: the receiver's filter decides.
    pub broadcast: bool,
    /// Names the message to [`crate::Engine::delivery_failed`].
    pub receipt: Receipt,
}

/// Names a message that was handed out for delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Receipt {
    pub(super) host: HostId,
    pub(super) sequence: SequenceNumber,
    pub(super) generation: u32,
}
