//! Descriptors for a handle, and their state as seen from outside.

use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimeout, SendTimeout, SndBuf};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::wait::DEADLINE;

/// Makes two connected `AF_UNIX` sockets of type `SOCK_STREAM`.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn stream_pair() -> (UnixStream, UnixStream) {
    pair(SockType::Stream)
}

/// Makes two connected `AF_UNIX` sockets of type `SOCK_DGRAM`.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn datagram_pair() -> (UnixDatagram, UnixDatagram) {
    pair(SockType::Datagram)
}

/// Makes two connected `AF_UNIX` sockets of type `SOCK_SEQPACKET`. The standard library has no type
/// for them; its type for datagrams reads and writes them as well.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn seqpacket_pair() -> (UnixDatagram, UnixDatagram) {
    pair(SockType::SeqPacket)
}

/// Makes a pair of blocking sockets on which no call blocks for longer than the deadline.
fn pair<T: From<OwnedFd>>(kind: SockType) -> (T, T) {
    let (family, flags) = (AddressFamily::Unix, SockFlag::SOCK_CLOEXEC);
    let (one, two) = socketpair(family, kind, None, flags).expect("a socket pair");
    let deadline = TimeVal::seconds(DEADLINE.as_secs().try_into().expect("it is short"));
    for end in [&one, &two] {
        setsockopt(end, ReceiveTimeout, &deadline).expect("a socket");
        setsockopt(end, SendTimeout, &deadline).expect("a socket");
    }
    (one.into(), two.into())
}

/// Makes the two ends of a TCP connection, the accepted one second.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound"))
        .expect("the listener is bound");
    let (accepted, _) = listener.accept().expect("the connection is pending");
    (client, accepted)
}

/// Makes two UDP sockets that are connected to each other.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn udp_pair() -> (UdpSocket, UdpSocket) {
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let (one, two) = (bind(), bind());
    one.connect(two.local_addr().expect("it is bound")).expect("a local address");
    two.connect(one.local_addr().expect("it is bound")).expect("a local address");
    (one, two)
}

/// Makes a pseudo-terminal in raw mode, and its other end: a character device that can be polled,
/// on any machine.
///
/// # Panics
/// If the kernel refuses.
#[must_use]
pub fn raw_pty() -> (OwnedFd, OwnedFd) {
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
    let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
    let mut settings = tcgetattr(&pty.slave).expect("it is a terminal");
    cfmakeraw(&mut settings);
    tcsetattr(&pty.slave, SetArg::TCSANOW, &settings).expect("it is a terminal");
    (pty.slave, pty.master)
}

/// Returns the status flags and the descriptor flags, as `fcntl(2)` reports them.
///
/// # Panics
/// If it is not open.
#[must_use]
pub fn flags(fd: impl AsFd) -> (OFlag, FdFlag) {
    let status = fcntl(&fd, FcntlArg::F_GETFL).expect("it is open");
    let descriptor = fcntl(&fd, FcntlArg::F_GETFD).expect("it is open");
    (OFlag::from_bits_retain(status), FdFlag::from_bits_retain(descriptor))
}

/// Makes a descriptor blocking and inherited across `exec`, the opposite of what a handle needs.
///
/// # Panics
/// If it is not open.
pub fn clear_flags(fd: impl AsFd) {
    let (mut status, _) = flags(&fd);
    status.remove(OFlag::O_NONBLOCK);
    fcntl(&fd, FcntlArg::F_SETFL(status)).expect("it is open");
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::empty())).expect("it is open");
}

/// Enlarges a socket's buffers to hold several messages of the maximum length.
///
/// # Panics
/// If it is not a socket.
pub fn grow_buffers(fd: impl AsFd) {
    setsockopt(&fd, SndBuf, &ROOMY).expect("a socket");
    setsockopt(&fd, RcvBuf, &ROOMY).expect("a socket");
}

const ROOMY: usize = 2 * 1024 * 1024;
