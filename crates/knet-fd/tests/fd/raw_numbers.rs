//! `with_raw_fd`.

use std::{
    fs::File,
    os::fd::{AsRawFd, BorrowedFd, RawFd},
};

use knet_fd::{AccessMode, RawFdError, is_cloexec, set_cloexec};

/// Calls `with_raw_fd`, as a C door does.
#[allow(unsafe_code)]
pub(crate) fn with_raw_fd<T>(
    number: RawFd,
    f: impl FnOnce(BorrowedFd<'_>) -> T,
) -> Result<T, RawFdError> {
    // SAFETY: the tests pass numbers of files that they own and do not close meanwhile, or that no file has.
    // One closes its file early, and the number is so high that no other file gets it.
    unsafe { knet_fd::with_raw_fd(number, f) }
}

#[test]
fn an_open_number_is_borrowed_and_stays_open() {
    let file = File::open("/dev/null").unwrap();
    let number = file.as_raw_fd();
    let lent = with_raw_fd(number, |fd| {
        set_cloexec(fd, false).unwrap();
        fd.as_raw_fd()
    });
    assert_eq!(lent, Ok(number));
    assert_eq!(is_cloexec(&file), Ok(false), "the closure got another descriptor");
    assert_eq!(AccessMode::of(&file), Ok(AccessMode::ReadOnly), "the closure closed it");
}

#[test]
fn a_closure_that_panics_closes_nothing() {
    let file = File::open("/dev/null").unwrap();
    let number = file.as_raw_fd();
    let panicked = std::panic::catch_unwind(|| with_raw_fd(number, |_| panic!("on purpose")));
    assert!(panicked.is_err());
    assert!(with_raw_fd(number, |_| ()).is_ok());
}

#[test]
fn negative_numbers_are_rejected() {
    for number in [-1, -2, libc::AT_FDCWD, i32::MIN] {
        let error = with_raw_fd(number, |_| panic!("must not run")).unwrap_err();
        assert_eq!(error, RawFdError::Negative(number));
        assert_eq!(error.errno(), libc::EINVAL);
    }
}

#[test]
fn numbers_that_are_not_open_are_rejected() {
    // The kernel assigns no number this high.
    for number in [i32::MAX, i32::MAX - 1] {
        let error = with_raw_fd(number, |_| panic!("must not run")).unwrap_err();
        assert_eq!(error, RawFdError::NotOpen(number));
        assert_eq!(error.errno(), libc::EBADF);
    }
}
