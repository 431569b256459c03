//! The door for callers that speak C.

use std::os::fd::{BorrowedFd, RawFd};

/// Lends the descriptor of a number to a closure, if the number is open.
///
/// For numbers that come from a C caller or a command line. Rust code has something that is
/// [`AsFd`](std::os::fd::AsFd) and needs no such door.
///
/// The number is checked (`F_GETFD`) before the closure runs, and the borrow cannot leave the
/// closure. What nobody can check is that the number still means the file the caller had in mind,
/// nor that no other thread closes it while the closure runs: like every C function that takes a
/// number, this trusts its caller not to do that. A caller who does hands the closure whatever
/// file the number stands for by then, or one that answers `EBADF`; no memory is at risk. Code that
/// keeps the descriptor for longer should [`duplicate()`](crate::duplicate()) it first of all.
///
/// # Errors
///
/// The closure does not run:
///
/// - [`RawFdError::Negative`] if the number is below 0.
/// - [`RawFdError::NotOpen`] if nothing is open under it.
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, RawFdError, with_raw_fd};
/// use std::os::fd::AsRawFd;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::File::open("/dev/null")?;
/// assert_eq!(with_raw_fd(file.as_raw_fd(), |fd| FdKind::of(fd))??, FdKind::CharacterDevice);
/// assert_eq!(with_raw_fd(-1, |_| ()), Err(RawFdError::Negative(-1)));
/// # Ok(())
/// # }
/// ```
#[allow(unsafe_code)]
pub fn with_raw_fd<T>(number: RawFd, f: impl FnOnce(BorrowedFd<'_>) -> T) -> Result<T, RawFdError> {
    if number < 0 {
        return Err(RawFdError::Negative(number));
    }
    // SAFETY: F_GETFD takes no pointer and changes nothing, whatever the number.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(RawFdError::NotOpen(number));
    }
    // SAFETY: the number is not -1, and it is open. The borrow ends with the closure; that nobody
    // closes the number before is the caller's part, as documented above. A `BorrowedFd` neither
    // closes the number nor reads or writes memory by it.
    Ok(f(unsafe { BorrowedFd::borrow_raw(number) }))
}

/// Why a number is no descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RawFdError {
    /// A descriptor is never below 0.
    #[error("{0} is no file descriptor: use 0 or more")]
    Negative(RawFd),
    /// Nothing is open under the number.
    #[error("file descriptor {0} is not open: open it first")]
    NotOpen(RawFd),
}

impl RawFdError {
    /// Returns `EINVAL` for a negative number and `EBADF` for one that is not open
    /// (`spec/datafd.md` rows 6 and 8).
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            RawFdError::Negative(_) => libc::EINVAL,
            RawFdError::NotOpen(_) => libc::EBADF,
        }
    }
}
