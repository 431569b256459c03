//! The common header, the first six bytes of every packet (`docs/wire-format.md`, "Common header").

use crate::{DecodeError, HostId};

/// The length of the common header in bytes.
pub const COMMON_HEADER_LEN: usize = 6;

/// The only version of the format.
const VERSION: u8 = 1;

/// The type of a packet.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum PacketType {
    Data = 0x00,
    Ping = 0x81,
    Pong = 0x82,
    PmtuProbe = 0x83,
    PmtuReply = 0x84,
}

impl PacketType {
    fn decode(byte: u8) -> Result<Self, DecodeError> {
        Ok(match byte {
            0x00 => Self::Data,
            0x81 => Self::Ping,
            0x82 => Self::Pong,
            0x83 => Self::PmtuProbe,
            0x84 => Self::PmtuReply,
            found => return Err(DecodeError::UnknownType { found }),
        })
    }
}

/// Decodes the common header and returns the type, the sender and the rest of the datagram.
pub(crate) fn decode(datagram: &[u8]) -> Result<(PacketType, HostId, &[u8]), DecodeError> {
    let Some((&[version, kind, node_high, node_low, _, _], body)) =
        datagram.split_first_chunk::<COMMON_HEADER_LEN>()
    else {
        return Err(DecodeError::Truncated { need: COMMON_HEADER_LEN, have: datagram.len() });
    };
    if version != VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let source = HostId::new(u16::from_be_bytes([node_high, node_low]));
    Ok((PacketType::decode(kind)?, source, body))
}

/// Encodes a common header. Its two reserved bytes are zero.
pub(crate) const fn encode(kind: PacketType, source: HostId) -> [u8; COMMON_HEADER_LEN] {
    let [node_high, node_low] = source.get().to_be_bytes();
    [VERSION, kind as u8, node_high, node_low, 0, 0]
}
