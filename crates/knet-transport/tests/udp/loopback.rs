//! Sockets on loopback, and waiting for them with a deadline.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use knet_transport::{Datagram, ReceiveBatch, SendBatch, SendProgress, SocketOptions, UdpSocket};
use nix::errno::Errno;
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
    let progress = send(
        socket,
        &[Datagram { header: b"", payload, destination, source: None, marking: None }],
    );
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

/// Requests what this option of `socket(7)` reports with each datagram. Returns `true` if the kernel knows the
/// option.
#[allow(unsafe_code)]
pub(crate) fn request(socket: &impl AsFd, option: libc::c_int) -> bool {
    let on: libc::c_int = 1;
    let (value, len) = ((&raw const on).cast(), size_of_val(&on) as libc::socklen_t);
    let (fd, level) = (socket.as_fd().as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: `value` points to a live local of `len` bytes, and the descriptor is borrowed.
    let result = unsafe { libc::setsockopt(fd, level, option, value, len) };
    match Errno::result(result) {
        Ok(_) => true,
        Err(Errno::ENOPROTOOPT) => false,
        Err(errno) => panic!("{errno}"),
    }
}
