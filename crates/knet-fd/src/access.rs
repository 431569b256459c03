//! What a descriptor is open for.

use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::OsError;

/// What a descriptor is open for: reading, writing, both or neither.
///
/// This is how it was opened ([open(2)](https://man7.org/linux/man-pages/man2/open.2.html)). A
/// socket is always `ReadWrite`, also after it was shut down in one direction.
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
    /// Only for reading (`O_RDONLY`).
    ReadOnly,
    /// Only for writing (`O_WRONLY`).
    WriteOnly,
    /// For both (`O_RDWR`).
    ReadWrite,
    /// For neither: it stands for a path (`O_PATH`), or for what only `ioctl` works on.
    None,
}

impl AccessMode {
    /// Asks what a descriptor is open for (`F_GETFL`).
    ///
    /// # Errors
    ///
    /// [`AccessModeError`] if the kernel does not tell. A descriptor that is open does not give this.
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

/// The kernel did not tell what a descriptor is open for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot read what a descriptor is open for, is it open at all? {source}")]
#[non_exhaustive]
pub struct AccessModeError {
    /// What the kernel said.
    pub source: OsError,
}

impl AccessModeError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}
