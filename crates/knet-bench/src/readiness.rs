//! Waiting for a descriptor, with an end.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::BenchError;

/// How long nothing may happen before a run is given up. Nothing should ever be lost, so only what is
/// broken gets here; a machine that is merely busy must not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something to read, or an end of file; false if that takes too long.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> Result<bool, BenchError> {
    ready(fd, PollFlags::POLLIN, timeout)
}

/// Waits until there is room to write, or an error to be had; false if that takes too long.
pub(crate) fn writable(fd: BorrowedFd<'_>) -> Result<bool, BenchError> {
    ready(fd, PollFlags::POLLOUT, PATIENCE)
}

fn ready(fd: BorrowedFd<'_>, flags: PollFlags, timeout: Duration) -> Result<bool, BenchError> {
    let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut [PollFd::new(fd, flags)], timeout) {
            Ok(ready) => return Ok(ready > 0),
            // Waits longer than asked for; it is a limit, nothing is timed by it.
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(BenchError::failed("waiting for a datafd")(errno)),
        }
    }
}
