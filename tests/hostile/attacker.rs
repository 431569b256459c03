//! An attacker with a socket and the specification.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use knet_tests::wait::DEADLINE;

/// Sends arbitrary packets to one address, from an address of its own.
pub(crate) struct Attacker {
    socket: UdpSocket,
}

impl Attacker {
    /// Binds a port of this address of the loopback interface.
    pub(crate) fn on(ip: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        assert_eq!(self.socket.send_to(datagram, to).unwrap(), datagram.len());
    }

    /// Receives the next datagram that came back.
    pub(crate) fn receive(&self) -> Vec<u8> {
        let mut datagram = vec![0; 65_535];
        let (length, _) = self.socket.recv_from(&mut datagram).unwrap();
        datagram.truncate(length);
        datagram
    }

    /// Returns `true` if nothing has come back so far.
    pub(crate) fn got_no_answer(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let came = self.socket.recv_from(&mut [0; 100]);
        self.socket.set_nonblocking(false).unwrap();
        came.is_err()
    }

    /// Answers the next ping as the host with this id would.
    pub(crate) fn answer_a_ping(&self, node: u16, victim: SocketAddr) {
        loop {
            let mut pong = self.receive();
            if pong[1] == PING {
                pong[1] = PONG;
                pong[2..4].copy_from_slice(&node.to_be_bytes());
                return self.send(victim, &pong);
            }
        }
    }
}

/// Builds a header: version, type, host, two reserved bytes.
pub(crate) fn header(kind: u8, node: u16) -> Vec<u8> {
    let [high, low] = node.to_be_bytes();
    vec![1, kind, high, low, 0, 0]
}

/// Builds a ping or a pong on a link, with a cookie of 16 times this byte.
pub(crate) fn ping(kind: u8, node: u16, link: u8, cookie: u8) -> Vec<u8> {
    [&header(kind, node)[..], &[link], &[cookie; 16], &[0, 0, 1]].concat()
}

/// Builds a path MTU probe or a reply to one, of 1500 bytes.
pub(crate) fn pmtu(kind: u8, node: u16, link: u8) -> Vec<u8> {
    [&header(kind, node)[..], &[link, 0xdc, 0x05]].concat()
}

/// Builds a data packet on channel 0.
pub(crate) fn data(node: u16, sequence: u16, count: u8, index: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    let fields = [high, low, 0, 0, 1, count, index, 0];
    [&header(DATA, node)[..], &fields, payload].concat()
}

pub(crate) const DATA: u8 = 0;
pub(crate) const PING: u8 = 0x81;
pub(crate) const PONG: u8 = 0x82;
pub(crate) const PROBE: u8 = 0x83;
pub(crate) const REPLY: u8 = 0x84;
