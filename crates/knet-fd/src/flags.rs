//! The non-blocking and close-on-exec flags.

use std::{fmt, os::fd::AsFd};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
};

use crate::OsError;

/// Sets or clears the non-blocking flag (`O_NONBLOCK`) and returns its previous value.
///
/// The flag belongs to the open file. It changes for every duplicate of the descriptor, also in other
/// processes. See
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// - [`FlagError::Query`] if the flag cannot be read.
/// - [`FlagError::Change`] if it cannot be set, as for a descriptor that was opened with `O_PATH`.
///
/// The flag is unchanged after an error.
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

/// Returns `true` if reads and writes do not block (`O_NONBLOCK`).
///
/// # Errors
///
/// [`FlagError::Query`] if the flag cannot be read.
///
/// # Examples
///
/// ```
/// let (socket, _peer) = std::os::unix::net::UnixStream::pair()?;
/// assert!(!knet_fd::is_nonblocking(&socket)?);
/// socket.set_nonblocking(true)?;
/// assert!(knet_fd::is_nonblocking(&socket)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_nonblocking(fd: impl AsFd) -> Result<bool, FlagError> {
    Ok(status_flags(fd)?.contains(OFlag::O_NONBLOCK))
}

/// Sets or clears the close-on-exec flag (`FD_CLOEXEC`) and returns its previous value.
///
/// The flag belongs to this descriptor. A duplicate has its own. See
/// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html).
///
/// # Errors
///
/// - [`FlagError::Query`] if the flag cannot be read.
/// - [`FlagError::Change`] if it cannot be set.
///
/// The flag is unchanged after an error.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = std::fs::File::open("/dev/null")?;
/// assert!(knet_fd::set_cloexec(&file, false)?, "the standard library sets it");
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

/// Returns `true` if the descriptor is closed when the process executes another program
/// (`FD_CLOEXEC`).
///
/// # Errors
///
/// [`FlagError::Query`] if the flag cannot be read.
///
/// # Examples
///
/// ```
/// let file = std::fs::File::open("/dev/null")?;
/// assert!(knet_fd::is_cloexec(&file)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_cloexec(fd: impl AsFd) -> Result<bool, FlagError> {
    Ok(descriptor_flags(fd)?.contains(FdFlag::FD_CLOEXEC))
}

/// The error of reading or changing a flag.
///
/// # Examples
///
/// ```
/// use std::os::unix::fs::OpenOptionsExt;
///
/// use knet_fd::{Flag, FlagError};
///
/// let path = std::fs::File::options().read(true).custom_flags(libc::O_PATH).open(".")?;
/// let error = knet_fd::set_nonblocking(&path, true).unwrap_err();
/// assert!(matches!(error, FlagError::Change { flag: Flag::Nonblocking, .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagError {
    /// The flag cannot be read, because the descriptor is not open.
    #[error("cannot read the {flag} flag, check that the descriptor is open")]
    Query {
        /// The flag.
        flag: Flag,
        /// The error of the kernel.
        source: OsError,
    },
    /// The flag cannot be changed: `EBADF` for a descriptor that was opened with `O_PATH`.
    #[error("cannot change the {flag} flag, check that it was not opened with O_PATH")]
    Change {
        /// The flag.
        flag: Flag,
        /// The error of the kernel.
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

/// A flag of a descriptor.
///
/// # Examples
///
/// ```
/// assert_eq!(knet_fd::Flag::CloseOnExec.to_string(), "close-on-exec");
/// ```
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

// Both keep the bits that nix has no constant for, so that setting one flag clears no other.

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
