//! Length arithmetic: how much payload fits in a packet, and how long a packet becomes
//! (`docs/wire-format.md`, "Length arithmetic").

use crate::PING_LEN;

/// The length of a UDP header in bytes.
pub const UDP_OVERHEAD: usize = 8;

/// The length of the largest IP packet that is ever probed, in bytes, including the IP header.
pub const MAX_ONWIRE: usize = 65535;

/// The header length that MTU arithmetic assumes for every packet, in bytes: that of the longest header,
/// although a data packet has one that is 12 bytes shorter.
///
/// A probe for a payload of `n` bytes has `n + MTU_HEADER_LEN` bytes.
pub const MTU_HEADER_LEN: usize = PING_LEN;

/// The length of the smallest datagram that an IPv4 host must accept, minus the largest overheads (IPv6
/// and SCTP), in bytes: the worst case, which defines the lowest acceptable MTU.
const MIN_DATAGRAM: usize = IpVersion::V4.min_onwire() - IpVersion::V6.overhead() - SCTP_OVERHEAD;

/// The length of SCTP's common header and the header of one data chunk in bytes.
const SCTP_OVERHEAD: usize = 28;

/// The bytes that encryption and signing add to a packet. The default is [`CryptoSizes::CLEAR`].
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
    /// The length of a cipher block in bytes. Packets are padded to it by at least one byte. 0 without a
    /// cipher.
    pub block: usize,
    /// The length of the salt before the packet in bytes. 0 without a cipher.
    pub salt: usize,
    /// The length of the hash after the packet in bytes. 0 without signing.
    pub hash: usize,
}

impl CryptoSizes {
    /// No encryption and no signing.
    pub const CLEAR: Self = Self { block: 0, salt: 0, hash: 0 };

    /// Returns the length of the datagram with a clear packet of `n` bytes, in bytes.
    ///
    /// Saturates at `usize::MAX`, far beyond any datagram.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::CryptoSizes;
    ///
    /// assert_eq!(CryptoSizes::CLEAR.wire_len(26), 26);
    /// let aes_sha1 = CryptoSizes { block: 16, salt: 16, hash: 20 };
    /// assert_eq!(aes_sha1.wire_len(26), 16 + 32 + 20);
    /// ```
    #[must_use]
    pub const fn wire_len(&self, n: usize) -> usize {
        let padding = match n.checked_rem(self.block) {
            Some(over) => self.block - over,
            None => 0,
        };
        n.saturating_add(padding).saturating_add(self.salt).saturating_add(self.hash)
    }

    /// Returns the length of the payload that fits in a datagram of `w` bytes, or `None` if none does.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::CryptoSizes;
    ///
    /// assert_eq!(CryptoSizes::CLEAR.app_mtu(1472), Some(1446));
    /// assert_eq!(CryptoSizes::CLEAR.app_mtu(26), None);
    /// ```
    #[must_use]
    pub const fn app_mtu(&self, w: usize) -> Option<usize> {
        let room = w.saturating_sub(self.salt).saturating_sub(self.hash);
        // One byte below a multiple of the block, so that the padding is a single byte.
        let packet = match room.checked_rem(self.block) {
            Some(over) => (room - over).saturating_sub(1),
            None => room,
        };
        match packet.saturating_sub(MTU_HEADER_LEN) {
            0 => None,
            payload => Some(payload),
        }
    }

    /// Returns the lowest acceptable data MTU in bytes of payload: what fits in the smallest packet of the
    /// transport with the most overhead. 0 if nothing fits, which no known algorithm causes.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::CryptoSizes;
    ///
    /// assert_eq!(CryptoSizes::CLEAR.min_mtu(), 482);
    /// assert_eq!(CryptoSizes { block: 16, salt: 16, hash: 32 }.min_mtu(), 421);
    /// ```
    #[must_use]
    pub const fn min_mtu(&self) -> usize {
        match self.app_mtu(MIN_DATAGRAM) {
            Some(payload) => payload,
            None => 0,
        }
    }
}

