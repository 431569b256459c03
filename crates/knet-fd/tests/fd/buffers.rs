//! Buffer sizes.

use std::{fs, net::UdpSocket};

use knet_fd::{BufferDirection, BufferError, set_buffer_sizes};
use nix::sys::socket::{getsockopt, sockopt};

use crate::samples::{new_socket, tcp};
use nix::sys::socket::{AddressFamily, SockType};

/// Returns the system's limit for unprivileged processes in bytes.
fn limit(name: &str) -> usize {
    let text = fs::read_to_string(format!("/proc/sys/net/core/{name}")).unwrap();
    text.trim().parse().unwrap()
}

/// Returns `true` if this process may exceed the limits (`CAP_NET_ADMIN`).
fn is_privileged() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & (1 << 12) != 0
}

#[test]
fn the_report_matches_the_kernel() {
    for socket in [
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        tcp().0.into(),
        new_socket(AddressFamily::Unix, SockType::SeqPacket),
    ] {
        for wanted in [10_000, 100_000] {
            let report = set_buffer_sizes(&socket, wanted).unwrap();
            assert_eq!(report.wanted, wanted);
            assert_eq!(report.receive, getsockopt(&socket, sockopt::RcvBuf).unwrap());
            assert_eq!(report.send, getsockopt(&socket, sockopt::SndBuf).unwrap());
            assert!(report.is_full(), "{report:?}");
            assert!(report.receive < 4 * wanted && report.send < 4 * wanted, "{report:?}");
        }
    }
}

#[test]
fn sizes_above_the_limit_are_forced_or_reported_as_smaller() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The kernel doubles sizes, so up to twice the limit is available without force.
    let wanted = 4 * limit("rmem_max").max(limit("wmem_max"));
    let report = set_buffer_sizes(&socket, wanted).unwrap();
    assert_eq!(report.is_full(), is_privileged(), "{report:?}");
    assert!(report.receive >= limit("rmem_max") && report.send >= limit("wmem_max"), "{report:?}");
}

#[test]
fn absurd_sizes_are_not_an_error() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for wanted in [i32::MAX as usize + 1, usize::MAX] {
        let report = set_buffer_sizes(&socket, wanted).unwrap();
        assert!(!report.is_full());
        assert!(report.receive >= limit("rmem_max") && report.send >= limit("wmem_max"));
    }
    let report = set_buffer_sizes(&socket, 0).unwrap();
    assert!(report.is_full(), "the kernel has a minimum size: {report:?}");
}

#[test]
fn only_sockets_have_buffers() {
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    let error = set_buffer_sizes(&reader, 4096).unwrap_err();
    let BufferError::Resize { direction: BufferDirection::Receive, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.errno(), libc::ENOTSOCK);
    assert!(error.to_string().contains("receive buffer"), "{error}");
}
