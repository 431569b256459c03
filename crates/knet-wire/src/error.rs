//! Why a datagram was refused.

use crate::{InvalidFragment, InvalidLinkId};

/// Why a datagram was refused.
///
/// libknet 1.x sends nothing that is refused, with one exception: before 1.35 it could be given an
/// MTU so small that a message took 255 fragments, which 1.35 refuses too.
///
/// It has no errno: libknet drops such a frame without telling anybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Fewer bytes than a frame of its type has (wire.md section 3.5).
    #[error("frame too short: {have} bytes where {need} are needed")]
    Truncated {
        /// Bytes such a frame has at the least.
        need: usize,
        /// Bytes in the datagram.
        have: usize,
    },
    /// Another protocol version than 1 (wire.md section 2).
    #[error("frame of protocol version {found} where only version 1 is spoken")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// A frame type outside the table of wire.md section 3.
    #[error("frame of unknown type {found:#04x}")]
    UnknownType {
        /// The type byte.
        found: u8,
    },
    /// A control frame for a link that cannot exist.
    #[error(transparent)]
    Link(#[from] InvalidLinkId),
    /// A data frame without a sequence number (wire.md section 4).
    #[error("data frame with sequence number 0, which no sender uses")]
    ZeroSequence,
    /// A data frame whose compression method is unknown (wire.md section 6.1).
    #[error("data frame compressed by unknown method {found}, known are 0 to 7")]
    Compression {
        /// The compression byte.
        found: u8,
    },
    /// A data frame whose fragment number is impossible (wire.md section 5.3).
    #[error(transparent)]
    Fragment(#[from] InvalidFragment),
    /// A data frame for a channel outside 0 to 31 (wire.md section 3.1).
    #[error("data frame for channel {found}, there are 0 to 31")]
    Channel {
        /// The channel byte, which is signed on the wire.
        found: i8,
    },
    /// A data frame that ends with its header (wire.md section 3.5).
    #[error("data frame without payload")]
    EmptyPayload,
    /// A data frame with more payload than the longest message has (wire.md section 5.3).
    #[error("data frame with {found} bytes of payload, a message has 65536 at most")]
    PayloadTooLong {
        /// Bytes of payload in the datagram.
        found: usize,
    },
}
