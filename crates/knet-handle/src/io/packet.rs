//! A data packet: one fragment of a message, the same for every host and link that it goes to.

use std::ops::Range;

use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, SequenceNumber};

/// A fragment of a message with its header. It exists once; each copy of it goes to one host over one link.
///
/// Encryption belongs here: the whole header is final once the packet is numbered, and its bytes
/// stay the same over all copies and retries.
#[derive(Debug)]
pub(crate) struct Packet {
    header: DataHeader,
    /// The header as it leaves.
    bytes: [u8; DATA_HEADER_LEN],
    /// The message in its batch.
    message: usize,
    /// The bytes of the message that the packet carries.
    part: Range<usize>,
}

impl Packet {
    /// Creates a packet that gets its sequence number from [`Packet::set_number`].
    pub(crate) fn new(header: DataHeader, message: usize, part: Range<usize>) -> Self {
        Self { header, bytes: [0; DATA_HEADER_LEN], message, part }
    }

    /// Numbers the packet, again if it has a number already. `own` is the host that sends it.
    pub(crate) fn set_number(&mut self, sequence: SequenceNumber, own: HostId) {
        self.header.sequence = sequence;
        self.bytes = self.header.encode(own);
    }

    /// Returns the same fragment under another number.
    pub(crate) fn renumbered(&self, sequence: SequenceNumber, own: HostId) -> Self {
        let mut packet = Self::new(self.header, self.message, self.part.clone());
        packet.set_number(sequence, own);
        packet
    }

    pub(crate) fn number(&self) -> SequenceNumber {
        self.header.sequence
    }

    /// Returns the header as it leaves.
    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn message(&self) -> usize {
        self.message
    }

    /// Returns its length in bytes of UDP payload.
    pub(crate) fn len(&self) -> u64 {
        (DATA_HEADER_LEN + self.part.len()) as u64
    }

    /// Returns the payload, out of the bytes that the whole message has on the wire.
    pub(crate) fn payload<'a>(&self, on_wire: &'a [u8]) -> &'a [u8] {
        on_wire.get(self.part.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::HEADER;

    #[test]
    fn a_renumbered_packet_differs_in_its_number_only() {
        let own = HostId::new(7);
        let header = DataHeader { channel: 3, ..HEADER };
        let mut packet = Packet::new(header, 2, 1..3);
        packet.set_number(SequenceNumber::new(10), own);
        let again = packet.renumbered(SequenceNumber::new(11), own);
        assert_eq!((packet.number().get(), again.number().get()), (10, 11));
        let expected = DataHeader { sequence: SequenceNumber::new(11), ..header }.encode(own);
        assert_eq!(again.header(), expected);
        assert_eq!(again.message(), 2);
        assert_eq!(again.payload(b"abcd"), b"bc");
        assert_eq!(again.payload(b""), b"", "a message that is not there has no bytes");
    }
}
