//! What path MTU discovery needs to know of its link.

use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, IpVersion, MTU_HEADER_LEN, path_overhead};

/// What the discovery needs from its link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) version: IpVersion,
    pub(crate) crypto: CryptoSizes,
    /// How long a reply may take before a probe counts as lost.
    pub(crate) patience: Duration,
    /// The time between two searches.
    pub(crate) interval: Duration,
    /// When the last pong came.
    pub(crate) last_pong: Option<Instant>,
    /// How many data packets have been sent on the link.
    pub(crate) data_packets: u64,
    /// A number for a new probe that nobody else can know.
    pub(crate) fresh_cookie: u16,
}

impl Conditions {
    /// Returns the least size with which a path is used: that which every path of the IP version
    /// should take.
    pub(super) fn least(&self) -> usize {
        self.align_down(self.version.min_onwire()).unwrap_or(self.version.min_onwire())
    }

    /// Returns the longest packet of at most `onwire` bytes that the cipher can produce.
    pub(super) fn align_down(&self, onwire: usize) -> Option<usize> {
        let overhead = path_overhead(self.version);
        let data = self.crypto.app_mtu(onwire.checked_sub(overhead)?)?;
        Some(self.crypto.wire_len(data + MTU_HEADER_LEN) + overhead)
    }

    /// Returns the next longer packet that the cipher can produce.
    pub(super) fn next_up(&self, onwire: usize) -> usize {
        onwire + self.crypto.block.max(1)
    }
}
