//! Which errors of reading a datafd pass, and which are final.

use std::os::fd::AsFd;

use knet_fd::{FdKind, SocketDomain, SocketType};

use crate::errno::{EBADF, EFAULT, EINVAL, ENOBUFS, ENOMEM, ENOTCONN, ENOTSOCK};

/// Returns `true` if a datafd may carry messages again after an error of reading it.
///
/// A datagram or packet socket of a network returns the errors of the network one by one, and works on. An error
/// of a connection is its end, and so is one of a device. A local datagram socket returns one when its peer is
/// closed.
pub(crate) fn is_passing(datafd: impl AsFd, errno: i32) -> bool {
    match errno {
        ENOMEM | ENOBUFS => true,
        EBADF | EFAULT | EINVAL | ENOTCONN | ENOTSOCK => false,
        _ => has_no_connection(datafd),
    }
}

/// Returns `true` for a datagram or packet socket of a network.
pub(crate) fn has_no_connection(datafd: impl AsFd) -> bool {
    match FdKind::of(datafd) {
        Ok(FdKind::Socket { domain, kind, .. }) => {
            domain != SocketDomain::Unix && matches!(kind, SocketType::Datagram | SocketType::Raw)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const ECONNREFUSED: i32 = 111;

    #[test]
    fn only_sockets_without_a_connection_work_on() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (unix, _peer) = UnixDatagram::pair().unwrap();
        let device = std::fs::File::open("/dev/null").unwrap();
        assert!(is_passing(&udp, ECONNREFUSED));
        assert!(!is_passing(&tcp, ECONNREFUSED));
        assert!(!is_passing(&unix, ECONNREFUSED));
        assert!(!is_passing(&device, ECONNREFUSED));
    }

    #[test]
    fn a_want_of_memory_passes_and_a_wrong_descriptor_does_not() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let device = std::fs::File::open("/dev/null").unwrap();
        assert!(is_passing(&device, ENOMEM));
        assert!(!is_passing(&udp, EBADF));
    }
}
