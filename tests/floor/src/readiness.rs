//! Waiting until a descriptor is ready.

use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until the descriptor is ready, however long that takes.
pub(crate) fn wait(fd: BorrowedFd<'_>, flags: PollFlags) {
    // A signal ends the wait early. The caller's next read or write then fails and it waits again.
    let _ = poll(&mut [PollFd::new(fd, flags)], PollTimeout::NONE);
}