/// The IP version of a path.
///
/// # Examples
///
/// ```
/// use knet_wire::{IpVersion, path_overhead};
///
/// assert_eq!(path_overhead(IpVersion::V4), 28);
/// assert_eq!(path_overhead(IpVersion::V6), 48);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// Returns the length of the IP header without options in bytes: 20 or 40.
    #[must_use]
    pub const fn overhead(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }

    /// Returns the length of an IP packet that every path carries, in bytes including headers: 576
    /// (RFC 791) or 1280 (RFC 8200).
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_wire::IpVersion::V6.min_onwire(), 1280);
    /// ```
    #[must_use]
    pub const fn min_onwire(self) -> usize {
        match self {
            Self::V4 => 576,
            Self::V6 => 1280,
        }
    }
}

/// Returns the length of the headers before a UDP payload in bytes: 28 over IPv4, 48 over IPv6.
///
/// # Examples
///
/// ```
/// use knet_wire::{IpVersion, path_overhead};
///
/// assert_eq!(1500 - path_overhead(IpVersion::V4), 1472);
/// ```
#[must_use]
pub const fn path_overhead(ip: IpVersion) -> usize {
    ip.overhead() + UDP_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference values of `docs/wire-format.md`, "Length arithmetic": sizes, lowest MTU, and the
    /// MTU for each of [`PATHS`].
    #[rustfmt::skip]
    const TABLE: [(&str, CryptoSizes, usize, [usize; 5]); 8] = [
        ("clear",       CryptoSizes::CLEAR, 482, [522, 1206, 1446, 1426, 65481]),
        ("none/sha1",   signed(20),         462, [502, 1186, 1426, 1406, 65461]),
        ("none/sha256", signed(32),         450, [490, 1174, 1414, 1394, 65449]),
        ("aes/md5",     encrypted(16),         437, [485, 1173, 1413, 1381, 65445]),
        ("aes/sha1",    encrypted(20),         437, [485, 1157, 1397, 1381, 65429]),
        ("aes/sha256",  encrypted(32),         421, [469, 1157, 1397, 1365, 65429]),
        ("aes/sha384",  encrypted(48),         405, [453, 1141, 1381, 1349, 65413]),
        ("aes/sha512",  encrypted(64),         389, [437, 1125, 1365, 1333, 65397]),
    ];

    /// The length of the IP packet and the IP version for each column of the table.
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

    const fn encrypted(hash: usize) -> CryptoSizes {
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

    /// Pings with each hash, and probes captured from libknet.
    #[test]
    fn lengths_of_encrypted_packets() {
        for (hash, ping) in [(16, 64), (20, 68), (32, 80), (48, 96), (64, 112)] {
            assert_eq!(encrypted(hash).wire_len(26), ping);
        }
        assert_eq!(encrypted(20).wire_len(9), 52);
        assert_eq!(encrypted(32).wire_len(9), 64);
        assert_eq!(encrypted(32).wire_len(1423), 1472);
        assert_eq!(encrypted(20).wire_len(1423), 1460);
        assert_eq!(encrypted(0).wire_len(32), 64, "a full block is followed by a block of padding");
        assert_eq!(signed(20).wire_len(30), 50);
        assert_eq!(CryptoSizes::default().wire_len(30), 30);
    }

    #[test]
    fn nothing_fits_in_a_datagram_that_is_too_small() {
        assert_eq!(CryptoSizes::CLEAR.app_mtu(26), None);
        assert_eq!(CryptoSizes::CLEAR.app_mtu(27), Some(1));
        // 32 bytes of ciphertext contain 31 clear bytes, of which 26 are the header.
        assert_eq!(encrypted(32).app_mtu(16 + 31 + 32), None);
        assert_eq!(encrypted(32).app_mtu(16 + 32 + 32), Some(5));
        assert_eq!(encrypted(usize::MAX).app_mtu(MAX_ONWIRE), None);
        assert_eq!(encrypted(usize::MAX).min_mtu(), 0);
        assert_eq!(encrypted(usize::MAX).wire_len(1), usize::MAX);
    }
}
