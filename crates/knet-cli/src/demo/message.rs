//! What the demo's hosts say to each other: pieces of the file one way, acknowledgements the other.
//!
//! knet does not repeat what is lost, so each piece says where it belongs. Positions are bytes of
//! the file; the end of the file takes one position more, so that it is acknowledged like a byte.

use std::ops::Range;

/// A piece of the file, or its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Piece<'a> {
    /// Where its first byte belongs.
    pub(crate) position: u64,
    /// Its bytes. None at the end of the file.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Writes it in the form in which it is sent, in place of what `message` had.
    pub(crate) fn encode(&self, message: &mut Vec<u8>) {
        message.clear();
        message.extend_from_slice(&self.position.to_be_bytes());
        message.extend_from_slice(self.bytes);
    }

    /// Reads it; `None` if the message is too short to be one.
    pub(crate) fn decode(message: &'a [u8]) -> Option<Self> {
        let (position, bytes) = message.split_first_chunk()?;
        Some(Self { position: u64::from_be_bytes(*position), bytes })
    }

    /// The positions that it takes.
    pub(crate) fn positions(&self) -> Range<u64> {
        let length = self.bytes.len().max(1) as u64;
        self.position..self.position.saturating_add(length)
    }
}

/// Says that everything in front of a position has arrived.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Acknowledgement {
    pub(crate) position: u64,
}

impl Acknowledgement {
    /// The bytes of one.
    pub(crate) const LEN: usize = size_of::<u64>();

    pub(crate) fn encode(self) -> [u8; Self::LEN] {
        self.position.to_be_bytes()
    }

    /// Reads it; `None` if the message has another length.
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
    fn other_messages_are_refused() {
        assert_eq!(Piece::decode(b"1234567"), None);
        assert_eq!(Acknowledgement::decode(b"1234567"), None);
        assert_eq!(Acknowledgement::decode(b"123456789"), None);
    }
}
