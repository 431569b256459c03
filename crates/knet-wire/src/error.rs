//! Errors of decoding.

use crate::{InvalidFragment, InvalidLinkId};

/// The error of [`Packet::decode`](crate::Packet::decode).
///
/// libknet 1.x sends no packet that is rejected, with one exception: before 1.35, its MTU could be so small
/// that a message had 255 fragments, which 1.35 rejects too.
///
/// There is no errno, because libknet drops such packets without an error.
///
/// # Examples
///
/// ```
/// use knet_wire::{DecodeError, Packet};
///
/// let error = Packet::decode(&[1, 5, 0, 1, 0, 0]).unwrap_err();
/// assert_eq!(error, DecodeError::UnknownType { found: 5 });
/// assert_eq!(error.to_string(), "unknown packet type 0x05");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The packet is shorter than packets of its type are.
    #[error("packet too short: {have} bytes instead of at least {need}")]
    Truncated {
        /// The smallest length of such a packet in bytes.
        need: usize,
        /// The length of the datagram in bytes.
        have: usize,
    },
    /// The version is not 1.
    #[error("unsupported protocol version {found}, only version 1 is supported")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The type is unknown.
    #[error("unknown packet type {found:#04x}")]
    UnknownType {
        /// The type byte.
        found: u8,
    },
    /// A control packet has an invalid link id.
    #[error(transparent)]
    Link(#[from] InvalidLinkId),
    /// A data packet has the sequence number 0.
    #[error("data packet with sequence number 0, which no sender uses")]
    ZeroSequence,
    /// A data packet has an unknown compression method.
    #[error("data packet with unknown compression method {found}, known are 0 to 7")]
    Compression {
        /// The compression byte.
        found: u8,
    },
    /// A data packet has an invalid fragment position.
    #[error(transparent)]
    Fragment(#[from] InvalidFragment),
    /// A data packet has a channel outside 0 to 31.
    #[error("data packet for channel {found}, channels are numbered 0 to 31")]
    Channel {
        /// The channel byte, which is signed in the packet.
        found: i8,
    },
    /// A data packet ends with its header.
    #[error("data packet without payload")]
    EmptyPayload,
    /// The payload of a data packet is longer than the longest message.
    #[error("data packet with {found} bytes of payload, a message has at most 65536")]
    PayloadTooLong {
        /// The length of the payload in bytes.
        found: usize,
    },
}
