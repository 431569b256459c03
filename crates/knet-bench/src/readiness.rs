//! Waits for descriptors, with a timeout.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::BenchError;

/// How long a run may make no progress before it fails. Long, because only a lost message should cause
/// this, and not a busy machine.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until `fd` is readable or at its end. Returns `false` after `timeout`.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool, BenchError> {
    ready(fd, PollFlags::POLLIN, timeout)
}

/// Waits until `fd` is writable or has an error. Returns `false` after [`STALL_TIMEOUT`].
pub(crate) fn writable(fd: BorrowedFd<'_>) -> Result<bool, BenchError> {
    ready(fd, PollFlags::POLLOUT, STALL_TIMEOUT)
}

fn ready(fd: BorrowedFd<'_>, flags: PollFlags, timeout: Duration) -> Result<bool, BenchError> {
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut [PollFd::new(fd, flags)], timeout) {
            Ok(ready) => return Ok(ready > 0),
            // Restarts the timeout, which is harmless: nothing is measured with it.
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(BenchError::failed("waiting for a datafd")(errno)),
        }
    }
}
