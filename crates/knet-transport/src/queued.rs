//! How much of a socket waits for its device.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

use crate::UdpSocket;

impl UdpSocket {
    /// Returns how many bytes of sent datagrams the kernel has not handed over yet: those in the queues of
    /// network devices, with the kernel's own bookkeeping
    /// ([`SIOCOUTQ`](https://man7.org/linux/man-pages/man7/udp.7.html)). The send buffer limits this number.
    ///
    /// # Errors
    ///
    /// The error of `ioctl(2)`, for which no cause is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// assert_eq!(socket.queued_bytes()?, 0, "nothing was sent");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(unsafe_code)]
    pub fn queued_bytes(&self) -> io::Result<usize> {
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is borrowed, so it is open, and SIOCOUTQ (the number of TIOCOUTQ) writes one
        // `int` to the pointer, which is to a live local of that type.
        let result =
            unsafe { libc::ioctl(self.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
        Errno::result(result)?;
        Ok(usize::try_from(bytes).unwrap_or(0))
    }
}
