//! Sockets that are bound to all addresses of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use knet_transport::{Datagram, ErrorOrigin, ErrorQueue, ReceiveBatch, SocketOptions, UdpSocket};
use nix::poll::PollFlags;

use crate::loopback::{bind, both_families, receive, send, send_one, wait_for};

/// Returns the address of all addresses in the family of `local`.
fn all(local: SocketAddr) -> SocketAddr {
    let ip: IpAddr = match local {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    (ip, 0).into()
}

/// Returns an address of the same family that no machine has (RFC 5737, RFC 3849).
fn foreign(local: SocketAddr) -> IpAddr {
    match local {
        SocketAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    }
}

fn datagram(header: &[u8], destination: SocketAddr, source: Option<IpAddr>) -> Datagram<'_> {
    Datagram { header, payload: b"", destination, source, marking: None }
}

/// Receives as many datagrams as `expected`. Returns each with its sender's and its own address.
fn received(socket: &UdpSocket, expected: usize) -> Vec<(Vec<u8>, IpAddr, Option<IpAddr>)> {
    let (mut batch, mut all) = (ReceiveBatch::new(64, ReceiveBatch::MAX_SIZE), Vec::new());
    while all.len() < expected {
        receive(socket, &mut batch);
        all.extend(batch.iter().map(|one| (one.bytes.to_vec(), one.source.ip(), one.local)));
    }
    all
}

#[test]
fn only_a_socket_for_all_addresses_reports_the_one_that_was_spoken_to() {
    for local in both_families() {
        let (near, bound, any) = (bind(local), bind(local), bind(all(local)));
        send_one(&near, b"bound", bound.local_addr());
        send_one(&near, b"any", (local.ip(), any.local_addr().port()).into());
        assert_eq!(received(&bound, 1), [(b"bound".to_vec(), local.ip(), None)]);
        assert_eq!(received(&any, 1), [(b"any".to_vec(), local.ip(), Some(local.ip()))]);
    }
}

#[test]
fn datagrams_of_a_batch_leave_from_the_addresses_that_they_name() {
    let any = bind(all((Ipv4Addr::LOCALHOST, 0).into()));
    let far = bind((Ipv4Addr::LOCALHOST, 0).into());
    let [one, two] = [[127, 0, 0, 2], [127, 0, 1, 3]].map(IpAddr::from);
    let sources = [Some(one), Some(one), None, Some(two), Some(one), Some(two), Some(two)];
    let names: Vec<_> = (0..7_u8).map(|n| [n; 9]).collect();
    let each = names.iter().zip(sources);
    let datagrams: Vec<_> =
        each.map(|(name, source)| datagram(name, far.local_addr(), source)).collect();
    let progress = send(&any, &datagrams);
    assert_eq!((progress.sent, progress.error), (7, None));
    let found: Vec<_> = received(&far, 7).into_iter().map(|(name, from, _)| (name, from)).collect();
    let expected = names.iter().zip(sources);
    let chosen = IpAddr::from(Ipv4Addr::LOCALHOST);
    let expected: Vec<_> =
        expected.map(|(name, source)| (name.to_vec(), source.unwrap_or(chosen))).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_datagram_of_a_coalesced_run_has_the_address_that_was_spoken_to() {
    for local in both_families() {
        let near = bind(local);
        let options = SocketOptions { gro: true, ..SocketOptions::default() };
        let any = UdpSocket::bind(all(local), &options).unwrap();
        let to = (local.ip(), any.local_addr().port()).into();
        let progress = send(&near, &[datagram(b"run", to, None); 10]);
        assert_eq!((progress.sent, progress.error), (10, None));
        let expected = (b"run".to_vec(), local.ip(), Some(local.ip()));
        assert_eq!(received(&any, 10), vec![expected; 10]);
    }
}

#[test]
fn an_address_that_the_machine_no_longer_has_is_not_used() {
    for local in both_families() {
        let (any, far) = (bind(all(local)), bind(local));
        let source = Some(foreign(local));
        let to = far.local_addr();
        let datagrams =
            [datagram(b"1", to, source), datagram(b"2", to, source), datagram(b"3", to, None)];
        let progress = send(&any, &datagrams);
        assert_eq!((progress.sent, progress.error, progress.gso_disabled), (3, None, false));
        let names: Vec<_> =
            received(&far, 3).into_iter().map(|(name, from, _)| (name, from)).collect();
        let expected = [b"1", b"2", b"3"].map(|name| (name.to_vec(), local.ip()));
        assert_eq!(names, expected);
    }
}

#[test]
fn the_error_queue_of_a_socket_for_all_addresses_is_whole() {
    for local in both_families() {
        let any = bind(all(local));
        let deserted = std::net::UdpSocket::bind(local).unwrap();
        let destination = deserted.local_addr().unwrap();
        deserted.connect(destination).unwrap();
        let progress = send(&any, &[datagram(b"x", destination, Some(local.ip()))]);
        assert_eq!((progress.sent, progress.error), (1, None));
        wait_for(&any, PollFlags::empty());
        let error = any.receive_error(&mut ErrorQueue::new()).unwrap().unwrap();
        assert_eq!(error.destination, Some(destination));
        assert_eq!((error.origin, error.errno), (ErrorOrigin::Icmp, libc::ECONNREFUSED));
    }
}
