//! Control messages (`cmsg(3)`) that the kernel writes with a received datagram or run.

use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo};

/// Room for all control messages that are requested: the length of the datagrams of a run, and the
/// address that they were sent to.
///
/// Plain bytes: the kernel copies messages bytewise and does not require alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceivedControl([u8; Self::CAPACITY]);

/// What the messages say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ControlValues {
    /// The length of the datagrams if the kernel has coalesced several.
    pub(crate) run: Option<usize>,
    /// The own address that they were sent to.
    pub(crate) local: Option<IpAddr>,
}

impl ReceivedControl {
    const CAPACITY: usize = space(size_of::<c_int>()) + space(size_of::<in6_pktinfo>());

    pub(crate) const EMPTY: ReceivedControl = ReceivedControl([0; Self::CAPACITY]);

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.len()
    }

    /// Returns what the messages say. `filled` is the length that the kernel wrote.
    ///
    /// Messages of other types are skipped; a message that does not fit into `filled` ends the search.
    pub(crate) fn values(&self, filled: usize) -> ControlValues {
        let mut values = ControlValues::default();
        let mut rest = self.0.get(..filled).unwrap_or(&self.0);
        while let Some((message, others)) = split_first(rest) {
            match (message.level, message.kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = field(message.value, 0).map(c_int::from_ne_bytes);
                    values.run = size.and_then(|size| usize::try_from(size).ok());
                    values.run.take_if(|size| *size == 0);
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let ip = field(message.value, offset_of!(in_pktinfo, ipi_spec_dst));
                    values.local = ip.map(|ip: [u8; 4]| Ipv4Addr::from(ip)).and_then(unicast_v4);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let ip = field(message.value, offset_of!(in6_pktinfo, ipi6_addr));
                    values.local = ip.map(|ip: [u8; 16]| Ipv6Addr::from(ip)).and_then(unicast_v6);
                }
                _ => {}
            }
            rest = others;
        }
        values
    }
}

/// A control message.
struct Message<'a> {
    level: c_int,
    kind: c_int,
    value: &'a [u8],
}

/// Returns the first message and the bytes after it, or `None` if there is no whole one.
fn split_first(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    // A `size_t` for the kernel, although some C libraries declare another type.
    let len = field(bytes, offset_of!(cmsghdr, cmsg_len)).map(usize::from_ne_bytes)?;
    let level = field(bytes, offset_of!(cmsghdr, cmsg_level)).map(c_int::from_ne_bytes)?;
    let kind = field(bytes, offset_of!(cmsghdr, cmsg_type)).map(c_int::from_ne_bytes)?;
    let value = bytes.get(HEADER..len)?;
    // The padding after the last message may be missing.
    let rest = bytes.get(space(value.len())..).unwrap_or_default();
    Some((Message { level, kind, value }, rest))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Returns the address if datagrams can be sent from it.
fn unicast_v4(ip: Ipv4Addr) -> Option<IpAddr> {
    let usable = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast();
    usable.then_some(ip.into())
}

fn unicast_v6(ip: Ipv6Addr) -> Option<IpAddr> {
    (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip.into())
}

/// `CMSG_LEN(0)`: the length of a header is a multiple of its alignment.
const HEADER: usize = size_of::<cmsghdr>();

/// `CMSG_SPACE` of a value with this length.
const fn space(value: usize) -> usize {
    HEADER + value.next_multiple_of(size_of::<usize>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the bytes of messages in the order of the kernel, and their length.
    fn control(messages: &[(c_int, c_int, &[u8])]) -> (ReceivedControl, usize) {
        let mut all = ReceivedControl::EMPTY;
        let mut at = 0;
        for &(level, kind, value) in messages {
            all.0[at..at + 8].copy_from_slice(&(HEADER + value.len()).to_ne_bytes());
            all.0[at + 8..at + 12].copy_from_slice(&level.to_ne_bytes());
            all.0[at + 12..at + 16].copy_from_slice(&kind.to_ne_bytes());
            all.0[at + HEADER..at + HEADER + value.len()].copy_from_slice(value);
            at += space(value.len());
        }
        (all, at)
    }

    fn gro(size: c_int) -> (c_int, c_int, [u8; 4]) {
        (libc::SOL_UDP, libc::UDP_GRO, size.to_ne_bytes())
    }

    /// `in_pktinfo` of interface 3, with this local address; the header has another one.
    fn v4(local: [u8; 4]) -> Vec<u8> {
        [&3_i32.to_ne_bytes()[..], &local, &[9, 9, 9, 9]].concat()
    }

    fn v6(local: Ipv6Addr) -> Vec<u8> {
        [&local.octets()[..], &3_i32.to_ne_bytes()].concat()
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_run_length_and_the_address_are_found_in_any_order() {
        let (level, kind, size) = gro(1400);
        let (local, expected) = (v4([10, 0, 0, 1]), Some(IpAddr::from([10, 0, 0, 1])));
        let (gro, info) = ((level, kind, &size[..]), (libc::IPPROTO_IP, libc::IP_PKTINFO, &*local));
        for messages in [&[gro, info][..], &[info, gro]] {
            let (all, len) = control(messages);
            assert_eq!(all.values(len), ControlValues { run: Some(1400), local: expected });
        }
        let local = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
        let bytes = v6(local);
        let (all, len) = control(&[gro, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &bytes)]);
        assert_eq!(len, ReceivedControl::CAPACITY, "room for all that is requested");
        assert_eq!(all.values(len), ControlValues { run: Some(1400), local: Some(local.into()) });
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn truncated_unknown_and_useless_messages_have_no_value() {
        let nothing = ControlValues::default();
        assert_eq!(ReceivedControl::EMPTY.values(0), nothing);
        assert_eq!(ReceivedControl::EMPTY.values(ReceivedControl::CAPACITY), nothing);
        for size in [0, -1] {
            let (level, kind, size) = gro(size);
            let (all, len) = control(&[(level, kind, &size)]);
            assert_eq!(all.values(len), nothing);
        }
        let (level, kind, size) = gro(7);
        let (all, len) = control(&[(level, kind, &size)]);
        assert_eq!(all.values(len - 5), nothing, "the value is cut");
        assert_eq!(all.values(len - 4).run, Some(7), "only the padding is cut");
        let (all, len) = control(&[(libc::SOL_SOCKET, 99, &[1; 9]), (level, kind, &size)]);
        assert_eq!(all.values(len).run, Some(7), "after an unknown one");
        for local in [[0; 4], [224, 0, 0, 1], [255; 4]] {
            let (all, len) = control(&[(libc::IPPROTO_IP, libc::IP_PKTINFO, &v4(local))]);
            assert_eq!(all.values(len), nothing, "{local:?}");
        }
        for local in [Ipv6Addr::UNSPECIFIED, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)] {
            let (all, len) = control(&[(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &v6(local))]);
            assert_eq!(all.values(len), nothing, "{local}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: [[u8; 32]; 2], filled in 0..200_usize) {
            let mut control = ReceivedControl::EMPTY;
            for (at, byte) in bytes.as_flattened().iter().enumerate() {
                control.0[at] = *byte;
            }
            let values = control.values(filled);
            prop_assert_ne!(values.run, Some(0));
        }
    }
}
