//! Which descriptors refer to the same open file.

use std::{
    fs::File,
    net::UdpSocket,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    os::unix::net::UnixStream,
};

use knet_fd::{FileComparison, compare_files, duplicate, is_open_as};

#[test]
fn duplicates_are_the_same_open_file() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let files: [OwnedFd; 4] = [
        socket.into(),
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        File::open("/dev/null").unwrap().into(),
        File::open("/dev/zero").unwrap().into(),
    ];
    for file in &files {
        let second = duplicate(file).unwrap();
        assert_ne!(compare_files(file, &second), Ok(FileComparison::Different));
        assert!(is_open_as(file, second.as_raw_fd()));
        for other in files.iter().filter(|other| other.as_raw_fd() != file.as_raw_fd()) {
            assert_eq!(compare_files(&second, other), Ok(FileComparison::Different));
            assert!(!is_open_as(&second, other.as_raw_fd()));
        }
    }
}

#[test]
fn a_number_that_is_used_again_is_another_file() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let kept = duplicate(&socket).unwrap();
    let (one, two) = UnixStream::pair().unwrap();
    for stranger in [one.as_fd(), two.as_fd()] {
        assert!(!is_open_as(&kept, stranger.as_raw_fd()));
    }
    assert!(is_open_as(&kept, socket.as_raw_fd()));
    for number in [-1, i32::MIN, i32::MAX] {
        assert!(!is_open_as(&kept, number), "{number}");
    }
}
