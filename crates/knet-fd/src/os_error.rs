//! Errors of the kernel.

use std::{fmt, io};

use nix::errno::Errno;

/// An error number of the operating system, displayed with its name and description.
///
/// # Examples
///
/// ```
/// use std::{fs::File, os::fd::AsRawFd};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let file = File::open("/dev/null")?;
/// let Err(error) = knet_fd::send(&file, b"not a socket") else { unreachable!() };
/// assert!(error.source.to_string().contains("ENOTSOCK"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OsError(Errno);

impl OsError {
    /// Returns the number, as in [errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html).
    ///
    /// # Examples
    ///
    /// ```
    /// let file = std::fs::File::open("/dev/null")?;
    /// let error = knet_fd::send(&file, b"not a socket").unwrap_err();
    /// assert_eq!(error.source.errno(), libc::ENOTSOCK);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.0 as i32
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for OsError {}

impl From<OsError> for io::Error {
    fn from(error: OsError) -> io::Error {
        io::Error::from_raw_os_error(error.errno())
    }
}

/// Converts errors into [`io::Error`] with the kind of their errno, and themselves as the inner error, so that the
/// text is kept.
macro_rules! into_io_error {
    ($($error:ident),*) => {
        $(
            impl From<crate::$error> for io::Error {
                /// Keeps the kind and the text.
                fn from(error: crate::$error) -> io::Error {
                    let kind = io::Error::from_raw_os_error(error.errno()).kind();
                    io::Error::new(kind, error)
                }
            }
        )*
    };
}

into_io_error!(
    AccessModeError,
    BufferError,
    CompareError,
    DuplicateError,
    FlagError,
    KindError,
    PairError,
    RawFdError,
    ReadError,
    SendBatchError,
    WriteError
);

impl OsError {
    pub(crate) const fn new(errno: Errno) -> OsError {
        OsError(errno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_name_and_kind_agree() {
        let error = OsError::new(Errno::EPIPE);
        assert_eq!(error.errno(), 32);
        assert!(error.to_string().starts_with("EPIPE"), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn an_io_error_keeps_the_kind_and_the_text() {
        let source = OsError::new(Errno::EPIPE);
        let text = crate::WriteError { source }.to_string();
        let error = io::Error::from(crate::WriteError { source });
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::BrokenPipe, text));
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<crate::WriteError>());
        assert_eq!(inner.map(crate::WriteError::errno), Some(libc::EPIPE));
        let error = io::Error::from(crate::RawFdError::Negative(-1));
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
