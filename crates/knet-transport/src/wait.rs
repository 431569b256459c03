//! Waiting for a full socket.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{SendError, UdpSocket};

impl UdpSocket {
    /// Waits until the socket takes more datagrams, for at most `timeout`, rounded up to
    /// milliseconds; returns whether it does. An entry in the error queue ends the wait as well, and
    /// counts as if it did: the next send tells.
    ///
    /// For the moment after [`send`](UdpSocket::send) said
    /// [`WouldBlock`](crate::SendErrorKind::WouldBlock). `ENOBUFS` comes from below the socket: then
    /// this returns at once, and it is for the caller not to try for ever. A signal ends the wait
    /// early, as if the time were over.
    ///
    /// # Errors
    ///
    /// [`SendError`] with what `poll(2)` says, which is out of memory at worst.
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
