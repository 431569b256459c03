//! How much user payload fits in a packet, and how long a packet a frame makes (wire.md section 9).

use crate::PING_LEN;

/// Bytes of a UDP header.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of reference values in wire.md section 9: sizes, lowest MTU, then the MTU for
    /// each of [`PATHS`].
    #[rustfmt::skip]
    const TABLE: [(&str, CryptoSizes, usize, [usize; 5]); 8] = [
        ("clear",       CryptoSizes::CLEAR, 482, [522, 1206, 1446, 1426, 65481]),
        ("none/sha1",   signed(20),         462, [502, 1186, 1426, 1406, 65461]),
        ("none/sha256", signed(32),         450, [490, 1174, 1414, 1394, 65449]),
        ("aes/md5",     sealed(16),         437, [485, 1173, 1413, 1381, 65445]),
        ("aes/sha1",    sealed(20),         437, [485, 1157, 1397, 1381, 65429]),
        ("aes/sha256",  sealed(32),         421, [469, 1157, 1397, 1365, 65429]),
        ("aes/sha384",  sealed(48),         405, [453, 1141, 1381, 1349, 65413]),
        ("aes/sha512",  sealed(64),         389, [437, 1125, 1365, 1333, 65397]),
    ];

    /// Bytes of IP packet and IP version, by column of the table.
    const PATHS: [(usize, IpVersion); 5] = [
        (IpVersion::V4.min_onwire(), IpVersion::V4),
        (IpVersion::V6.min_onwire(), IpVersion::V6),
        (1500, IpVersion::V4),
        (1500, IpVersion::V6),
        (MAX_ONWIRE, IpVersion::V4),
    ];

    const fn signed(hash: usize) -> CryptoSizes {
        CryptoSizes { block: 0, salt: 0, hash }
    }

    const fn sealed(hash: usize) -> CryptoSizes {
        CryptoSizes { block: 16, salt: 16, hash }
    }

    #[test]
    fn reference_values() {
        for (name, sizes, min_mtu, mtus) in TABLE {
            assert_eq!(sizes.min_mtu(), min_mtu, "{name}, lowest");
            for ((onwire, ip), mtu) in PATHS.into_iter().zip(mtus) {
                let found = sizes.app_mtu(onwire - path_overhead(ip));
                assert_eq!(found, Some(mtu), "{name}, {onwire} bytes over {ip:?}");
            }
        }
    }

    /// The growth of small frames in wire.md section 8.2, and the probes of V15 and V16.
    #[test]
    fn lengths_of_sealed_frames() {
        for (hash, ping) in [(16, 64), (20, 68), (32, 80), (48, 96), (64, 112)] {
            assert_eq!(sealed(hash).wire_len(26), ping);
        }
        assert_eq!(sealed(20).wire_len(9), 52);
        assert_eq!(sealed(32).wire_len(9), 64);
        assert_eq!(sealed(32).wire_len(1423), 1472);
        assert_eq!(sealed(20).wire_len(1423), 1460);
        assert_eq!(sealed(0).wire_len(32), 64, "a full block is padded by another one");
        assert_eq!(signed(20).wire_len(30), 50);
        assert_eq!(CryptoSizes::default().wire_len(30), 30);
    }

    #[test]
    fn nothing_fits_in_too_small_a_datagram() {
        assert_eq!(CryptoSizes::CLEAR.app_mtu(26), None);
        assert_eq!(CryptoSizes::CLEAR.app_mtu(27), Some(1));
        // 32 bytes of ciphertext hold 31 bytes in clear, and 26 of these are the header.
        assert_eq!(sealed(32).app_mtu(16 + 31 + 32), None);
        assert_eq!(sealed(32).app_mtu(16 + 32 + 32), Some(5));
        assert_eq!(sealed(usize::MAX).app_mtu(MAX_ONWIRE), None);
        assert_eq!(sealed(usize::MAX).min_mtu(), 0);
        assert_eq!(sealed(usize::MAX).wire_len(1), usize::MAX);
    }
}
