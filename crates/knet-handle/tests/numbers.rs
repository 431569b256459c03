//! Datafds are found by their numbers, whatever the application does with its descriptors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use knet_handle::{Channel, ChannelRequest, DatafdSource, Error, Handle, HostId};

fn handle() -> Handle {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let _ = handle.datafd_events();
    handle
}

#[test]
fn a_number_that_its_owner_closed_is_not_given_to_another_datafd() {
    let handle = handle();
    let (brought, _peer) = UnixStream::pair().unwrap();
    let number = brought.as_raw_fd();
    handle.add_datafd(DatafdSource::Fd(brought.as_fd()), ChannelRequest::Any).unwrap();
    drop(brought);

    // The kernel assigns the lowest free number: unless another test is faster, the closed one.
    let created = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    assert_ne!(created.number(), number);
    assert_eq!(handle.channel_of(&created).unwrap(), Channel::ALL[1]);
    created.remove().unwrap();
    assert_eq!(handle.channels(), [Channel::ALL[0]]);
    handle.remove_datafd(number).unwrap();
}

/// Runs itself again in a process that has a socket as standard input.
#[test]
fn a_datafd_that_is_standard_input_can_be_removed() {
    const CHILD: &str = "KNET_TEST_STANDARD_INPUT_IS_A_SOCKET";
    if std::env::var_os(CHILD).is_some() {
        return standard_input_is_added_and_removed();
    }
    let (stdin, _peer) = UnixStream::pair().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_datafd_that_is_standard_input_can_be_removed"])
        .env(CHILD, "1")
        .stdin(Stdio::from(OwnedFd::from(stdin)))
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

fn standard_input_is_added_and_removed() {
    let handle = handle();
    let none = handle.remove_datafd(0).unwrap_err();
    assert!(matches!(none, Error::UnknownDatafd { fd: 0 }), "{none}");
    let stdin = std::io::stdin();
    let datafd = handle.add_datafd(DatafdSource::Fd(stdin.as_fd()), ChannelRequest::Any).unwrap();
    assert_eq!(datafd.number(), 0);
    datafd.remove().unwrap();
    assert!(handle.channels().is_empty());
}
