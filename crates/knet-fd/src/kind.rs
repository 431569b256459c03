//! What kind of thing a descriptor stands for.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::stat::fstat;

use crate::{AccessMode, AccessModeError, OsError, SocketDomain, SocketState, SocketType};

/// What kind of thing a descriptor stands for.
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
        /// Its family of addresses.
        domain: SocketDomain,
        /// How its ends talk.
        kind: SocketType,
        /// What has been done with it.
        state: SocketState,
    },
    /// A pipe, with or without a name.
    Fifo,
    /// A character device, such as a terminal or a TUN/TAP.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A regular file.
    RegularFile,
    /// A directory.
    Directory,
    /// Anything else: what has no place in a file system (eventfd, epoll, timerfd, …), a symbolic
    /// link, or the path of a socket (`O_PATH`), which cannot be used as one.
    Other,
}

impl FdKind {
    /// Asks what a descriptor stands for
    /// ([fstat(2)](https://man7.org/linux/man-pages/man2/fstat.2.html)).
    ///
    /// # Errors
    ///
    /// A descriptor that is open gives none of these:
    ///
    /// - [`KindError::Stat`] if the kernel does not tell of the file.
    /// - [`KindError::AccessMode`] or [`KindError::Socket`] if it does not tell of the socket.
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

/// Why it is not known what a descriptor stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// The kernel did not tell of the file.
    #[error("cannot tell what a descriptor is, is it open at all? {source}")]
    Stat {
        /// What the kernel said.
        source: OsError,
    },
    /// The kernel did not tell what a socket's descriptor is open for.
    #[error(transparent)]
    AccessMode(#[from] AccessModeError),
    /// The kernel did not tell of the socket.
    #[error("cannot tell what kind of socket a descriptor is: {source}")]
    Socket {
        /// What the kernel said.
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
    fn a_block_device_and_a_symbolic_link_are_told() {
        // Neither can be opened on every machine.
        assert_eq!(not_a_socket(libc::S_IFBLK), FdKind::BlockDevice);
        assert_eq!(not_a_socket(libc::S_IFLNK), FdKind::Other);
    }
}
