//! Socket addresses in the kernel's form.

use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{sockaddr_in, sockaddr_in6};

/// A `sockaddr_in` or a `sockaddr_in6` as plain bytes.
///
/// Bytes can be read and written without unsafe code, and batches of them can be sent to other threads. The
/// kernel copies addresses bytewise and does not require alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawAddress {
    pub(crate) bytes: [u8; Self::CAPACITY],
    /// The number of valid bytes.
    pub(crate) len: usize,
}

impl RawAddress {
    /// The size of the larger of the two structures.
    pub(crate) const CAPACITY: usize = size_of::<sockaddr_in6>();

    /// Space for a received address.
    pub(crate) const EMPTY: RawAddress = RawAddress { bytes: [0; Self::CAPACITY], len: 0 };

    pub(crate) fn new(address: SocketAddr) -> RawAddress {
        let mut raw = RawAddress::EMPTY;
        match address {
            SocketAddr::V4(v4) => {
                raw.len = size_of::<sockaddr_in>();
                raw.put(offset_of!(sockaddr_in, sin_family), family(libc::AF_INET));
                raw.put(offset_of!(sockaddr_in, sin_port), v4.port().to_be_bytes());
                raw.put(offset_of!(sockaddr_in, sin_addr), v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                raw.len = size_of::<sockaddr_in6>();
                raw.put(offset_of!(sockaddr_in6, sin6_family), family(libc::AF_INET6));
                raw.put(offset_of!(sockaddr_in6, sin6_port), v6.port().to_be_bytes());
                raw.put(offset_of!(sockaddr_in6, sin6_flowinfo), v6.flowinfo().to_ne_bytes());
                raw.put(offset_of!(sockaddr_in6, sin6_addr), v6.ip().octets());
                raw.put(offset_of!(sockaddr_in6, sin6_scope_id), v6.scope_id().to_ne_bytes());
            }
        }
        raw
    }

    /// Returns the address, or `None` if it is of another family or truncated.
    pub(crate) fn decode(&self) -> Option<SocketAddr> {
        let found = self.take(offset_of!(sockaddr_in, sin_family));
        if found == family(libc::AF_INET) && self.len >= size_of::<sockaddr_in>() {
            let port = u16::from_be_bytes(self.take(offset_of!(sockaddr_in, sin_port)));
            let ip = Ipv4Addr::from(self.take(offset_of!(sockaddr_in, sin_addr)));
            Some(SocketAddrV4::new(ip, port).into())
        } else if found == family(libc::AF_INET6) && self.len >= size_of::<sockaddr_in6>() {
            let port = u16::from_be_bytes(self.take(offset_of!(sockaddr_in6, sin6_port)));
            let flow = u32::from_ne_bytes(self.take(offset_of!(sockaddr_in6, sin6_flowinfo)));
            let ip = Ipv6Addr::from(self.take::<16>(offset_of!(sockaddr_in6, sin6_addr)));
            let scope = u32::from_ne_bytes(self.take(offset_of!(sockaddr_in6, sin6_scope_id)));
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        } else {
            None
        }
    }

    /// Writes a field. `at` and `N` are the offset and size of a field of one of the two structures and
    /// therefore within bounds, here and in `take`.
    fn put<const N: usize>(&mut self, at: usize, field: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&field);
    }

    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.bytes[at..at + N]);
        field
    }
}

/// Returns the family field of an address, whose type all constants fit.
fn family(constant: libc::c_int) -> [u8; size_of::<libc::sa_family_t>()] {
    (constant as libc::sa_family_t).to_ne_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn layout_matches_the_manual_pages() {
        let raw = RawAddress::new("1.2.3.4:5".parse().unwrap());
        assert_eq!(raw.len, 16);
        assert_eq!(raw.bytes[2..8], [0, 5, 1, 2, 3, 4]);
        let raw = RawAddress::new("[102::f]:258".parse().unwrap());
        assert_eq!(raw.len, 28);
        assert_eq!(raw.bytes[2..4], [1, 2]);
        assert_eq!(raw.bytes[8..24], [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15]);
    }

    #[test]
    fn addresses_of_other_families_and_truncated_ones_are_not_decoded() {
        assert_eq!(RawAddress::EMPTY.decode(), None);
        for address in ["1.2.3.4:5", "[::1]:5"] {
            let mut raw = RawAddress::new(address.parse().unwrap());
            raw.len -= 1;
            assert_eq!(raw.decode(), None);
        }
        let mut raw = RawAddress::new("1.2.3.4:5".parse().unwrap());
        raw.put(0, family(libc::AF_UNIX));
        assert_eq!(raw.decode(), None);
    }

    proptest! {
        #[test]
        fn addresses_decode_to_themselves(
            v4: [u8; 4], v6: [u8; 16], port: u16, flow: u32, scope: u32,
        ) {
            let v4 = SocketAddr::V4(SocketAddrV4::new(v4.into(), port));
            prop_assert_eq!(RawAddress::new(v4).decode(), Some(v4));
            let v6 = SocketAddr::V6(SocketAddrV6::new(v6.into(), port, flow, scope));
            prop_assert_eq!(RawAddress::new(v6).decode(), Some(v6));
        }
    }
}
