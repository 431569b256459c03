//! Sockets on loopback, and waiting for them with a deadline.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use knet_transport::{Datagram, ReceiveBatch, SendBatch, SendProgress, SocketOptions, UdpSocket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Returns an address on loopback of each family, with any port.
pub(crate) fn both_families() -> [SocketAddr; 2] {
    [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()]
}

pub(crate) fn bind(local: SocketAddr) -> UdpSocket {
    UdpSocket::bind(local, &SocketOptions::default()).unwrap()
}

pub(crate) fn send(socket: &UdpSocket, datagrams: &[Datagram<'_>]) -> SendProgress {
    socket.send(&mut SendBatch::new(64), datagrams)
}

/// Sends one datagram, which the kernel must accept.
pub(crate) fn send_one(socket: &UdpSocket, payload: &[u8], destination: SocketAddr) {
    let progress = send(socket, &[Datagram { header: b"", payload, destination, marking: None }]);
    assert_eq!((progress.sent, progress.error), (1, None));
}

/// Waits for one of `flags` and returns all flags of the socket.
pub(crate) fn wait_for(socket: &UdpSocket, flags: PollFlags) -> PollFlags {
    let mut fds = [PollFd::new(socket.as_fd(), flags)];
    assert_eq!(poll(&mut fds, PollTimeout::from(10_000_u16)), Ok(1), "nothing happened");
    fds[0].revents().unwrap()
}

/// Returns the flags of the socket now.
pub(crate) fn polls_as(socket: &UdpSocket) -> PollFlags {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap();
    fds[0].revents().unwrap()
}

/// Waits for datagrams and receives those available.
pub(crate) fn receive(socket: &UdpSocket, batch: &mut ReceiveBatch) -> usize {
    wait_for(socket, PollFlags::POLLIN);
    let count = socket.receive(batch).unwrap();
    assert_eq!(count, batch.len());
    count
}
