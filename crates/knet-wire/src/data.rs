//! Data frames (wire.md section 3.1).

use crate::header::{self, COMMON_HEADER_LEN, FrameType};
use crate::{DecodeError, Fragment, HostId, SequenceNumber};

/// Bytes of header in front of the payload of a data frame, common header included.
pub const DATA_HEADER_LEN: usize = 14;

/// Bytes of the longest message (libknet's `KNET_MAX_PACKET_SIZE`).
pub const MAX_MESSAGE: usize = 65536;

/// The highest compression method in wire.md section 6.1.
const MAX_COMPRESSION: u8 = 7;

/// The highest channel.
const MAX_CHANNEL: u8 = 31;

/// A data frame: a message, or one fragment of it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Data<'a> {
    /// Everything but the payload.
    pub header: DataHeader,
    /// The message, or this fragment's slice of it, 1 to [`MAX_MESSAGE`] bytes; a slice of the
    /// compressed message if the header names a compression.
    pub payload: &'a [u8],
}

/// What the header of a data frame says.
///
/// From [`Packet::decode`](crate::Packet::decode) every field is in its range. Who fills one in keeps
/// to the ranges given here, or every receiver drops the frame.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DataHeader {
    /// The number of the message, the same in all its fragments; never zero.
    pub sequence: SequenceNumber,
    /// How the message is compressed, 0 to 7; 0 is not at all (wire.md section 6.1).
    pub compression: u8,
    /// Whether the sender sent the message to all hosts. Receivers only report it.
    pub broadcast: bool,
    /// Which slice of the message the frame carries.
    pub fragment: Fragment,
    /// The channel the message was sent to, 0 to 31.
    pub channel: u8,
}

impl DataHeader {
    /// Returns the bytes to put in front of the payload, sent by `source`.
    ///
    /// Reserved bytes are zero; a whole message is fragment 0 of 1, as libknet writes it.
    #[must_use]
    pub const fn encode(&self, source: HostId) -> [u8; DATA_HEADER_LEN] {
        let [version, kind, node_high, node_low, pad1, pad2] =
            header::encode(FrameType::Data, source);
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
    /// Reads what follows the common header.
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
