//! Control messages (`cmsg(3)`) that accompany single datagrams and runs.

use std::io::IoSlice;
use std::mem::offset_of;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use libc::{c_int, cmsghdr, in_pktinfo, in6_pktinfo};
use nix::errno::Errno;
use socket2::{Domain, MsgHdr, Socket, Type};

use crate::setup::{IntOption, marks};
use crate::{Datagram, QosMarking};

/// The control messages of one datagram or run in the kernel's layout, as plain bytes. The kernel copies them
/// and does not require alignment.
#[derive(Debug)]
pub(crate) struct ControlMessages {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

/// `CMSG_LEN(0)`: the length of a header is a multiple of its alignment.
const HEADER: usize = size_of::<cmsghdr>();

/// `CMSG_SPACE` of a value with this length.
const fn space(value: usize) -> usize {
    HEADER + value.next_multiple_of(size_of::<usize>())
}

impl ControlMessages {
    /// Room for the length of the datagrams, the address, the traffic class and the priority.
    const CAPACITY: usize =
        space(size_of::<u16>()) + space(size_of::<in6_pktinfo>()) + 2 * space(size_of::<c_int>());
    const EMPTY: ControlMessages = ControlMessages { bytes: [0; Self::CAPACITY], len: 0 };

    /// Returns the messages for a run of `run` datagrams that starts with `first` and leaves from `source`,
    /// or `None` if it needs none. `supports_priority` is called only if the run has a marking.
    #[inline]
    pub(crate) fn of_run(
        first: &Datagram<'_>,
        run: usize,
        source: Option<IpAddr>,
        supports_priority: impl FnOnce() -> bool,
    ) -> Option<ControlMessages> {
        if run < 2 && first.marking.is_none() && source.is_none() {
            return None;
        }
        let mut all = Self::EMPTY;
        if run > 1 {
            // The datagrams of a run are shorter than 2^16 bytes, because the run is.
            let size = first.len() as u16;
            all.add(libc::SOL_UDP, libc::UDP_SEGMENT, size.to_ne_bytes());
        }
        if let Some(source) = source {
            all.add_source(source);
        }
        if let Some(marking) = first.marking {
            let [class, priority] = marks(first.destination, marking);
            all.add_option(class);
            // After the class, because IP_TOS also sets the priority.
            if supports_priority() {
                all.add_option(priority);
            }
        }
        Some(all)
    }

