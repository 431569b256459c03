//! The demo's messages: pieces of the file in one direction, acknowledgements in the other.
//!
//! knet does not retransmit lost messages, so the demo does: each piece contains its position in the
//! file. The end of the file occupies one position more, so that it is acknowledged like a byte.

use std::ops::Range;

/// A piece of the file, or its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Piece<'a> {
    /// The position of its first byte in the file.
    pub(crate) position: u64,
    /// Its bytes; empty at the end of the file.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Encodes the piece, replacing the contents of `message`.
    pub(crate) fn encode(&self, message: &mut Vec<u8>) {
        message.clear();
        message.extend_from_slice(&self.position.to_be_bytes());
        message.extend_from_slice(self.bytes);
    }

    /// Decodes a piece. Returns `None` if the message is too short.
    pub(crate) fn decode(message: &'a [u8]) -> Option<Self> {
        let (position, bytes) = message.split_first_chunk()?;
        Some(Self { position: u64::from_be_bytes(*position), bytes })
    }

    /// Returns the positions that the piece occupies.
    pub(crate) fn positions(&self) -> Range<u64> {
        let length = self.bytes.len().max(1) as u64;
        self.position..self.position.saturating_add(length)
    }
}

/// Acknowledges everything before a position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Acknowledgement {
    pub(crate) position: u64,
}

impl Acknowledgement {
    /// Its size in bytes.
    pub(crate) const LEN: usize = size_of::<u64>();

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        self.position.to_be_bytes()
    }

    /// Decodes an acknowledgement. Returns `None` if the message has another size.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        let position = u64::from_be_bytes(message.try_into().ok()?);
        Some(Self { position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut message = b"left over".to_vec();
        let piece = Piece { position: 7, bytes: b"abc" };
        piece.encode(&mut message);
        assert_eq!(Piece::decode(&message), Some(piece));
        assert_eq!(piece.positions(), 7..10);

        let end = Piece { position: 10, bytes: b"" };
        end.encode(&mut message);
        assert_eq!(Piece::decode(&message), Some(end));
        assert_eq!(end.positions(), 10..11);

        let ack = Acknowledgement { position: 11 };
        assert_eq!(Acknowledgement::decode(&ack.encode()), Some(ack));
    }

    #[test]
    fn other_messages_are_rejected() {
        assert_eq!(Piece::decode(b"1234567"), None);
        assert_eq!(Acknowledgement::decode(b"1234567"), None);
        assert_eq!(Acknowledgement::decode(b"123456789"), None);
    }
}
