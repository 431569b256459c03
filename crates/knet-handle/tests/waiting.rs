//! Waiting for a host to become reachable.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use knet_handle::{Error, Handle, HostError, HostId};

#[test]
fn waiting_ends_when_the_host_is_removed() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let host = handle.add_host(HostId::new(2)).unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // The first wait is over at once, and shows that the thread is here.
        for timeout in [Duration::ZERO, Duration::MAX] {
            tell.send(host.wait_until_reachable(timeout).unwrap_err()).unwrap();
        }
    });
    let first = told.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(first, Error::NotReachable { .. }), "{first}");
    handle.remove_host(HostId::new(2)).unwrap();
    let second = told.recv_timeout(DEADLINE).expect("waits for a host that is gone");
    assert!(matches!(second, Error::Host(HostError::Unknown(_))), "{second}");
}

const DEADLINE: Duration = Duration::from_secs(10);
