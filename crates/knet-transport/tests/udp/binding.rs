//! Options of a bound socket, read back from the kernel.

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use knet_transport::{BindError, Dscp, QosMarking, ReceiveBatch, SocketOptions, UdpSocket};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use crate::loopback::{bind, both_families, receive, send_one};

/// Reads an option that has an integer value.
#[allow(unsafe_code)]
fn option(socket: &UdpSocket, level: libc::c_int, number: libc::c_int) -> libc::c_int {
    let mut value: libc::c_int = -1;
    let mut len = size_of_val(&value) as libc::socklen_t;
    let (out, out_len) = ((&raw mut value).cast(), &raw mut len);
    // SAFETY: both out-pointers are to live locals, and `len` is the size of `value`.
    let result =
        unsafe { libc::getsockopt(socket.as_fd().as_raw_fd(), level, number, out, out_len) };
    Errno::result(result).unwrap();
    value
}

#[test]
fn descriptors_are_closed_on_exec_and_never_block() {
    for local in both_families() {
        let socket = bind(local);
        let flags = FdFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_NONBLOCK));
    }
}

#[test]
fn options_that_links_require_are_set() {
    let [v4, v6] = both_families().map(bind);
    assert_eq!(option(&v4, libc::IPPROTO_IP, libc::IP_FREEBIND), 1);
    assert_eq!(option(&v4, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_PROBE);
    assert_eq!(option(&v4, libc::IPPROTO_IP, libc::IP_RECVERR), 1);

    assert_eq!(option(&v6, libc::IPPROTO_IP, libc::IP_FREEBIND), 1);
    assert_eq!(option(&v6, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), 1);
    let discover = option(&v6, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER);
    assert_eq!(discover, libc::IPV6_PMTUDISC_PROBE);
    assert_eq!(option(&v6, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), 1);
    assert_eq!(option(&v6, libc::IPPROTO_IPV6, libc::IPV6_RECVERR), 1);

    for socket in [&v4, &v6] {
        assert_eq!(option(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR), 0);
        assert_eq!(option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY), 0);
    }
    assert_eq!(option(&v4, libc::IPPROTO_IP, libc::IP_TOS), 0);
    assert_eq!(option(&v6, libc::IPPROTO_IPV6, libc::IPV6_TCLASS), 0);
}

/// Returns the traffic class and the priority of a socket.
fn marks(socket: &UdpSocket) -> (libc::c_int, libc::c_int) {
    let class = match socket.local_addr() {
        SocketAddr::V4(_) => option(socket, libc::IPPROTO_IP, libc::IP_TOS),
        SocketAddr::V6(_) => option(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    (class, option(socket, libc::SOL_SOCKET, libc::SO_PRIORITY))
}

#[test]
fn packets_are_marked_as_requested_from_the_start_and_later() {
    let expedited = Some(Dscp::try_from(46).unwrap());
    let cases = [
        (QosMarking { priority: true, dscp: None }, (0x10, 6)),
        (QosMarking { priority: true, dscp: expedited }, (46 << 2, 6)),
        // The same class again, for which the kernel would keep the priority.
        (QosMarking { priority: false, dscp: expedited }, (46 << 2, 0)),
        (QosMarking { priority: false, dscp: Some(Dscp::MAX) }, (63 << 2, 0)),
        (QosMarking { priority: false, dscp: None }, (0, 0)),
    ];
    let live = both_families().map(bind);
    for (marking, expected) in cases {
        let options = SocketOptions { marking, ..SocketOptions::default() };
        for (local, live) in both_families().into_iter().zip(&live) {
            let socket = UdpSocket::bind(local, &options).unwrap();
            assert_eq!(marks(&socket), expected, "{marking:?} at {local}");
            live.mark(marking).unwrap();
            assert_eq!(marks(live), expected, "{marking:?} at {local}, later");
        }
    }
}

#[test]
fn the_port_that_the_kernel_selects_is_reported() {
    for local in both_families() {
        let [one, two] = [bind(local), bind(local)];
        assert_eq!(one.local_addr().ip(), local.ip());
        assert_ne!(one.local_addr().port(), 0);
        assert_ne!(one.local_addr(), two.local_addr());
    }
}

#[test]
fn addresses_that_do_not_exist_yet_can_be_bound() {
    for local in ["192.0.2.77:0", "[2001:db8::77]:0"] {
        let local: SocketAddr = local.parse().unwrap();
        assert_eq!(bind(local).local_addr().ip(), local.ip());
    }
}

#[test]
fn a_port_in_use_is_an_error_with_the_address() {
    for local in both_families() {
        let socket = bind(local);
        let taken = socket.local_addr();
        let error = UdpSocket::bind(taken, &SocketOptions::default()).unwrap_err();
        assert!(matches!(error, BindError::AddressInUse { address } if address == taken));
        assert_eq!(error.errno(), libc::EADDRINUSE);
        assert!(error.to_string().starts_with(&format!("{taken} is in use")));
    }
}

#[test]
fn ipv6_sockets_do_not_occupy_ipv4_ports() {
    // Another process may have one of the ports by chance, but not all of them.
    let taken = (0..10).all(|_| {
        let v6 = bind("[::]:0".parse().unwrap());
        let same_port = SocketAddr::from(([0, 0, 0, 0], v6.local_addr().port()));
        UdpSocket::bind(same_port, &SocketOptions::default()).is_err()
    });
    assert!(!taken);
}

#[test]
fn an_address_that_cannot_be_bound_is_an_error_with_the_address() {
    let without_scope: SocketAddr = "[fe80::1]:0".parse().unwrap();
    let error = UdpSocket::bind(without_scope, &SocketOptions::default()).unwrap_err();
    assert!(matches!(error, BindError::Bind { address, .. } if address == without_scope));
    assert_eq!(error.errno(), libc::EINVAL);
    // Programs that print errors with their sources would print it twice.
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}");
}

#[test]
fn buffers_have_the_reported_sizes() {
    let options = SocketOptions { buffer_size: 100_000, ..SocketOptions::default() };
    for local in both_families() {
        let socket = UdpSocket::bind(local, &options).unwrap();
        let report = socket.buffers();
        assert!(report.is_full());
        assert_eq!(report.wanted, 100_000);
        let receive = option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF);
        assert_eq!(usize::try_from(receive).unwrap(), report.receive);
        let send = option(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF);
        assert_eq!(usize::try_from(send).unwrap(), report.send);
    }
}

#[test]
fn buffers_larger_than_the_system_allows_are_reported_and_the_socket_works() {
    let options = SocketOptions { buffer_size: usize::MAX, ..SocketOptions::default() };
    for local in both_families() {
        let socket = UdpSocket::bind(local, &options).unwrap();
        let report = socket.buffers();
        assert!(!report.is_full());
        assert_eq!(report.wanted, usize::MAX);
        send_one(&socket, b"still works", socket.local_addr());
        let mut batch = ReceiveBatch::new(1, 100);
        assert_eq!(receive(&socket, &mut batch), 1);
        assert_eq!(batch.get(0).unwrap().bytes, b"still works");
    }
}

#[test]
fn gro_is_set_only_if_asked_for_and_a_refusal_is_reported() {
    for local in both_families() {
        for gro in [false, true] {
            let socket =
                UdpSocket::bind(local, &SocketOptions { gro, ..SocketOptions::default() }).unwrap();
            let is_set = option(&socket, libc::SOL_UDP, libc::UDP_GRO) == 1;
            assert_eq!(is_set, gro && socket.gro_error().is_none());
            assert!(gro || socket.gro_error().is_none());
        }
    }
}
