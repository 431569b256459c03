//! The access mode of descriptors.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::OsError;

/// The access that a descriptor was opened for
/// ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html)).
///
/// A socket is always `ReadWrite`, even after it was shut down in one direction.
///
/// # Examples
///
/// ```
/// use knet_fd::AccessMode;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let reader = std::fs::File::open("/dev/null")?;
/// assert_eq!(AccessMode::of(&reader)?, AccessMode::ReadOnly);
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// assert_eq!(AccessMode::of(&socket)?, AccessMode::ReadWrite);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AccessMode {
    /// Only reading (`O_RDONLY`).
    ReadOnly,
    /// Only writing (`O_WRONLY`).
    WriteOnly,
    /// Reading and writing (`O_RDWR`).
    ReadWrite,
    /// Neither: the descriptor refers to a path (`O_PATH`), or to a device that supports only `ioctl`.
    None,
}

impl AccessMode {
    /// Returns the access mode of a descriptor (`F_GETFL`).
    ///
    /// # Errors
    ///
    /// [`AccessModeError`] if the query fails, which it does not for an open descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::AccessMode;
    ///
    /// let null = std::fs::File::options().write(true).open("/dev/null")?;
    /// assert_eq!(AccessMode::of(&null)?, AccessMode::WriteOnly);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(fd: impl AsFd) -> Result<AccessMode, AccessModeError> {
        let bits = fcntl(fd, FcntlArg::F_GETFL)
            .map_err(|errno| AccessModeError { source: OsError::new(errno) })?;
        if bits & OFlag::O_PATH.bits() != 0 {
            return Ok(AccessMode::None);
        }
        Ok(match bits & libc::O_ACCMODE {
            libc::O_RDONLY => AccessMode::ReadOnly,
            libc::O_WRONLY => AccessMode::WriteOnly,
            libc::O_RDWR => AccessMode::ReadWrite,
            _ => AccessMode::None,
        })
    }
}

/// The error of [`AccessMode::of`]: the descriptor is not open.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use knet_fd::{AccessMode, AccessModeError};
///
/// fn is_read_only(fd: impl AsFd) -> Result<bool, AccessModeError> {
///     Ok(AccessMode::of(fd)? == AccessMode::ReadOnly)
/// }
///
/// let null = std::fs::File::open("/dev/null")?;
/// assert!(is_read_only(&null).map_err(|error| error.errno()).unwrap_or(false));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot read the access mode of a descriptor, check that it is open")]
#[non_exhaustive]
pub struct AccessModeError {
    /// The error of the kernel.
    pub source: OsError,
}

impl AccessModeError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}
