//! Calls on unsuitable descriptors: rejected with the right errno, and without effect.

use std::os::fd::{AsFd, OwnedFd};

use knet_fd::{
    AccessMode, FdKind, ReceiveBatch, SendBatch, duplicate, read, receive, send, set_buffer_sizes,
    write,
};
use nix::fcntl::{FcntlArg, fcntl};

use crate::samples::one_of_each;

/// Returns all flags of a descriptor that a call could change.
fn flags(fd: &OwnedFd) -> (i32, i32) {
    let fd = fd.as_fd();
    (fcntl(fd, FcntlArg::F_GETFL).unwrap(), fcntl(fd, FcntlArg::F_GETFD).unwrap())
}

#[test]
fn only_sockets_can_receive_and_send() {
    for (name, fd) in one_of_each() {
        if matches!(FdKind::of(&fd), Ok(FdKind::Socket { .. })) {
            continue;
        }
        // A path supports no call at all.
        let errno =
            if AccessMode::of(&fd) == Ok(AccessMode::None) { libc::EBADF } else { libc::ENOTSOCK };
        let before = flags(&fd);
        let message: [&[u8]; 1] = [b"x"];
        assert_eq!(receive(&fd, &mut [0; 8]).unwrap_err().errno(), errno, "{name}");
        assert_eq!(send(&fd, b"x").unwrap_err().errno(), errno, "{name}");
        assert_eq!(ReceiveBatch::new(64, 0, 8).receive(&fd).unwrap_err().errno(), errno, "{name}");
        let error = SendBatch::new(64).send(&fd, message).unwrap_err();
        assert_eq!((error.sent, error.errno()), (0, errno), "{name}");
        assert_eq!(set_buffer_sizes(&fd, 4096).unwrap_err().errno(), errno, "{name}");
        assert_eq!(flags(&fd), before, "{name}");
    }
}

#[test]
fn receiving_from_sockets_without_a_peer_is_an_error() {
    for (name, fd) in one_of_each() {
        let Some(errno) = (match name {
            "unix listener" => Some(libc::EINVAL),
            "tcp listener" => Some(libc::ENOTCONN),
            _ => None,
        }) else {
            continue;
        };
        let before = flags(&fd);
        assert_eq!(receive(&fd, &mut [0; 8]).unwrap_err().errno(), errno, "{name}");
        assert_eq!(ReceiveBatch::new(64, 0, 8).receive(&fd).unwrap_err().errno(), errno, "{name}");
        assert_eq!(flags(&fd), before, "{name}");
    }
}

#[test]
fn one_way_descriptors_reject_the_other_direction() {
    for (name, fd) in one_of_each() {
        let before = flags(&fd);
        if matches!(AccessMode::of(&fd), Ok(AccessMode::ReadOnly | AccessMode::None)) {
            assert_eq!(write(&fd, b"x").unwrap_err().errno(), libc::EBADF, "{name}");
        }
        if matches!(AccessMode::of(&fd), Ok(AccessMode::WriteOnly | AccessMode::None)) {
            assert_eq!(read(&fd, &mut [0; 8]).unwrap_err().errno(), libc::EBADF, "{name}");
        }
        if name == "directory" {
            assert_eq!(read(&fd, &mut [0; 8]).unwrap_err().errno(), libc::EISDIR);
        }
        assert_eq!(flags(&fd), before, "{name}");
    }
}

#[test]
fn queries_and_duplicates_change_nothing() {
    for (name, fd) in one_of_each() {
        let before = flags(&fd);
        FdKind::of(&fd).unwrap();
        AccessMode::of(&fd).unwrap();
        duplicate(&fd).unwrap();
        assert_eq!(flags(&fd), before, "{name}");
    }
}
