//! The family, type and state of sockets.

use std::{
    mem::size_of_val,
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{SockaddrStorage, getpeername, getsockname},
};

use crate::OsError;

/// The address family of a socket
/// ([address_families(7)](https://man7.org/linux/man-pages/man7/address_families.7.html)).
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, SocketDomain};
///
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// assert!(matches!(FdKind::of(&socket)?, FdKind::Socket { domain: SocketDomain::Unix, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketDomain {
    /// Local sockets (`AF_UNIX`).
    Unix,
    /// IPv4 (`AF_INET`).
    Inet,
    /// IPv6 (`AF_INET6`).
    Inet6,
    /// Another one, with its number.
    Other(i32),
}

impl SocketDomain {
    pub(crate) fn of(socket: BorrowedFd<'_>) -> Result<SocketDomain, OsError> {
        Ok(match option(socket, libc::SO_DOMAIN)? {
            libc::AF_UNIX => SocketDomain::Unix,
            libc::AF_INET => SocketDomain::Inet,
            libc::AF_INET6 => SocketDomain::Inet6,
            other => SocketDomain::Other(other),
        })
    }
}

/// The communication type of a socket ([socket(2)](https://man7.org/linux/man-pages/man2/socket.2.html)).
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, SocketType};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// assert!(matches!(FdKind::of(&listener)?, FdKind::Socket { kind: SocketType::Stream, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketType {
    /// A stream of bytes without boundaries, with an end of file.
    Stream,
    /// Messages without a connection, and therefore without an end of file.
    Datagram,
    /// Messages in order over a connection, with an end of file.
    SeqPacket,
    /// Raw packets.
    Raw,
    /// Another one, with its number.
    Other(i32),
}

impl SocketType {
    pub(crate) fn of(socket: BorrowedFd<'_>) -> Result<SocketType, OsError> {
        Ok(match option(socket, libc::SO_TYPE)? {
            libc::SOCK_STREAM => SocketType::Stream,
            libc::SOCK_DGRAM => SocketType::Datagram,
            libc::SOCK_SEQPACKET => SocketType::SeqPacket,
            libc::SOCK_RAW => SocketType::Raw,
            other => SocketType::Other(other),
        })
    }
}

/// The state of a socket.
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, SocketState};
///
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let kind = FdKind::of(&listener)?;
/// assert!(matches!(kind, FdKind::Socket { state: SocketState::Listening, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SocketState {
    /// Listens for connections.
    Listening,
    /// Has a peer, like the ends of a pair and a connected datagram socket.
    Connected,
    /// Has a local address but no peer.
    Bound,
    /// Has neither a local address nor a peer.
    Unbound,
    /// Does not listen. Its addresses are neither local nor IP, so nothing else is known.
    Unknown,
}

impl SocketState {
    pub(crate) fn of(socket: BorrowedFd<'_>, domain: SocketDomain) -> Result<SocketState, OsError> {
        if option(socket, libc::SO_ACCEPTCONN)? != 0 {
            return Ok(SocketState::Listening);
        }
        if matches!(domain, SocketDomain::Other(_)) {
            return Ok(SocketState::Unknown);
        }
        match getpeername::<SockaddrStorage>(socket.as_raw_fd()) {
            Ok(_) => return Ok(SocketState::Connected),
            Err(Errno::ENOTCONN) => {}
            Err(errno) => return Err(OsError::new(errno)),
        }
        let own: SockaddrStorage = getsockname(socket.as_raw_fd()).map_err(OsError::new)?;
        Ok(if is_a_name(&own) { SocketState::Bound } else { SocketState::Unbound })
    }
}

/// Returns `true` if a local address is more than the blank one of a new socket.
fn is_a_name(address: &SockaddrStorage) -> bool {
    if let Some(unix) = address.as_unix_addr() {
        !unix.is_unnamed()
    } else if let Some(v4) = address.as_sockaddr_in() {
        // A raw socket has no port.
        v4.port() != 0 || !v4.ip().is_unspecified()
    } else if let Some(v6) = address.as_sockaddr_in6() {
        v6.port() != 0 || !v6.ip().is_unspecified()
    } else {
        false
    }
}

/// Reads a socket option of type `int`.
#[allow(unsafe_code)]
fn option(socket: BorrowedFd<'_>, name: libc::c_int) -> Result<i32, OsError> {
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed for the whole call, both pointers are to live locals, and
    // `len` is the size of `value`, so the kernel writes no more.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    Errno::result(result).map(|_| value).map_err(OsError::new)
}
