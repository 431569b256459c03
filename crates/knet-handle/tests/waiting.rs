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
    let (report, reports) = mpsc::channel();
    thread::spawn(move || {
        // The first wait ends at once, and shows that the thread runs.
        for timeout in [Duration::ZERO, Duration::MAX] {
            report.send(host.wait_until_reachable(timeout).unwrap_err()).unwrap();
        }
    });
    let first = reports.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(first, Error::NotReachable { .. }), "{first}");
    handle.remove_host(HostId::new(2)).unwrap();
    let second = reports.recv_timeout(DEADLINE).expect("the wait for a removed host ends");
    assert!(matches!(second, Error::Host(HostError::Unknown(_))), "{second}");
}

const DEADLINE: Duration = Duration::from_secs(10);
