//! Datagrams that the kernel refuses.

use std::fs;
use std::net::SocketAddr;

use knet_transport::{
    Datagram, ErrorOrigin, ErrorQueue, ReceiveBatch, SendBatch, SendErrorKind, SocketError,
    UdpSocket,
};

use crate::loopback::{bind, both_families, receive, send};

fn drain(socket: &UdpSocket) -> Vec<SocketError> {
    let mut scratch = ErrorQueue::new();
    std::iter::from_fn(|| socket.receive_error(&mut scratch).unwrap()).collect()
}

/// Returns the MTU of loopback in bytes.
fn loopback_mtu() -> usize {
    fs::read_to_string("/sys/class/net/lo/mtu").unwrap().trim().parse().unwrap()
}

/// Returns the length of the longest datagram that fits the MTU of loopback with the headers of IP and UDP.
/// An IPv4 packet has at most 65,535 bytes, regardless of the MTU.
fn longest(family: SocketAddr) -> usize {
    if family.is_ipv4() { loopback_mtu().min(65_535) - 20 - 8 } else { loopback_mtu() - 40 - 8 }
}

/// Creates a datagram that does not fit. One byte less would not fit either, but would be within an MTU of
/// 65,536, for which IPv4 refuses it in another place and with another error.
fn too_long(family: SocketAddr) -> Vec<u8> {
    vec![2; longest(family) + 2]
}

#[test]
fn a_datagram_beyond_the_mtu_is_reported_with_its_index_and_the_rest_can_be_sent() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        let fits = vec![1; longest(local)];
        let exceeds = too_long(local);
        for refused in 0..3 {
            let mut payloads = [&b"0"[..], b"1", b"2", &fits];
            payloads[refused] = &exceeds;
            let datagrams = payloads.map(|payload| Datagram {
                header: b"",
                payload,
                destination,
                source: None,
                marking: None,
            });
            let progress = send(&near, &datagrams);
            assert_eq!(progress.sent, refused);
            let error = progress.error.unwrap();
            assert_eq!(error.kind(), SendErrorKind::TooBig);
            assert_eq!(error.errno(), libc::EMSGSIZE);

            let rest = &datagrams[refused + 1..];
            let progress = send(&near, rest);
            assert_eq!((progress.sent, progress.error), (rest.len(), None));
            let mut batch = ReceiveBatch::new(64, 65_535);
            let mut received = Vec::new();
            while received.len() < 3 {
                receive(&far, &mut batch);
                received.extend(batch.iter().map(|datagram| datagram.bytes.to_vec()));
            }
            payloads.iter().filter(|&&payload| payload != exceeds).zip(received).for_each(
                |(&payload, received)| {
                    assert_eq!(payload, received, "a datagram is lost or changed");
                },
            );

            let errors = drain(&near);
            assert!(!errors.is_empty());
            for error in errors {
                assert_eq!(error.origin, ErrorOrigin::Local);
                assert_eq!(error.errno, libc::EMSGSIZE);
                let reported = error.destination.unwrap();
                assert_eq!(reported.ip(), destination.ip());
                assert_eq!(error.mtu, Some(loopback_mtu() as u32), "{error:?}");
            }
        }
    }
}

#[test]
fn the_index_of_a_refused_datagram_counts_across_system_calls() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        let exceeds = too_long(local);
        let mut datagrams =
            [Datagram { header: b"x", payload: b"", destination, source: None, marking: None }; 10];
        datagrams[7].payload = &exceeds;
        let progress = near.send(&mut SendBatch::new(3), &datagrams);
        assert_eq!(progress.sent, 7);
        assert_eq!(progress.error.unwrap().kind(), SendErrorKind::TooBig);
        assert_eq!(far.receive(&mut ReceiveBatch::new(64, 8)).unwrap(), 7);
    }
}

#[test]
fn destinations_that_a_socket_cannot_reach_are_reported() {
    for local in both_families() {
        let near = bind(local);
        let other_family = both_families().into_iter().find(|other| !same_family(local, *other));
        let mut wrong_family = other_family.unwrap();
        wrong_family.set_port(5405);
        for (destination, number) in [
            (wrong_family, if local.is_ipv4() { libc::EAFNOSUPPORT } else { libc::ENETUNREACH }),
            (SocketAddr::new(local.ip(), 0), libc::EINVAL),
        ] {
            let progress = send(
                &near,
                &[Datagram {
                    header: b"x",
                    payload: b"",
                    destination,
                    source: None,
                    marking: None,
                }],
            );
            assert_eq!(progress.sent, 0);
            let error = progress.error.unwrap();
            assert_eq!(error.kind(), SendErrorKind::Unreachable, "{destination}: {error}");
            assert_eq!(error.errno(), number, "{destination}: {error}");
        }
    }
}

fn same_family(one: SocketAddr, other: SocketAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

#[test]
fn a_datagram_that_udp_cannot_carry_is_too_big() {
    for local in both_families() {
        let near = bind(local);
        let payload = &vec![0; 70_000];
        let destination = near.local_addr();
        let progress = send(
            &near,
            &[Datagram { header: b"", payload, destination, source: None, marking: None }],
        );
        assert_eq!(progress.sent, 0);
        assert_eq!(progress.error.unwrap().kind(), SendErrorKind::TooBig);
    }
}
