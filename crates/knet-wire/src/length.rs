//! How much user payload fits in a packet, and how long a packet a frame makes (wire.md section 9).

use crate::PING_LEN;

/// Bytes of an UDP header.
pub const UDP_OVERHEAD: usize = 8;

/// Bytes of the largest IP packet ever probed, IP header included.
pub const MAX_ONWIRE: usize = 65535;

/// Bytes of header that MTU arithmetic charges to a frame, whatever its type: the longest header,
/// although a data frame's is 12 bytes shorter.
///
/// A probe for a payload of `n` bytes is a frame of `n + MTU_HEADER_LEN`.
pub const MTU_HEADER_LEN: usize = PING_LEN;

/// Bytes of the smallest datagram an IPv4 host must accept, less the largest overheads (IPv6 and
/// SCTP): the worst case that the lowest acceptable MTU is reckoned from.
const MIN_DATAGRAM: usize = IpVersion::V4.min_onwire() - IpVersion::V6.overhead() - SCTP_OVERHEAD;

/// Bytes of SCTP's common header and one data chunk's header.
const SCTP_OVERHEAD: usize = 28;

/// Bytes that encryption and signing add to a frame (wire.md section 8.2). The default is
/// [`CryptoSizes::CLEAR`].
///
/// # Examples
///
/// ```
/// use knet_wire::{CryptoSizes, IpVersion, MTU_HEADER_LEN, path_overhead};
///
/// let aes_sha256 = CryptoSizes { block: 16, salt: 16, hash: 32 };
/// let datagram = 1500 - path_overhead(IpVersion::V4);
/// assert_eq!(aes_sha256.app_mtu(datagram), Some(1397));
/// assert_eq!(aes_sha256.wire_len(1397 + MTU_HEADER_LEN), datagram);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct CryptoSizes {
    /// Bytes of a cipher block, to which frames are padded, always by at least one byte; 0 without
    /// a cipher.
    pub block: usize,
    /// Bytes of salt in front of the frame; 0 without a cipher.
    pub salt: usize,
    /// Bytes of hash behind the frame; 0 without signing.
    pub hash: usize,
}

impl CryptoSizes {
    /// No encryption and no signing.
    pub const CLEAR: Self = Self { block: 0, salt: 0, hash: 0 };

    /// Returns the bytes of the datagram that a clear frame of `n` bytes becomes.
    ///
    /// Sizes beyond any datagram saturate at `usize::MAX`.
    #[must_use]
    pub const fn wire_len(&self, n: usize) -> usize {
        let padding = match n.checked_rem(self.block) {
            Some(over) => self.block - over,
            None => 0,
        };
        n.saturating_add(padding).saturating_add(self.salt).saturating_add(self.hash)
    }

    /// Returns the bytes of user payload that fit in a datagram of `w` bytes, at least 1; `None` if
    /// nothing fits.
    #[must_use]
    pub const fn app_mtu(&self, w: usize) -> Option<usize> {
        let room = w.saturating_sub(self.salt).saturating_sub(self.hash);
        // One byte below a multiple of the block, so that the padding is a single byte.
        let frame = match room.checked_rem(self.block) {
            Some(over) => (room - over).saturating_sub(1),
            None => room,
        };
        match frame.saturating_sub(MTU_HEADER_LEN) {
            0 => None,
            payload => Some(payload),
        }
    }

    /// Returns the lowest acceptable data MTU, in bytes of user payload: what fits in the smallest
    /// packet of the most expensive transport; 0 if nothing does, which no known algorithm causes.
    #[must_use]
    pub const fn min_mtu(&self) -> usize {
        match self.app_mtu(MIN_DATAGRAM) {
            Some(payload) => payload,
            None => 0,
        }
    }
}

/// The IP version a path uses.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// Returns the bytes of the IP header without options: 20 or 40.
    #[must_use]
    pub const fn overhead(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    /// Returns the bytes of an IP packet that every path carries, headers included: 576 (RFC 791)
    /// or 1280 (RFC 8200).
    #[must_use]
    pub const fn min_onwire(self) -> usize {
        match self {
            Self::V4 => 576,
            Self::V6 => 1280,
        }
    }
}

/// Returns the bytes of headers around a UDP datagram: 28 over IPv4, 48 over IPv6.
#[must_use]
pub const fn path_overhead(ip: IpVersion) -> usize {
    ip.overhead() + UDP_OVERHEAD
}
