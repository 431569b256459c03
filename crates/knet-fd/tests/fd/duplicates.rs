//! Duplicates.

use std::os::fd::AsRawFd;

use knet_fd::{
    FdKind, PairType, Received, Sent, duplicate, is_cloexec, is_nonblocking, receive, send,
    set_cloexec, set_nonblocking,
};

use crate::samples::{one_of_each, pair};

#[test]
fn a_duplicate_is_the_same_file_with_close_on_exec() {
    for (name, fd) in one_of_each() {
        set_cloexec(&fd, false).unwrap();
        let second = duplicate(&fd).unwrap();
        assert_ne!(second.as_raw_fd(), fd.as_raw_fd());
        assert!(second.as_raw_fd() > 2, "{name}: the number of a standard stream");
        assert_eq!(FdKind::of(&second), FdKind::of(&fd), "{name}");
        assert_eq!(is_cloexec(&second), Ok(true), "{name}");
        assert_eq!(is_cloexec(&fd), Ok(false), "{name}: the flag of the original changed");
    }
}

#[test]
fn the_nonblocking_flag_is_shared() {
    let (fd, _peer) = pair(PairType::Stream);
    let second = duplicate(&fd).unwrap();
    set_nonblocking(&second, false).unwrap();
    assert_eq!(is_nonblocking(&fd), Ok(false));
}

#[test]
fn the_file_stays_open_until_both_are_closed() {
    let (fd, peer) = pair(PairType::SeqPacket);
    let second = duplicate(&fd).unwrap();
    drop(fd);
    assert_eq!(send(&peer, b"hello"), Ok(Sent::Sent { len: 5 }));
    let hello = Received::Message { len: 5, truncated: false };
    assert_eq!(receive(&second, &mut [0; 8]), Ok(hello));
    drop(second);
    assert_eq!(send(&peer, b"hello").unwrap_err().errno(), libc::EPIPE);
}
