//! Descriptors from callers that use the C convention of integers.

use std::os::fd::{BorrowedFd, RawFd};

/// Borrows the descriptor with a number for a closure, if it is open.
///
/// For numbers from a C caller or a command line. Rust code passes an [`AsFd`](std::os::fd::AsFd)
/// instead.
///
/// The number is checked (`F_GETFD`) before the closure runs, and the borrow cannot leave the closure. Code
/// that needs the descriptor for longer should [`duplicate()`](crate::duplicate()) it first.
///
/// # Safety
///
/// The number must refer to a file that the caller may use, and must not be closed while the closure runs
/// ([I/O safety](std::io#io-safety)). Neither can be checked: with another number, the closure reads and
/// writes a file that belongs to somebody else. A number that is negative or not open is an error.
///
/// # Errors
///
/// The closure does not run if there is an error.
///
/// - [`RawFdError::Negative`] if the number is below 0.
/// - [`RawFdError::NotOpen`] if no descriptor with this number is open.
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, RawFdError, with_raw_fd};
/// use std::os::fd::AsRawFd;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::File::open("/dev/null")?;
/// // SAFETY: the file is open until the end of this function.
/// let kind = unsafe { with_raw_fd(file.as_raw_fd(), |fd| FdKind::of(fd)) };
/// assert_eq!(kind??, FdKind::CharacterDevice);
/// // SAFETY: the number is never open.
/// assert_eq!(unsafe { with_raw_fd(-1, |_| ()) }, Err(RawFdError::Negative(-1)));
/// # Ok(())
/// # }
/// ```
#[allow(unsafe_code)]
pub unsafe fn with_raw_fd<T>(
    number: RawFd,
    f: impl FnOnce(BorrowedFd<'_>) -> T,
) -> Result<T, RawFdError> {
    if number < 0 {
        return Err(RawFdError::Negative(number));
    }
    // SAFETY: F_GETFD takes no pointer and changes nothing, whatever the number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(RawFdError::NotOpen(number));
    }
    // SAFETY: the number is not -1, and it is open. The borrow ends with the closure, before which the
    // caller keeps the number open.
    Ok(f(unsafe { BorrowedFd::borrow_raw(number) }))
}

/// The error of [`with_raw_fd`].
///
/// # Examples
///
/// ```
/// use knet_fd::RawFdError;
///
/// assert_eq!(RawFdError::Negative(-1).errno(), libc::EINVAL);
/// assert_eq!(RawFdError::NotOpen(1000).errno(), libc::EBADF);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RawFdError {
    /// The number is below 0.
    #[error("{0} is not a file descriptor, use 0 or more")]
    Negative(RawFd),
    /// No descriptor with this number is open.
    #[error("file descriptor {0} is not open, open it first")]
    NotOpen(RawFd),
}

impl RawFdError {
    /// Returns `EINVAL` for a negative number and `EBADF` for one that is not open, as libknet does.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            RawFdError::Negative(_) => libc::EINVAL,
            RawFdError::NotOpen(_) => libc::EBADF,
        }
    }
}
