//! Waiting until a socket is writable.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{SendError, UdpSocket};

impl UdpSocket {
    /// Waits until the socket accepts datagrams, for at most `timeout`, rounded up to milliseconds.
    /// Returns `true` if it does, and `false` if the timeout expired or a signal ended the wait.
    ///
    /// Use it after [`send`](UdpSocket::send) returned
    /// [`WouldBlock`](crate::SendErrorKind::WouldBlock). After `ENOBUFS`, which comes from a device below
    /// the socket, it returns `true` immediately, so limit the number of retries. An entry in the error
    /// queue also makes it return `true`; the next send reports the error.
    ///
    /// # Errors
    ///
    /// [`SendError`] if `poll(2)` fails, for which the only known cause is a lack of memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use std::time::Duration;
    ///
    /// use knet_transport::{SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// assert!(socket.wait_writable(Duration::from_millis(200))?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_writable(&self, timeout: Duration) -> Result<bool, SendError> {
        let millis = timeout.as_nanos().div_ceil(1_000_000);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLOUT)], timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(errno) => Err(SendError::new(errno)),
        }
    }
}
