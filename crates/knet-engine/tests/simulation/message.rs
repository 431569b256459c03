//! Messages whose every byte follows from their sender and number, so that a receiver can check
//! whether what it got is what was sent.

use fastrand::Rng;
use knet_wire::HostId;

/// A host from one start to the next: a restarted process is another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Life {
    pub(crate) host: HostId,
    pub(crate) incarnation: u16,
}

/// Which message: the `number`-th of one life, from 1 on. Unlike sequence numbers these never wrap.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct MessageId {
    pub(crate) sender: Life,
    pub(crate) number: u64,
}

/// Which packet of a message: `index` from 0 to below `count`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) message: MessageId,
    pub(crate) index: usize,
    pub(crate) count: usize,
}

impl MessageId {
    /// The bytes of the message: its id, then what only this id at this length gives.
    pub(crate) fn payload(&self, len: usize) -> Vec<u8> {
        assert!(len >= MIN_LEN, "a message of {len} bytes has no room for its id");
        let mut bytes = vec![0; len];
        let mut seed = (len as u64) << 44;
        seed ^= u64::from(self.sender.host.get()) << 32;
        seed ^= u64::from(self.sender.incarnation) << 24;
        Rng::with_seed(seed ^ self.number).fill(&mut bytes[MIN_LEN..]);
        bytes[..2].copy_from_slice(&self.sender.host.get().to_be_bytes());
        bytes[2..4].copy_from_slice(&self.sender.incarnation.to_be_bytes());
        bytes[4..MIN_LEN].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// The id in front of a received message.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (&[h0, h1, i0, i1], rest) = bytes.split_first_chunk()?;
        let (number, _) = rest.split_first_chunk()?;
        let sender = Life {
            host: HostId::new(u16::from_be_bytes([h0, h1])),
            incarnation: u16::from_be_bytes([i0, i1]),
        };
        Some(Self { sender, number: u64::from_be_bytes(*number) })
    }
}

/// The shortest message: just its id.
pub(crate) const MIN_LEN: usize = 12;
