//! Errors of the poller: one type per operation with failures of its own.

use std::io;
use std::os::fd::RawFd;

use nix::errno::Errno;

/// The error of creating, waiting on or waking a poller.
///
/// # Examples
///
/// ```
/// use knet_poller::PollerError;
///
/// let error = PollerError::Create { source: std::io::Error::from_raw_os_error(24) };
/// assert_eq!(error.errno(), 24);
/// assert!(error.to_string().starts_with("cannot create a poller"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PollerError {
    /// The kernel refused to create the epoll instance or the waker's eventfd: too many files are open
    /// (`EMFILE`, `ENFILE`) or memory is exhausted (`ENOMEM`).
    #[error("cannot create a poller, raise the limit of open files if it is reached")]
    Create {
        /// The error of the kernel.
        source: io::Error,
    },

    /// The kernel refused to wait.
    #[error("cannot wait for events")]
    Wait {
        /// The error of the kernel.
        source: io::Error,
    },

    /// The waker's eventfd could not be written.
    #[error("cannot wake the poller")]
    Wake {
        /// The error of the kernel.
        source: io::Error,
    },
}

impl PollerError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Create { source } | Self::Wait { source } | Self::Wake { source } => {
                os_error(source)
            }
        }
    }
}

/// The error of [`Poller::add`](crate::Poller::add).
///
/// # Examples
///
/// ```
/// use std::fs::File;
///
/// use knet_poller::{AddError, Interest, Poller, Token};
///
/// let directory = File::open(".")?;
/// let error = Poller::new()?.add(&directory, Token(1), Interest::READ).unwrap_err();
/// assert!(matches!(error, AddError::NotPollable { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The descriptor is of a kind that is always ready and cannot be polled, such as a regular file or
    /// a directory (`EPERM` in `epoll_ctl(2)`).
    #[error("descriptor {fd} cannot be polled, a regular file or a directory is always ready")]
    NotPollable {
        /// The number of the descriptor.
        fd: RawFd,
    },

    /// The descriptor is already registered (`EEXIST`). Use
    /// [`Poller::modify`](crate::Poller::modify) instead.
    #[error("descriptor {fd} is already added, modify or remove it instead")]
    AlreadyAdded {
        /// The number of the descriptor.
        fd: RawFd,
    },

    /// The process was forked after the poller was created, and the poller belongs to the other process.
    #[error("the poller belongs to another process, create one after forking")]
    Forked,

    /// The kernel refused for another reason: `ENOSPC` at the limit of
    /// `/proc/sys/fs/epoll/max_user_watches`, `ENOMEM`, or `ELOOP` and `EINVAL` for epoll instances
    /// that would watch each other.
    #[error("cannot add descriptor {fd} to the poller")]
    Os {
        /// The number of the descriptor.
        fd: RawFd,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl AddError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotPollable { .. } | Self::Forked => Errno::EPERM as i32,
            Self::AlreadyAdded { .. } => Errno::EEXIST as i32,
            Self::Os { source, .. } => os_error(source),
        }
    }

    pub(crate) fn new(fd: RawFd, errno: Errno) -> AddError {
        match errno {
            Errno::EPERM => Self::NotPollable { fd },
            Errno::EEXIST => Self::AlreadyAdded { fd },
            other => Self::Os { fd, source: other.into() },
        }
    }
}

/// The error of [`Poller::modify`](crate::Poller::modify).
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use knet_poller::{Interest, ModifyError, Poller, Token};
///
/// let (near, _far) = UnixStream::pair()?;
/// let error = Poller::new()?.modify(&near, Token(1), Interest::READ).unwrap_err();
/// assert!(matches!(error, ModifyError::NotAdded { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModifyError {
    /// The descriptor is not registered (`ENOENT`): it never was, it was removed, or it was closed and
    /// its number now refers to another file.
    #[error("descriptor {fd} is not in the poller, add it first")]
    NotAdded {
        /// The number of the descriptor.
        fd: RawFd,
    },

    /// The process was forked after the poller was created, and the poller belongs to the other process.
    #[error("the poller belongs to another process, create one after forking")]
    Forked,

    /// The kernel refused for another reason, such as `ENOMEM`.
    #[error("cannot modify descriptor {fd} in the poller")]
    Os {
        /// The number of the descriptor.
        fd: RawFd,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl ModifyError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotAdded { .. } => Errno::ENOENT as i32,
            Self::Forked => Errno::EPERM as i32,
            Self::Os { source, .. } => os_error(source),
        }
    }

    pub(crate) fn new(fd: RawFd, errno: Errno) -> ModifyError {
        if means_not_added(errno) {
            Self::NotAdded { fd }
        } else {
            Self::Os { fd, source: errno.into() }
        }
    }
}

