//! Duplicates of descriptors.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;

use crate::OsError;

/// Creates a second, close-on-exec descriptor of the same open file (`F_DUPFD_CLOEXEC`).
///
/// Both descriptors share the open file with its position, its non-blocking flag and its messages. The
/// file stays open until the last of them is closed. The new number is never that of standard input,
/// output or error. See [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// [`DuplicateError`], with `EMFILE` if the process has reached its limit of open files.
///
/// # Examples
///
/// ```
/// use std::{io::Write, os::unix::net::UnixStream};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (reader, writer) = UnixStream::pair()?;
/// let second = knet_fd::duplicate(&writer)?;
/// drop(writer);
/// UnixStream::from(second).write_all(b"still open")?;
/// assert_eq!(std::io::read_to_string(reader)?, "still open");
/// # Ok(())
/// # }
/// ```
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd, DuplicateError> {
    fd.as_fd().try_clone_to_owned().map_err(|error| {
        // The standard library creates this error from the errno of a system call, so it has one.
        let errno = error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw);
        DuplicateError { source: OsError::new(errno) }
    })
}

/// The error of [`duplicate()`].
///
/// # Examples
///
/// ```
/// use std::os::fd::{AsFd, OwnedFd};
/// use knet_fd::DuplicateError;
///
/// fn two(fd: impl AsFd) -> Result<[OwnedFd; 2], DuplicateError> {
///     Ok([knet_fd::duplicate(&fd)?, knet_fd::duplicate(&fd)?])
/// }
///
/// match two(std::io::stdin()) {
///     Ok([one, other]) => assert_ne!(format!("{one:?}"), format!("{other:?}")),
///     Err(error) => panic!("errno {}: {error}", error.errno()),
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot duplicate a descriptor, raise the limit of open files if it is reached")]
#[non_exhaustive]
pub struct DuplicateError {
    /// The error of the kernel.
    pub source: OsError,
}

impl DuplicateError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}
