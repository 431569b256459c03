//! The sequence numbers that one link heard in pings.

use knet_wire::SequenceNumber;

/// The latest number in the pings of a link, for restart detection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// The number in the last timed ping.
    pub(crate) sequence: SequenceNumber,
    /// Which process sent it: how many restarts had been detected by then.
    pub(crate) starts: u32,
}