/// The error of [`Poller::remove`](crate::Poller::remove). The source is no longer reported in this case
/// either.
///
/// # Examples
///
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use knet_poller::{Poller, RemoveError};
///
/// let (near, _far) = UnixStream::pair()?;
/// let error = Poller::new()?.remove(&near).unwrap_err();
/// assert!(matches!(error, RemoveError::NotAdded { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveError {
    /// The descriptor is not registered (`ENOENT`): it never was, it was removed, or it was closed and
    /// its number now refers to another file.
    #[error("descriptor {fd} is not in the poller, there is nothing to remove")]
    NotAdded {
        /// The number of the descriptor.
        fd: RawFd,
    },

    /// The process was forked after the poller was created, and the poller belongs to the other process.
    #[error("the poller belongs to another process, create one after forking")]
    Forked,

    /// The kernel refused for another reason.
    #[error("cannot remove descriptor {fd} from the poller")]
    Os {
        /// The number of the descriptor.
        fd: RawFd,
        /// The error of the kernel.
        source: io::Error,
    },
}

impl RemoveError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::NotAdded { .. } => Errno::ENOENT as i32,
            Self::Forked => Errno::EPERM as i32,
            Self::Os { source, .. } => os_error(source),
        }
    }

    pub(crate) fn new(fd: RawFd, errno: Errno) -> RemoveError {
        if means_not_added(errno) {
            Self::NotAdded { fd }
        } else {
            Self::Os { fd, source: errno.into() }
        }
    }
}

/// Returns `true` if the kernel has no registration of the descriptor. `EPERM` is its answer for a regular
/// file, which it checks first and which can never be registered.
pub(crate) fn means_not_added(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::EPERM)
}

/// Converts errors into [`io::Error`] with the kind of their errno, and themselves as the inner error, so that the
/// text is kept.
macro_rules! into_io_error {
    ($($error:ident),*) => {
        $(
            impl From<$error> for io::Error {
                /// Keeps the kind and the text.
                fn from(error: $error) -> Self {
                    let kind = Self::from_raw_os_error(error.errno()).kind();
                    Self::new(kind, error)
                }
            }
        )*
    };
}

into_io_error!(PollerError, AddError, ModifyError, RemoveError);

/// Returns the error number, which every `io::Error` here has, because each is made from one.
fn os_error(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(Errno::EIO as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_errno_finds_its_variant_and_back() {
        assert!(matches!(AddError::new(4, Errno::EPERM), AddError::NotPollable { fd: 4 }));
        assert!(matches!(AddError::new(4, Errno::EEXIST), AddError::AlreadyAdded { fd: 4 }));
        assert!(matches!(ModifyError::new(4, Errno::EPERM), ModifyError::NotAdded { fd: 4 }));
        assert!(matches!(RemoveError::new(4, Errno::ENOENT), RemoveError::NotAdded { fd: 4 }));
        for errno in [Errno::EPERM, Errno::EEXIST, Errno::ENOSPC, Errno::ENOMEM, Errno::ELOOP] {
            assert_eq!(AddError::new(4, errno).errno(), errno as i32);
        }
        for errno in [Errno::ENOENT, Errno::ENOMEM, Errno::EBADF] {
            assert_eq!(ModifyError::new(4, errno).errno(), errno as i32);
            assert_eq!(RemoveError::new(4, errno).errno(), errno as i32);
        }
        let failed = PollerError::Create { source: Errno::EMFILE.into() };
        assert_eq!(failed.errno(), Errno::EMFILE as i32);
    }

    #[test]
    fn an_io_error_keeps_the_kind_and_the_text() {
        let text = AddError::new(9, Errno::EEXIST).to_string();
        let error = io::Error::from(AddError::new(9, Errno::EEXIST));
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::AlreadyExists, text));
        let error = io::Error::from(PollerError::Wait { source: Errno::EINTR.into() });
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert!(error.get_ref().unwrap().is::<PollerError>());
    }

    #[test]
    fn messages_name_the_descriptor_and_what_to_do() {
        let text = AddError::new(9, Errno::EEXIST).to_string();
        assert_eq!(text, "descriptor 9 is already added, modify or remove it instead");
        let text = RemoveError::new(9, Errno::EBADF).to_string();
        assert_eq!(text, "cannot remove descriptor 9 from the poller");
    }
}
