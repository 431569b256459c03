//! Descriptors that a caller of `with_raw_fd` closes too early.

use std::{fs::File, os::fd::RawFd};

use knet_fd::{
    AccessMode, BufferError, FdKind, FlagError, KindError, ReadError, ReceiveBatch, SendBatch,
};
use nix::{
    fcntl::{FcntlArg, fcntl},
    unistd,
};

use crate::raw_numbers::with_raw_fd;

/// Opens a number so high that no other test gets it once it is closed.
fn high_number() -> RawFd {
    let file = File::open("/dev/null").unwrap();
    fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(700)).unwrap()
}

#[test]
fn every_call_returns_ebadf() {
    let number = high_number();
    with_raw_fd(number, |fd| {
        unistd::close(number).unwrap();

        let error = knet_fd::is_nonblocking(fd).unwrap_err();
        assert!(matches!(error, FlagError::Query { .. }), "{error:?}");
        assert_eq!(error.errno(), libc::EBADF);
        assert_eq!(knet_fd::set_nonblocking(fd, true).unwrap_err().errno(), libc::EBADF);
        assert_eq!(knet_fd::is_cloexec(fd).unwrap_err().errno(), libc::EBADF);
        assert_eq!(knet_fd::set_cloexec(fd, true).unwrap_err().errno(), libc::EBADF);

        assert_eq!(knet_fd::duplicate(fd).unwrap_err().errno(), libc::EBADF);
        assert_eq!(AccessMode::of(fd).unwrap_err().errno(), libc::EBADF);
        let error = FdKind::of(fd).unwrap_err();
        assert!(matches!(error, KindError::Stat { .. }), "{error:?}");
        assert_eq!(error.errno(), libc::EBADF);
        let error = knet_fd::set_buffer_sizes(fd, 4096).unwrap_err();
        assert!(matches!(error, BufferError::Resize { .. }), "{error:?}");
        assert_eq!(error.errno(), libc::EBADF);

        let error = knet_fd::compare_files(fd, fd).unwrap_err();
        assert_eq!(error.errno(), libc::EBADF);
        assert!(!knet_fd::is_open_as(fd, number));

        let mut buffer = [0; 8];
        let error = knet_fd::receive(fd, &mut buffer).unwrap_err();
        assert!(matches!(error, ReadError::Os { .. }), "{error:?}");
        assert_eq!(error.errno(), libc::EBADF);
        assert_eq!(knet_fd::read(fd, &mut buffer).unwrap_err().errno(), libc::EBADF);
        assert_eq!(knet_fd::send(fd, b"x").unwrap_err().errno(), libc::EBADF);
        assert_eq!(knet_fd::write(fd, b"x").unwrap_err().errno(), libc::EBADF);
        let mut batch = ReceiveBatch::new(64, 0, 8);
        assert_eq!(batch.receive(fd).unwrap_err().errno(), libc::EBADF);
        let message: [&[u8]; 1] = [b"x"];
        let error = SendBatch::new(64).send(fd, message).unwrap_err();
        assert_eq!((error.sent, error.errno()), (0, libc::EBADF));
    })
    .unwrap();
}
