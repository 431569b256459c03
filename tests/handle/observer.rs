//! The other end of a link, played by a test that reads the markings of packets.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

use knet_tests::wait::DEADLINE;
use nix::sys::socket::sockopt::{IpRecvTos, Ipv6RecvTClass};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recv, recvmsg, setsockopt};

/// The remote end of links, which answers each ping as host 2.
pub(crate) struct Observer(UdpSocket);

/// A received packet.
pub(crate) struct Packet {
    bytes: Vec<u8>,
    from: SocketAddr,
    pub(crate) class: u8,
}

impl Observer {
    pub(crate) fn new(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        match ip {
            IpAddr::V4(_) => setsockopt(&socket, IpRecvTos, &true).unwrap(),
            IpAddr::V6(_) => setsockopt(&socket, Ipv6RecvTClass, &true).unwrap(),
        }
        Self(socket)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Receives the next packet.
    pub(crate) fn next(&self) -> Packet {
        let packet = self.receive();
        if packet.kind() == PING {
            let mut pong = packet.bytes.clone();
            pong[1] = PONG;
            pong[2..4].copy_from_slice(&[0, 2]);
            self.0.send_to(&pong, packet.from).unwrap();
        }
        packet
    }

    fn receive(&self) -> Packet {
        let (mut bytes, mut control) = (vec![0; 65_535], nix::cmsg_space!(i32));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let (fd, flags) = (self.0.as_raw_fd(), MsgFlags::empty());
        let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags)
            .expect("a packet comes");
        let class = match message.cmsgs().unwrap().next() {
            Some(ControlMessageOwned::Ipv4Tos(class)) => class,
            Some(ControlMessageOwned::Ipv6TClass(class)) => class.try_into().unwrap(),
            other => panic!("{other:?}"),
        };
        let from = message.address.unwrap();
        let v4 = from.as_sockaddr_in().map(|from| SocketAddr::V4((*from).into()));
        let v6 = from.as_sockaddr_in6().map(|from| SocketAddr::V6((*from).into()));
        let (from, length) = (v4.or(v6).unwrap(), message.bytes);
        bytes.truncate(length);
        Packet { bytes, from, class }
    }

    /// Discards what has arrived, to make room.
    pub(crate) fn drain(&self) {
        while recv(self.0.as_raw_fd(), &mut [0; 100], MsgFlags::MSG_DONTWAIT).is_ok() {}
    }

    /// Waits for a packet of this kind and class, and asserts that the next of its kind has the
    /// same class. Sends pings and probes on this link to cause answers.
    pub(crate) fn expect(&self, kind: u8, class: u8, link: u8) {
        let give_up = Instant::now() + DEADLINE;
        let mut before = None;
        loop {
            assert!(Instant::now() < give_up, "{before:#x?} instead of {class:#x} in {kind:#x}");
            let packet = self.next();
            if packet.kind() == kind {
                let found = before.replace(packet.class);
                if found == Some(class) {
                    return assert_eq!(packet.class, class, "it stays so");
                }
            }
            if packet.kind() == PING {
                let header = |kind| [1, kind, 0, 2, 0, 0, link];
                let ask = |bytes: &[u8]| self.0.send_to(bytes, packet.from).unwrap();
                ask(&[&header(PING)[..], &[0; 16], &[0, 0, 1]].concat());
                ask(&[&header(PROBE)[..], &[0; 100]].concat());
            }
        }
    }

    /// Returns the classes of the packets of a message, in the order of their arrival.
    pub(crate) fn classes_of_data(&self, packets: usize) -> Vec<u8> {
        let give_up = Instant::now() + DEADLINE;
        let mut classes = Vec::new();
        while classes.len() < packets {
            assert!(Instant::now() < give_up, "{classes:x?}");
            let packet = self.next();
            if packet.kind() == DATA {
                classes.push(packet.class);
            }
        }
        classes
    }
}

impl Packet {
    fn kind(&self) -> u8 {
        self.bytes[1]
    }
}

// The second byte of a packet is its type.
const DATA: u8 = 0;
pub(crate) const PING: u8 = 0x81;
pub(crate) const PONG: u8 = 0x82;
pub(crate) const PROBE: u8 = 0x83;
pub(crate) const REPLY: u8 = 0x84;
