//! Whether two descriptors refer to the same open file.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::{
    errno::Errno,
    sys::stat::{FileStat, fstat},
};

use crate::OsError;

/// Whether two descriptors refer to one open file: [`compare_files`].
///
/// # Examples
///
/// ```
/// use knet_fd::{FileComparison, compare_files};
///
/// let (socket, peer) = std::os::unix::net::UnixStream::pair()?;
/// let second = knet_fd::duplicate(&socket)?;
/// assert_eq!(compare_files(&socket, &second)?, FileComparison::Same);
/// assert_eq!(compare_files(&socket, &peer)?, FileComparison::Different);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "yes, no, or the kernel does not say")]
pub enum FileComparison {
    /// The descriptors share one open file, like the duplicates of [`duplicate()`](crate::duplicate()).
    Same,
    /// The descriptors refer to two open files, which may be of the same device or path.
    Different,
    /// Both refer to the same device or path, and the kernel refuses to say whether it was opened once or
    /// twice. Never returned for sockets.
    Undecided,
}

/// Compares what two descriptors refer to
/// ([kcmp(2)](https://man7.org/linux/man-pages/man2/kcmp.2.html)).
///
/// The number of a descriptor does not identify a file: once it is closed, the kernel gives it to the next.
///
/// Some sandboxes and kernels refuse `kcmp`. There the device and inode of both files are compared
/// ([fstat(2)](https://man7.org/linux/man-pages/man2/fstat.2.html)). That decides about sockets, which
/// cannot be opened a second time, and leaves two descriptors of one device
/// [`Undecided`](FileComparison::Undecided).
///
/// # Errors
///
/// [`CompareError`] if both queries fail, which they do not for open descriptors.
///
/// # Examples
///
/// Two open files of the same device:
///
/// ```
/// use knet_fd::{FileComparison, compare_files};
///
/// let (one, two) = (std::fs::File::open("/dev/null")?, std::fs::File::open("/dev/null")?);
/// assert_ne!(compare_files(&one, &two)?, FileComparison::Same);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn compare_files(one: impl AsFd, two: impl AsFd) -> Result<FileComparison, CompareError> {
    let (one, two) = (one.as_fd(), two.as_fd());
    match same_open_file(one.as_raw_fd(), two.as_raw_fd()) {
        Ok(true) => Ok(FileComparison::Same),
        Ok(false) => Ok(FileComparison::Different),
        Err(_) => compare_status(one, two).map_err(|source| CompareError { source }),
    }
}

/// Returns `true` if the descriptor with a number is open and refers to the same open file as `file`.
///
/// Nothing is read from or written to the number, and nothing is changed. Where
/// [`compare_files`] is [`Undecided`](FileComparison::Undecided), the answer is that the files are the same.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsRawFd;
///
/// let (socket, peer) = std::os::unix::net::UnixStream::pair()?;
/// let second = knet_fd::duplicate(&socket)?;
/// assert!(knet_fd::is_open_as(&socket, second.as_raw_fd()));
/// assert!(!knet_fd::is_open_as(&socket, peer.as_raw_fd()));
/// assert!(!knet_fd::is_open_as(&socket, -1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_open_as(file: impl AsFd, number: RawFd) -> bool {
    let file = file.as_fd();
    match same_open_file(file.as_raw_fd(), number) {
        Ok(same) => same,
        Err(_) => status_of_number(number).is_ok_and(|theirs| {
            fstat(file).is_ok_and(|ours| compare_stat(&ours, &theirs) != FileComparison::Different)
        }),
    }
}

/// Asks the kernel whether two numbers of this process refer to one open file.
#[allow(unsafe_code)]
fn same_open_file(one: RawFd, two: RawFd) -> Result<bool, Errno> {
    const KCMP_FILE: libc::c_int = 0;
    let process = std::process::id();
    let (one, two) = (libc::c_long::from(one), libc::c_long::from(two));
    // SAFETY: kcmp takes numbers only, and changes nothing, whatever they are.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, process, process, KCMP_FILE, one, two) };
    Errno::result(order).map(|order| order == 0)
}

/// Returns what `fstat` reports of a number.
#[allow(unsafe_code)]
fn status_of_number(number: RawFd) -> Result<FileStat, Errno> {
    let mut status = std::mem::MaybeUninit::<FileStat>::uninit();
    // SAFETY: the pointer is to a live local of the right type, and fstat changes nothing else, whatever
    // the number.
    Errno::result(unsafe { libc::fstat(number, status.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so it has written all of it.
    Ok(unsafe { status.assume_init() })
}

/// Compares two descriptors without `kcmp`.
fn compare_status(one: BorrowedFd<'_>, two: BorrowedFd<'_>) -> Result<FileComparison, OsError> {
    let status = |fd| fstat(fd).map_err(OsError::new);
    Ok(compare_stat(&status(one)?, &status(two)?))
}

fn compare_stat(one: &FileStat, two: &FileStat) -> FileComparison {
    let file = |of: &FileStat| (of.st_dev, of.st_ino, of.st_rdev, of.st_mode & libc::S_IFMT);
    if file(one) != file(two) {
        FileComparison::Different
    } else if one.st_mode & libc::S_IFMT == libc::S_IFSOCK {
        FileComparison::Same
    } else {
        FileComparison::Undecided
    }
}

/// The error of [`compare_files`]: a descriptor is not open.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use knet_fd::{CompareError, FileComparison, compare_files};
///
/// fn share_a_file(one: impl AsFd, two: impl AsFd) -> Result<bool, CompareError> {
///     Ok(compare_files(one, two)? == FileComparison::Same)
/// }
///
/// let null = std::fs::File::open("/dev/null")?;
/// assert!(share_a_file(&null, &null).map_err(|error| error.errno()).unwrap_or(false));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cannot compare two descriptors, check that they are open")]
#[non_exhaustive]
pub struct CompareError {
    /// The error of the kernel.
    pub source: OsError,
}

impl CompareError {
    /// Returns the error number of the operating system.
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.source.errno()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::{PairType, SocketPair, duplicate};

    #[test]
    fn without_kcmp_sockets_are_still_distinguished() {
        let SocketPair { left, right, .. } = SocketPair::new(PairType::Stream, 4096).unwrap();
        let second = duplicate(&left).unwrap();
        let compare = |one, two| compare_status(one, two).unwrap();
        assert_eq!(compare(left.as_fd(), second.as_fd()), FileComparison::Same);
        assert_eq!(compare(left.as_fd(), right.as_fd()), FileComparison::Different);
    }

    #[test]
    fn without_kcmp_two_descriptors_of_one_device_are_undecided() {
        let [one, two] = ["/dev/null", "/dev/null"].map(|path| File::open(path).unwrap());
        let zero = File::open("/dev/zero").unwrap();
        let compare = |one: &File, two: &File| compare_status(one.as_fd(), two.as_fd()).unwrap();
        assert_eq!(compare(&one, &two), FileComparison::Undecided);
        assert_eq!(compare(&one, &one), FileComparison::Undecided);
        assert_eq!(compare(&one, &zero), FileComparison::Different);
    }
}
