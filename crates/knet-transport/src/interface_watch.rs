//! Notices that interfaces appear, disappear or get another name.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// A socket that becomes readable when an interface changes, in the network namespace of the thread that
/// created it.
///
/// What has changed is not reported: look up the interfaces in question ([`InterfaceName::index`]).
///
/// [`InterfaceName::index`]: crate::InterfaceName::index
///
/// # Examples
///
/// ```
/// let watch = knet_transport::InterfaceWatch::new()?;
/// // Register it with a poller for reading. Without a change there is nothing to read.
/// watch.has_changed()?;
/// assert!(!watch.has_changed()?);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct InterfaceWatch {
    socket: OwnedFd,
}

impl InterfaceWatch {
    /// Creates the socket.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)` and `bind(2)`.
    pub fn new() -> io::Result<InterfaceWatch> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkRoute;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        let links = NetlinkAddr::new(0, libc::RTMGRP_LINK as u32);
        bind(socket.as_raw_fd(), &links)?;
        Ok(InterfaceWatch { socket })
    }

    /// Returns `true` if any interface may have changed since the last call.
    ///
    /// Reads a bounded number of messages: while changes follow one another faster, the socket stays
    /// readable.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, before which changes may have been read. The socket may stay readable, so pause
    /// before the next call.
    pub fn has_changed(&self) -> io::Result<bool> {
        let mut changed = false;
        for _ in 0..MAX_MESSAGES {
            // Of a longer message, the kernel drops the rest.
            match recv(self.socket.as_raw_fd(), &mut [0; 16], MsgFlags::MSG_DONTWAIT) {
                Ok(_) => changed = true,
                // Messages did not fit into the socket.
                Err(Errno::ENOBUFS) => changed = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(changed)
    }
}

impl AsFd for InterfaceWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How many messages one call reads.
const MAX_MESSAGES: usize = 64;
