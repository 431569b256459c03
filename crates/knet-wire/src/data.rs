//! Data packets (`docs/wire-format.md`, "Data packets").

use crate::header::{self, COMMON_HEADER_LEN, PacketType};
use crate::{DecodeError, Fragment, HostId, SequenceNumber};

/// The length of the header of a data packet in bytes, including the common header.
pub const DATA_HEADER_LEN: usize = 14;

/// The length of the longest message in bytes (libknet's `KNET_MAX_PACKET_SIZE`).
pub const MAX_MESSAGE: usize = 65536;

/// The highest compression method (`docs/wire-format.md`, "Compressed packets").
const MAX_COMPRESSION: u8 = 7;

/// The highest channel.
const MAX_CHANNEL: u8 = 31;

/// A data packet: a message, or a fragment of one.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, DataHeader, Fragment, HostId, Packet, SequenceNumber};
///
/// let header = DataHeader {
///     sequence: SequenceNumber::new(1),
///     compression: 0,
///     broadcast: false,
///     fragment: Fragment::Whole,
///     channel: 3,
/// };
/// let datagram = [&header.encode(HostId::new(1))[..], b"hello"].concat();
/// let Body::Data(data) = Packet::decode(&datagram)?.body else { panic!("not data") };
/// assert_eq!((data.header.channel, data.payload), (3, &b"hello"[..]));
/// # Ok::<(), knet_wire::DecodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Data<'a> {
    /// The header.
    pub header: DataHeader,
    /// The message, or this fragment of it, 1 to [`MAX_MESSAGE`] bytes. Compressed if the header specifies
    /// a compression method.
    pub payload: &'a [u8],
}

/// The header of a data packet.
///
/// [`Packet::decode`](crate::Packet::decode) returns only fields in their range. Receivers drop packets
/// with other values, so keep to the ranges when you create a header.
///
/// # Examples
///
/// ```
/// use knet_wire::{Body, DataHeader, Fragment, HostId, Packet, SequenceNumber};
///
/// let header = DataHeader {
///     sequence: SequenceNumber::new(7),
///     compression: 0,
///     broadcast: true,
///     fragment: Fragment::Whole,
///     channel: 3,
/// };
/// let packet = [&header.encode(HostId::new(1))[..], b"hello"].concat();
/// let Body::Data(data) = Packet::decode(&packet)?.body else { panic!("it is data") };
/// assert_eq!((data.header, data.payload), (header, &b"hello"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DataHeader {
    /// The number of the message, the same in all its fragments. Never zero.
    pub sequence: SequenceNumber,
    /// The compression method of the message, 0 to 7, where 0 means uncompressed.
    pub compression: u8,
    /// Whether the sender addressed all hosts. Informational for receivers.
    pub broadcast: bool,
    /// The slice of the message in this packet.
    pub fragment: Fragment,
    /// The channel of the message, 0 to 31.
    pub channel: u8,
}

impl DataHeader {
    /// Encodes the header of a packet from `source`, which precedes the payload.
    ///
    /// Reserved bytes are zero. A whole message is fragment 0 of 1, as in libknet.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::{DataHeader, Fragment, HostId, SequenceNumber};
    ///
    /// let header = DataHeader {
    ///     sequence: SequenceNumber::new(0x0102),
    ///     compression: 0,
    ///     broadcast: true,
    ///     fragment: Fragment::Whole,
    ///     channel: 7,
    /// };
    /// let bytes = header.encode(HostId::new(5));
    /// assert_eq!(bytes, [1, 0, 0, 5, 0, 0, 1, 2, 0, 0, 1, 1, 0, 7]);
    /// ```
    #[must_use]
    pub const fn encode(&self, source: HostId) -> [u8; DATA_HEADER_LEN] {
        let [version, kind, node_high, node_low, pad1, pad2] =
            header::encode(PacketType::Data, source);
        let [seq_high, seq_low] = self.sequence.get().to_be_bytes();
        let [count, index] = self.fragment.encode();
        [
            version,
            kind,
            node_high,
            node_low,
            pad1,
            pad2,
            seq_high,
            seq_low,
            self.compression,
            0,
            self.broadcast as u8,
            count,
            index,
            self.channel,
        ]
    }
}

impl<'a> Data<'a> {
    /// Decodes a data packet behind its common header.
    pub(crate) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[seq_high, seq_low, compression, _, broadcast, count, index, channel], payload)) =
            body.split_first_chunk::<{ DATA_HEADER_LEN - COMMON_HEADER_LEN }>()
        else {
            let have = COMMON_HEADER_LEN + body.len();
            return Err(DecodeError::Truncated { need: DATA_HEADER_LEN + 1, have });
        };
        let sequence = SequenceNumber::new(u16::from_be_bytes([seq_high, seq_low]));
        if sequence == SequenceNumber::ZERO {
            return Err(DecodeError::ZeroSequence);
        }
        if compression > MAX_COMPRESSION {
            return Err(DecodeError::Compression { found: compression });
        }
        let fragment = Fragment::decode(count, index)?;
        if channel > MAX_CHANNEL {
            return Err(DecodeError::Channel { found: i8::from_ne_bytes([channel]) });
        }
        if payload.is_empty() {
            return Err(DecodeError::EmptyPayload);
        }
        if payload.len() > MAX_MESSAGE {
            return Err(DecodeError::PayloadTooLong { found: payload.len() });
        }
        let broadcast = broadcast != 0;
        let header = DataHeader { sequence, compression, broadcast, fragment, channel };
        Ok(Self { header, payload })
    }
}
