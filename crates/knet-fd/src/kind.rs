//! The kind of file that a descriptor refers to.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::stat::fstat;

use crate::{AccessMode, AccessModeError, OsError, SocketDomain, SocketState, SocketType};

/// The kind of file that a descriptor refers to.
///
/// # Examples
///
/// ```
/// use knet_fd::{FdKind, SocketDomain, SocketState, SocketType};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(FdKind::of(std::fs::File::open("/dev/null")?)?, FdKind::CharacterDevice);
/// assert_eq!(
///     FdKind::of(std::net::UdpSocket::bind("127.0.0.1:0")?)?,
///     FdKind::Socket {
///         domain: SocketDomain::Inet,
///         kind: SocketType::Datagram,
///         state: SocketState::Bound,
///     },
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FdKind {
    /// A socket.
    Socket {
        /// The address family.
        domain: SocketDomain,
        /// The communication type.
        kind: SocketType,
        /// The state of its addresses.
        state: SocketState,
    },
    /// A pipe or a named pipe.
    Fifo,
    /// A character device, such as a terminal or a TUN/TAP.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A regular file.
    RegularFile,
    /// A directory.
    Directory,
    /// Anything else: a file without a place in a file system (eventfd, epoll, timerfd, …), a symbolic
    /// link, or the path of a socket (`O_PATH`), which cannot be used as one.
    Other,
}

impl FdKind {
    /// Returns the kind of a descriptor
    /// ([fstat(2)](https://man7.org/linux/man-pages/man2/fstat.2.html)).
    ///
    /// # Errors
    ///
    /// None of these occurs for an open descriptor:
    ///
    /// - [`KindError::Stat`] if the query of the file fails.
    /// - [`KindError::AccessMode`] or [`KindError::Socket`] if a query of the socket fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_fd::FdKind;
    ///
    /// let directory = std::fs::File::open(".")?;
    /// assert_eq!(FdKind::of(&directory)?, FdKind::Directory);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(fd: impl AsFd) -> Result<FdKind, KindError> {
        let fd = fd.as_fd();
        let stat = fstat(fd).map_err(|errno| KindError::Stat { source: OsError::new(errno) })?;
        Ok(match stat.st_mode & libc::S_IFMT {
            libc::S_IFSOCK if AccessMode::of(fd)? == AccessMode::None => FdKind::Other,
            libc::S_IFSOCK => socket(fd).map_err(|source| KindError::Socket { source })?,
            other => not_a_socket(other),
        })
    }
}

fn socket(fd: BorrowedFd<'_>) -> Result<FdKind, OsError> {
    let domain = SocketDomain::of(fd)?;
    let kind = SocketType::of(fd)?;
    let state = SocketState::of(fd, domain)?;
    Ok(FdKind::Socket { domain, kind, state })
}

fn not_a_socket(file_type: libc::mode_t) -> FdKind {
    match file_type {
        libc::S_IFIFO => FdKind::Fifo,
        libc::S_IFCHR => FdKind::CharacterDevice,
        libc::S_IFBLK => FdKind::BlockDevice,
        libc::S_IFREG => FdKind::RegularFile,
        libc::S_IFDIR => FdKind::Directory,
        _ => FdKind::Other,
    }
}

/// The error of [`FdKind::of`].
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use knet_fd::{FdKind, KindError};
///
/// fn is_device(fd: impl AsFd) -> Result<bool, KindError> {
///     Ok(FdKind::of(fd)? == FdKind::CharacterDevice)
/// }
///
/// let null = std::fs::File::open("/dev/null")?;
/// assert!(is_device(&null).map_err(|error| error.errno()).unwrap_or(false));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// The query of the file failed.
    #[error("cannot determine the kind of a descriptor, check that it is open")]
    Stat {
        /// The error of the kernel.
        source: OsError,
    },
    /// The query of a socket's access mode failed.
    #[error(transparent)]
    AccessMode(#[from] AccessModeError),
    /// A query of the socket failed.
    #[error("cannot determine the kind of a socket")]
    Socket {
        /// The error of the kernel.
        source: OsError,
    },
}

impl KindError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        match self {
            KindError::Stat { source } | KindError::Socket { source } => source.errno(),
            KindError::AccessMode(error) => error.errno(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_devices_and_symbolic_links_have_a_kind() {
        // Not every machine has one that can be opened.
        assert_eq!(not_a_socket(libc::S_IFBLK), FdKind::BlockDevice);
        assert_eq!(not_a_socket(libc::S_IFLNK), FdKind::Other);
    }
}