    /// Adds the own address that the datagrams leave from. The kernel chooses the interface: by the scope of
    /// the destination, or by its routes.
    fn add_source(&mut self, source: IpAddr) {
        match source {
            IpAddr::V4(v4) => {
                let mut info = [0; size_of::<in_pktinfo>()];
                put(&mut info, offset_of!(in_pktinfo, ipi_spec_dst), v4.octets());
                self.add(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(v6) => {
                let mut info = [0; size_of::<in6_pktinfo>()];
                put(&mut info, offset_of!(in6_pktinfo, ipi6_addr), v6.octets());
                self.add(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }

    /// Applies an option to one datagram or run instead of to all of a socket.
    fn add_option(&mut self, option: IntOption) {
        self.add(option.level, option.number, option.value.to_ne_bytes());
    }

    fn add<const N: usize>(&mut self, level: c_int, kind: c_int, value: [u8; N]) {
        // A run has at most one message of each type, for which there is room.
        let Some(place) = self.bytes.get_mut(self.len..self.len + space(N)) else { return };
        // A `size_t` for the kernel, although some C libraries declare another type.
        put(place, offset_of!(cmsghdr, cmsg_len), (HEADER + N).to_ne_bytes());
        put(place, offset_of!(cmsghdr, cmsg_level), level.to_ne_bytes());
        put(place, offset_of!(cmsghdr, cmsg_type), kind.to_ne_bytes());
        put(place, HEADER, value);
        self.len += space(N);
    }

    /// Returns the bytes of all messages.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

/// Returns `true` if the kernel accepts a priority per datagram, as Linux 6.14 and later do.
///
/// With earlier kernels, [`QosMarking::priority`] has no effect in a [`Datagram::marking`]: over IPv4 the
/// priority follows from the traffic class, over IPv6 it is that of the socket.
///
/// The result is the same for every socket. The first call costs three system calls.
///
/// # Examples
///
/// ```
/// let supported = knet_transport::supports_datagram_priority();
/// assert_eq!(knet_transport::supports_datagram_priority(), supported);
/// ```
#[must_use]
pub fn supports_datagram_priority() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let [_, priority] = marks(NOWHERE, QosMarking::default());
        is_accepted(priority)
    })
}

/// Returns `true` if the kernel accepts an option as a control message.
///
/// Sends a datagram that never leaves: its socket may not broadcast, which the kernel checks only after
/// it has parsed the control message.
fn is_accepted(option: IntOption) -> bool {
    let Ok(socket) = Socket::new(Domain::IPV4, Type::DGRAM.cloexec(), None) else { return false };
    let (address, mut control) = (NOWHERE.into(), ControlMessages::EMPTY);
    control.add_option(option);
    let nothing = [IoSlice::new(&[])];
    let message = MsgHdr::new().with_addr(&address).with_buffers(&nothing);
    let message = message.with_control(control.as_mut_slice());
    let answer = socket.sendmsg(&message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    !answer.is_err_and(|error| error.raw_os_error() == Some(Errno::EINVAL as i32))
}

/// The broadcast address of the local network, port `discard`.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::BROADCAST), 9);

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;
    use crate::Dscp;

    fn datagram(marking: Option<QosMarking>) -> Datagram<'static> {
        let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Datagram { header: b"123", payload: b"4567", destination, source: None, marking }
    }

    fn marking() -> QosMarking {
        QosMarking { priority: true, dscp: Some(Dscp::try_from(46).unwrap()) }
    }

    /// Returns the level, type and value of the messages of a run.
    fn messages(
        first: &Datagram<'_>,
        run: usize,
        supports_priority: bool,
    ) -> Vec<(c_int, c_int, Vec<u8>)> {
        let all = ControlMessages::of_run(first, run, first.source, || supports_priority);
        let Some(mut all) = all else { return Vec::new() };
        let mut rest = &*all.as_mut_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let int = |at: usize| c_int::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
            let len = usize::from_ne_bytes(*rest.first_chunk().unwrap());
            let (level, kind) = (offset_of!(cmsghdr, cmsg_level), offset_of!(cmsghdr, cmsg_type));
            messages.push((int(level), int(kind), rest[HEADER..len].to_vec()));
            rest = &rest[space(len - HEADER)..];
        }
        messages
    }

    #[test]
    fn the_messages_of_a_datagram_match_the_options_of_a_socket() {
        let segment = (libc::SOL_UDP, libc::UDP_SEGMENT, 7_u16.to_ne_bytes().to_vec());
        let class = (libc::IPPROTO_IP, libc::IP_TOS, (46_i32 << 2).to_ne_bytes().to_vec());
        let priority = (libc::SOL_SOCKET, libc::SO_PRIORITY, 6_i32.to_ne_bytes().to_vec());
        let (plain, marked) = (datagram(None), datagram(Some(marking())));
        assert_eq!(messages(&plain, 1, true), []);
        assert_eq!(messages(&plain, 2, true), std::slice::from_ref(&segment));
        assert_eq!(messages(&marked, 1, true), [class.clone(), priority.clone()]);
        assert_eq!(messages(&marked, 2, true), [segment.clone(), class.clone(), priority]);
        assert_eq!(messages(&marked, 2, false), [segment, class], "before Linux 6.14");
    }

    #[test]
    fn an_address_to_send_from_is_a_message() {
        let plain = datagram(None);
        // The interface and the address in the header are left to the kernel.
        let v4 = [[0; 4], [10, 0, 0, 1], [0; 4]].concat();
        let source = Some([10, 0, 0, 1].into());
        let found = messages(&Datagram { source, ..plain }, 1, true);
        assert_eq!(found, [(libc::IPPROTO_IP, libc::IP_PKTINFO, v4)]);
        let ip = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
        let v6 = [&ip.octets()[..], &[0; 4]].concat();
        let source = Some(ip.into());
        let found = messages(&Datagram { source, ..plain }, 1, true);
        assert_eq!(found, [(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, v6)]);
        let all = messages(&Datagram { source, ..datagram(Some(marking())) }, 2, true);
        assert_eq!(all.len(), 4, "there is room for one of each type");
    }

    #[test]
    fn kernel_support_is_not_queried_for_unmarked_datagrams() {
        let queried = || panic!("queried without a marking");
        assert!(ControlMessages::of_run(&datagram(None), 1, None, queried).is_none());
        assert!(ControlMessages::of_run(&datagram(None), 2, None, queried).is_some());
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn control_messages_have_the_layout_of_cmsg() {
        // CMSG_SPACE of cmsg(3), on a 64-bit machine.
        assert_eq!((HEADER, space(1), space(8), space(20)), (16, 24, 24, 40));
    }

    #[test]
    fn unknown_control_messages_are_detected() {
        let [class, priority] = marks(NOWHERE, marking());
        assert!(is_accepted(class), "every Linux accepts IP_TOS");
        let mut unknown = priority;
        unknown.number = 0x7fff;
        assert!(!is_accepted(unknown));
        assert_eq!(supports_datagram_priority(), is_accepted(priority));
    }
}
