//! What the pings of one link said of the numbers of the host at its other end.

use knet_wire::SequenceNumber;

/// What a link heard of the numbers of the host at its other end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// In the last timed ping.
    pub(crate) sequence: SequenceNumber,
    /// Of which process that was: how many starts had been noticed.
    pub(crate) starts: u32,
}
