//! Reading and setting flags.

use std::fs::File;

use knet_fd::{Flag, FlagError, is_cloexec, is_nonblocking, set_cloexec, set_nonblocking};
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::samples::{one_of_each, open_path};

#[test]
fn setting_nonblocking_returns_its_previous_value() {
    for (name, fd) in one_of_each() {
        if name.starts_with("path") {
            continue;
        }
        let at_first = is_nonblocking(&fd).unwrap();
        let mut was = at_first;
        for on in [true, true, false, false, true, at_first] {
            assert_eq!(set_nonblocking(&fd, on), Ok(was), "{name}");
            assert_eq!(is_nonblocking(&fd), Ok(on), "{name}");
            let kernel = fcntl(&fd, FcntlArg::F_GETFL).unwrap() & libc::O_NONBLOCK != 0;
            assert_eq!(kernel, on, "{name}");
            was = on;
        }
    }
}

#[test]
fn setting_cloexec_returns_its_previous_value() {
    for (name, fd) in one_of_each() {
        let at_first = is_cloexec(&fd).unwrap();
        let mut was = at_first;
        for on in [false, true, true, false, false, at_first] {
            assert_eq!(set_cloexec(&fd, on), Ok(was), "{name}");
            assert_eq!(is_cloexec(&fd), Ok(on), "{name}");
            let kernel = fcntl(&fd, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC != 0;
            assert_eq!(kernel, on, "{name}");
            was = on;
        }
    }
}

#[test]
fn other_flags_are_unchanged() {
    let file = File::options().append(true).open("/dev/null").unwrap();
    let before = fcntl(&file, FcntlArg::F_GETFL).unwrap();
    assert_ne!(before & OFlag::O_APPEND.bits(), 0);

    set_nonblocking(&file, true).unwrap();
    let on = fcntl(&file, FcntlArg::F_GETFL).unwrap();
    assert_eq!(on, before | libc::O_NONBLOCK);
    set_nonblocking(&file, false).unwrap();
    assert_eq!(fcntl(&file, FcntlArg::F_GETFL).unwrap(), before);
}

#[test]
fn a_path_has_no_nonblocking_flag() {
    let path = open_path("/dev/null");
    let before = fcntl(&path, FcntlArg::F_GETFL).unwrap();
    let error = set_nonblocking(&path, true).unwrap_err();
    assert!(matches!(error, FlagError::Change { flag: Flag::Nonblocking, .. }), "{error:?}");
    assert_eq!(error.errno(), libc::EBADF);
    assert!(error.to_string().contains("non-blocking"), "{error}");
    assert_eq!(fcntl(&path, FcntlArg::F_GETFL).unwrap(), before);

    assert_eq!(set_nonblocking(&path, false), Ok(false), "the value it has already");
}
