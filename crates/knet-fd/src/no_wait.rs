//! Reads and writes that do not block, whatever the flags of the open file are.
//!
//! `O_NONBLOCK` belongs to the open file, so anybody who shares it may clear the flag at any time. Sockets
//! have flags per call for this, and so have most files: `RWF_NOWAIT` of
//! [preadv2(2)](https://man7.org/linux/man-pages/man2/preadv2.2.html). Terminals and some other devices have
//! not: for these, `O_NONBLOCK` is set before the call.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::{errno::Errno, unistd};

use crate::{FlagError, retry::retry, set_nonblocking};

/// Which of the two calls a file was found not to have.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    read: AtomicBool,
    write: AtomicBool,
}

/// Reads from the current position.
#[allow(unsafe_code)]
pub(crate) fn read(
    missing: &Missing,
    fd: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: `part` covers `buffer`, which is borrowed mutably for longer than the call.
    let result = unless(&missing.read, || unsafe { vectored(libc::SYS_preadv2, fd, &part) });
    result.unwrap_or_else(|| nonblocking(fd, || unistd::read(fd, buffer)))
}

/// Writes at the current position.
#[allow(unsafe_code)]
pub(crate) fn write(missing: &Missing, fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: `part` covers `bytes`, which outlives the call, and the kernel only reads through it.
    let result = unless(&missing.write, || unsafe { vectored(libc::SYS_pwritev2, fd, &part) });
    result.unwrap_or_else(|| nonblocking(fd, || unistd::write(fd, bytes)))
}

/// Makes a call, unless it is known to be missing. Returns `None` if it is, and remembers that.
fn unless(
    missing: &AtomicBool,
    call: impl FnOnce() -> Result<usize, Errno>,
) -> Option<Result<usize, Errno>> {
    if missing.load(Relaxed) {
        return None;
    }
    match call() {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {
            missing.store(true, Relaxed);
            None
        }
        result => Some(result),
    }
}

/// Makes a call on a descriptor that is made non-blocking before. A call that fails leaves the flag as it was.
fn nonblocking(
    fd: BorrowedFd<'_>,
    call: impl FnMut() -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let was = set_nonblocking(fd, true).map_err(|error| {
        let (FlagError::Query { source, .. } | FlagError::Change { source, .. }) = error;
        Errno::from_raw(source.errno())
    })?;
    let result = retry(call);
    if result.is_err_and(|errno| errno != Errno::EAGAIN) {
        // Setting it worked a moment ago, and the error of the call is the one to report.
        let _ = set_nonblocking(fd, was);
    }
    result
}

/// Calls `preadv2` or `pwritev2` with one part. As a system call by its number, because not every C library
/// has both.
///
/// # Safety
/// `part` covers memory that the call may access: for `SYS_preadv2` write, for `SYS_pwritev2` read.
#[allow(unsafe_code)]
unsafe fn vectored(
    call: libc::c_long,
    fd: BorrowedFd<'_>,
    part: &libc::iovec,
) -> Result<usize, Errno> {
    /// Both halves of an offset of -1, which stands for the current position.
    const CURRENT: libc::c_long = -1;
    let (fd, parts): (_, libc::c_long) = (fd.as_raw_fd(), 1);
    let part = std::ptr::from_ref(part);
    let result = retry(|| {
        // SAFETY: the arguments are those of the two calls: a descriptor that is borrowed, so it is open,
        // one live iovec, whose memory the caller vouches for, an offset in two halves, and flags.
        Errno::result(unsafe {
            libc::syscall(call, fd, part, parts, CURRENT, CURRENT, libc::RWF_NOWAIT)
        })
    });
    // A result that is no error is a number of bytes.
    result.map(|bytes| usize::try_from(bytes).unwrap_or(0))
}
