//! Datagrams that are marked in another way than their socket, as they are received.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use knet_transport::{Datagram, Dscp, QosMarking, SendBatch, UdpSocket};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{IpRecvTos, Ipv6RecvTClass};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};

use crate::loopback::{bind, both_families};

/// `SO_RCVPRIORITY` of `socket(7)`: has the priority of each datagram told, where it may have its own.
const SO_RCVPRIORITY: libc::c_int = 82;

/// A socket that sees how datagrams are marked.
struct Receiver {
    socket: StdSocket,
    sees_priority: bool,
}

impl Receiver {
    fn new(local: SocketAddr) -> Receiver {
        let socket = StdSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        match local {
            SocketAddr::V4(_) => setsockopt(&socket, IpRecvTos, &true).unwrap(),
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvTClass, &true).unwrap(),
        }
        let sees_priority = see_priority(&socket);
        Receiver { socket, sees_priority }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The first byte of the next datagram, its traffic class, and its priority if that can be seen.
    fn next(&self) -> (u8, u8, Option<u8>) {
        let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32, i32));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let message =
            recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).unwrap();
        let (mut class, mut priority) = (None, None);
        for told in message.cmsgs().unwrap() {
            match told {
                ControlMessageOwned::Ipv4Tos(found) => class = Some(found),
                ControlMessageOwned::Ipv6TClass(found) => class = Some(found.try_into().unwrap()),
                ControlMessageOwned::Unknown(told)
                    if told.cmsg_header.cmsg_type == libc::SO_PRIORITY =>
                {
                    let found = u32::from_ne_bytes(*told.data_bytes.first_chunk().unwrap());
                    priority = Some(found.try_into().unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(priority.is_some(), self.sees_priority);
        (bytes[0], class.expect("asked for"), priority)
    }
}

/// Has the priority of datagrams told. Whether the kernel can: since Linux 6.14, as it takes one for
/// each.
#[allow(unsafe_code)]
fn see_priority(socket: &StdSocket) -> bool {
    let on: libc::c_int = 1;
    let (value, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    let (fd, level) = (socket.as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: `value` is to a live local of `len` bytes, and the descriptor is borrowed.
    let result = unsafe { libc::setsockopt(fd, level, SO_RCVPRIORITY, value, len) };
    match Errno::result(result) {
        Ok(_) => true,
        Err(Errno::ENOPROTOOPT) => false,
        Err(errno) => panic!("{errno}"),
    }
}

fn dscp(number: u8) -> Option<Dscp> {
    Some(Dscp::try_from(number).unwrap())
}

/// Sends datagrams of 100 bytes, each with its number, that are marked like this.
fn send(near: &UdpSocket, destination: SocketAddr, markings: &[Option<QosMarking>]) {
    let bytes: Vec<_> = (0..markings.len()).map(|n| [n as u8; 100]).collect();
    let datagrams: Vec<_> = bytes
        .iter()
        .zip(markings)
        .map(|(bytes, &marking)| {
            let (header, payload) = bytes.split_at(20);
            Datagram { header, payload, destination, marking }
        })
        .collect();
    let progress = near.send(&mut SendBatch::new(64), &datagrams);
    assert_eq!((progress.sent, progress.error), (datagrams.len(), None));
}

#[test]
fn each_datagram_may_be_marked_in_another_way_than_its_socket_and_none_colours_the_next() {
    let marked = |priority, dscp| Some(QosMarking { priority, dscp });
    // With the class and the priority that follow.
    let each = [
        (None, 46 << 2, 0),
        (marked(false, dscp(10)), 10 << 2, 0),
        (marked(true, dscp(10)), 10 << 2, 6),
        (marked(true, None), 0x10, 6),
        (marked(false, None), 0, 0),
        (marked(false, dscp(46)), 46 << 2, 0),
        (None, 46 << 2, 0),
    ];
    for local in both_families() {
        let near = bind(local);
        near.mark(QosMarking { priority: false, dscp: dscp(46) }).unwrap();
        let far = Receiver::new(local);
        // One by one, and in runs.
        for run in [1, 2, 5] {
            let all = || each.iter().flat_map(|one| std::iter::repeat_n(one, run));
            let markings: Vec<_> = all().map(|&(marking, ..)| marking).collect();
            send(&near, far.addr(), &markings);
            for (n, &(marking, class, priority)) in all().enumerate() {
                let priority = far.sees_priority.then_some(priority);
                assert_eq!(far.next(), (n as u8, class, priority), "{marking:?} at {local}");
            }
        }
    }
}

#[test]
fn a_datagram_may_do_without_the_priority_of_its_socket() {
    for local in both_families() {
        let near = bind(local);
        near.mark(QosMarking { priority: true, dscp: None }).unwrap();
        let far = Receiver::new(local);
        send(&near, far.addr(), &[None, Some(QosMarking::default()), None]);
        for (n, (class, priority)) in [(0x10, 6), (0, 0), (0x10, 6)].into_iter().enumerate() {
            assert_eq!(far.next(), (n as u8, class, far.sees_priority.then_some(priority)));
        }
    }
}
