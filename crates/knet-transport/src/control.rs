//! Control messages (`cmsg(3)`) that accompany single datagrams and runs.

use std::io::IoSlice;
use std::mem::offset_of;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;

use libc::{c_int, cmsghdr};
use nix::errno::Errno;
use socket2::{Domain, MsgHdr, Socket, Type};

use crate::setup::{IntOption, marks};
use crate::{Datagram, QosMarking};

/// A control message in the kernel's layout, as plain bytes. The kernel copies them and does not require
/// alignment.
#[derive(Clone, Copy, Debug)]
struct ControlMessage([u8; Self::SPACE]);

impl ControlMessage {
    /// `CMSG_LEN(0)`: the length of a header is a multiple of its alignment.
    const HEADER: usize = size_of::<cmsghdr>();
    /// `CMSG_SPACE` of any value up to the length of a machine word.
    const SPACE: usize = Self::HEADER + size_of::<usize>();
    const EMPTY: ControlMessage = ControlMessage([0; Self::SPACE]);

    fn new<const N: usize>(level: c_int, kind: c_int, value: [u8; N]) -> ControlMessage {
        const { assert!(N <= size_of::<usize>(), "longer than a machine word") }
        let mut message = Self::EMPTY;
        // A `size_t` for the kernel, although some C libraries declare another type.
        message.put(0, (Self::HEADER + N).to_ne_bytes());
        message.put(offset_of!(cmsghdr, cmsg_level), level.to_ne_bytes());
        message.put(offset_of!(cmsghdr, cmsg_type), kind.to_ne_bytes());
        message.put(Self::HEADER, value);
        message
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        if let Some(place) = self.0.get_mut(at..at + N) {
            place.copy_from_slice(&bytes);
        }
    }
}

impl From<IntOption> for ControlMessage {
    /// Applies an option to one datagram instead of to all of a socket.
    fn from(option: IntOption) -> ControlMessage {
        ControlMessage::new(option.level, option.number, option.value.to_ne_bytes())
    }
}

/// The control messages of one datagram or run, contiguous in memory.
#[derive(Debug)]
pub(crate) struct ControlMessages {
    messages: [ControlMessage; 3],
    count: usize,
}

impl ControlMessages {
    /// Returns the messages for a run of `run` datagrams that starts with `first`, or `None` if it needs
    /// none. `supports_priority` is called only if the run has a marking.
    #[inline]
    pub(crate) fn of_run(
        first: &Datagram<'_>,
        run: usize,
        supports_priority: impl FnOnce() -> bool,
    ) -> Option<ControlMessages> {
        if run < 2 && first.marking.is_none() {
            return None;
        }
        let mut all = ControlMessages { messages: [ControlMessage::EMPTY; 3], count: 0 };
        if run > 1 {
            // The datagrams of a run are shorter than 2^16 bytes, because the run is.
            let size = first.len() as u16;
            all.add(ControlMessage::new(libc::SOL_UDP, libc::UDP_SEGMENT, size.to_ne_bytes()));
        }
        if let Some(marking) = first.marking {
            let [class, priority] = marks(first.destination, marking);
            all.add(class.into());
            // After the class, because IP_TOS also sets the priority.
            if supports_priority() {
                all.add(priority.into());
            }
        }
        Some(all)
    }

    fn add(&mut self, message: ControlMessage) {
        // A run has at most three messages.
        if let Some(room) = self.messages.get_mut(self.count) {
            *room = message;
            self.count += 1;
        }
    }

    /// Returns a pointer to the first message.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.messages.as_mut_ptr().cast()
    }

    /// Returns the length of all messages in bytes.
    pub(crate) fn len(&self) -> usize {
        self.count * size_of::<ControlMessage>()
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
    let (address, ControlMessage(control)) = (NOWHERE.into(), option.into());
    let nothing = [IoSlice::new(&[])];
    let message = MsgHdr::new().with_addr(&address).with_buffers(&nothing).with_control(&control);
    let answer = socket.sendmsg(&message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    !answer.is_err_and(|error| error.raw_os_error() == Some(Errno::EINVAL as i32))
}

/// The broadcast address of the local network, port `discard`.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::BROADCAST), 9);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dscp;

    fn datagram(marking: Option<QosMarking>) -> Datagram<'static> {
        let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Datagram { header: b"123", payload: b"4567", destination, marking }
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
        let all = ControlMessages::of_run(first, run, || supports_priority);
        let Some(all) = all else { return Vec::new() };
        assert_eq!(all.len(), all.count * size_of::<ControlMessage>());
        let messages = all.messages.iter().take(all.count);
        messages
            .map(|ControlMessage(bytes)| {
                let int = |at: usize| c_int::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
                let len = usize::from_ne_bytes(*bytes.first_chunk().unwrap());
                let (level, kind) =
                    (offset_of!(cmsghdr, cmsg_level), offset_of!(cmsghdr, cmsg_type));
                (int(level), int(kind), bytes[ControlMessage::HEADER..len].to_vec())
            })
            .collect()
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
    fn kernel_support_is_not_queried_for_unmarked_datagrams() {
        let queried = || panic!("queried without a marking");
        assert!(ControlMessages::of_run(&datagram(None), 1, queried).is_none());
        assert!(ControlMessages::of_run(&datagram(None), 2, queried).is_some());
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn control_messages_have_the_layout_of_cmsg() {
        // CMSG_SPACE of cmsg(3) for 1 to 8 bytes, on a 64-bit machine.
        assert_eq!((ControlMessage::HEADER, size_of::<ControlMessage>()), (16, 24));
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
