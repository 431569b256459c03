//! Datagrams with a marking of their own, as they are received.

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use knet_transport::{Datagram, Dscp, QosMarking, SendBatch, UdpSocket};
use nix::sys::socket::sockopt::{IpRecvTos, Ipv6RecvTClass};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};

use crate::loopback::{bind, both_families, request};

/// `SO_RCVPRIORITY`: reports the priority of each datagram, if the kernel supports one per datagram.
const SO_RCVPRIORITY: libc::c_int = 82;

/// A socket that receives datagrams with their marking.
struct Receiver {
    socket: StdSocket,
    reports_priority: bool,
}

impl Receiver {
    fn new(local: SocketAddr) -> Receiver {
        let socket = StdSocket::bind(local).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        match local {
            SocketAddr::V4(_) => setsockopt(&socket, IpRecvTos, &true).unwrap(),
            SocketAddr::V6(_) => setsockopt(&socket, Ipv6RecvTClass, &true).unwrap(),
        }
        let reports_priority = request(&socket, SO_RCVPRIORITY);
        Receiver { socket, reports_priority }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Returns the first byte of the next datagram, its traffic class, and its priority if it is reported.
    fn next(&self) -> (u8, u8, Option<u8>) {
        let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32, i32));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let message =
            recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).unwrap();
        let (mut class, mut priority) = (None, None);
        for control in message.cmsgs().unwrap() {
            match control {
                ControlMessageOwned::Ipv4Tos(found) => class = Some(found),
                ControlMessageOwned::Ipv6TClass(found) => class = Some(found.try_into().unwrap()),
                ControlMessageOwned::Unknown(unknown)
                    if unknown.cmsg_header.cmsg_type == libc::SO_PRIORITY =>
                {
                    let found = u32::from_ne_bytes(*unknown.data_bytes.first_chunk().unwrap());
                    priority = Some(found.try_into().unwrap());
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(priority.is_some(), self.reports_priority);
        (bytes[0], class.expect("the traffic class is requested"), priority)
    }
}

fn dscp(number: u8) -> Option<Dscp> {
    Some(Dscp::try_from(number).unwrap())
}

/// Sends datagrams of 100 bytes, each with its number, with these markings.
fn send(near: &UdpSocket, destination: SocketAddr, markings: &[Option<QosMarking>]) {
    let bytes: Vec<_> = (0..markings.len()).map(|n| [n as u8; 100]).collect();
    let datagrams: Vec<_> = bytes
        .iter()
        .zip(markings)
        .map(|(bytes, &marking)| {
            let (header, payload) = bytes.split_at(20);
            Datagram { header, payload, destination, source: None, marking }
        })
        .collect();
    let progress = near.send(&mut SendBatch::new(64), &datagrams);
    assert_eq!((progress.sent, progress.error), (datagrams.len(), None));
}

#[test]
fn a_marking_of_a_datagram_overrides_that_of_the_socket_and_affects_no_other() {
    let marked = |priority, dscp| Some(QosMarking { priority, dscp });
    // Each with the resulting class and priority.
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
        // Single datagrams, and runs.
        for run in [1, 2, 5] {
            let all = || each.iter().flat_map(|one| std::iter::repeat_n(one, run));
            let markings: Vec<_> = all().map(|&(marking, ..)| marking).collect();
            send(&near, far.addr(), &markings);
            for (n, &(marking, class, priority)) in all().enumerate() {
                let priority = far.reports_priority.then_some(priority);
                assert_eq!(far.next(), (n as u8, class, priority), "{marking:?} at {local}");
            }
        }
    }
}

#[test]
fn a_datagram_can_be_without_the_priority_of_its_socket() {
    for local in both_families() {
        let near = bind(local);
        near.mark(QosMarking { priority: true, dscp: None }).unwrap();
        let far = Receiver::new(local);
        send(&near, far.addr(), &[None, Some(QosMarking::default()), None]);
        for (n, (class, priority)) in [(0x10, 6), (0, 0), (0x10, 6)].into_iter().enumerate() {
            assert_eq!(far.next(), (n as u8, class, far.reports_priority.then_some(priority)));
        }
    }
}
