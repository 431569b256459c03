//! The non-blocking and close-on-exec flags.

use std::{fmt, os::fd::AsFd};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
};

use crate::OsError;

/// Makes reads and writes return at once (`on`) or wait; returns what it was.
///
/// The flag (`O_NONBLOCK`) belongs to the open file, so that every duplicate of the descriptor
/// changes with it, in other processes too. See
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// - [`FlagError::Query`] if the flag cannot be read.
/// - [`FlagError::Change`] if it cannot be set, as with a descriptor that was opened with `O_PATH`.
///
/// The flag is then as it was.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// let was = knet_fd::set_nonblocking(&socket, true)?;
/// assert!(!was && knet_fd::is_nonblocking(&socket)?);
/// knet_fd::set_nonblocking(&socket, was)?;
/// assert!(!knet_fd::is_nonblocking(&socket)?);
/// # Ok(())
/// # }
/// ```
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<bool, FlagError> {
    let fd = fd.as_fd();
    let flags = status_flags(fd)?;
    let was = flags.contains(OFlag::O_NONBLOCK);
    if was != on {
        let flags = if on { flags | OFlag::O_NONBLOCK } else { flags - OFlag::O_NONBLOCK };
        fcntl(fd, FcntlArg::F_SETFL(flags)).map_err(|errno| FlagError::Change {
            flag: Flag::Nonblocking,
            source: OsError::new(errno),
        })?;
    }
    Ok(was)
}

/// Returns whether reads and writes return at once instead of waiting (`O_NONBLOCK`).
///
/// # Errors
///
/// [`FlagError::Query`] if the flag cannot be read.
pub fn is_nonblocking(fd: impl AsFd) -> Result<bool, FlagError> {
    Ok(status_flags(fd)?.contains(OFlag::O_NONBLOCK))
}

/// Closes the descriptor (`on`) or keeps it when the process executes another program; returns
/// what it was.
///
/// The flag (`FD_CLOEXEC`) belongs to this descriptor alone; a duplicate has its own. See
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// - [`FlagError::Query`] if the flag cannot be read.
/// - [`FlagError::Change`] if it cannot be set.
///
/// The flag is then as it was.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::File::open("/dev/null")?;
/// assert!(knet_fd::set_cloexec(&file, false)?, "std sets it");
/// assert!(!knet_fd::is_cloexec(&file)?);
/// # Ok(())
/// # }
/// ```
pub fn set_cloexec(fd: impl AsFd, on: bool) -> Result<bool, FlagError> {
    let fd = fd.as_fd();
    let flags = descriptor_flags(fd)?;
    let was = flags.contains(FdFlag::FD_CLOEXEC);
    if was != on {
        let flags = if on { flags | FdFlag::FD_CLOEXEC } else { flags - FdFlag::FD_CLOEXEC };
        fcntl(fd, FcntlArg::F_SETFD(flags)).map_err(|errno| FlagError::Change {
            flag: Flag::CloseOnExec,
            source: OsError::new(errno),
        })?;
    }
    Ok(was)
}

/// Returns whether the descriptor is closed when the process executes another program
/// (`FD_CLOEXEC`).
///
/// # Errors
///
/// [`FlagError::Query`] if the flag cannot be read.
pub fn is_cloexec(fd: impl AsFd) -> Result<bool, FlagError> {
    Ok(descriptor_flags(fd)?.contains(FdFlag::FD_CLOEXEC))
}

/// Why a flag could not be read or set.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagError {
    /// The flag cannot be read. A descriptor that is open does not give this.
    #[error("cannot read the {flag} flag, is the descriptor open? {source}")]
    Query {
        /// Which one.
        flag: Flag,
        /// What the kernel said.
        source: OsError,
    },
    /// The flag cannot be set: `EBADF` with a descriptor that was opened with `O_PATH`.
    #[error("cannot set the {flag} flag, was it opened for more than its path? {source}")]
    Change {
        /// Which one.
        flag: Flag,
        /// What the kernel said.
        source: OsError,
    },
}

impl FlagError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            FlagError::Query { source, .. } | FlagError::Change { source, .. } => source.errno(),
        }
    }
}

/// A flag that this crate reads and sets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flag {
    /// `O_NONBLOCK`.
    Nonblocking,
    /// `FD_CLOEXEC`.
    CloseOnExec,
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flag::Nonblocking => "non-blocking",
            Flag::CloseOnExec => "close-on-exec",
        })
    }
}

// Both keep the bits that nix has no name for, so that setting one flag clears no other.

fn status_flags(fd: impl AsFd) -> Result<OFlag, FlagError> {
    match fcntl(fd, FcntlArg::F_GETFL) {
        Ok(bits) => Ok(OFlag::from_bits_retain(bits)),
        Err(errno) => Err(query_failed(Flag::Nonblocking, errno)),
    }
}

fn descriptor_flags(fd: impl AsFd) -> Result<FdFlag, FlagError> {
    match fcntl(fd, FcntlArg::F_GETFD) {
        Ok(bits) => Ok(FdFlag::from_bits_retain(bits)),
        Err(errno) => Err(query_failed(Flag::CloseOnExec, errno)),
    }
}

fn query_failed(flag: Flag, errno: Errno) -> FlagError {
    FlagError::Query { flag, source: OsError::new(errno) }
}
