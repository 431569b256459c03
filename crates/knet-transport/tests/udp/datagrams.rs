//! Sending and receiving datagrams in batches.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use knet_transport::{Datagram, ReceiveBatch, SendBatch, UdpSocket};
use nix::poll::PollFlags;

use crate::loopback::{bind, both_families, polls_as, receive, send, send_one};

/// Receives `count` datagrams.
fn collect(socket: &UdpSocket, batch: &mut ReceiveBatch, count: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < count {
        receive(socket, batch);
        for datagram in batch.iter() {
            assert!(!datagram.truncated);
            all.push(datagram.bytes.to_vec());
        }
    }
    all
}

#[test]
fn header_and_payload_arrive_as_one_with_their_source() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        let datagrams = [(&b"head"[..], &b"body"[..]), (b"head", b""), (b"", b"body"), (b"", b"")]
            .map(|(header, payload)| Datagram {
                header,
                payload,
                destination,
                source: None,
                marking: None,
            });
        assert_eq!(send(&near, &datagrams).sent, 4);

        let mut batch = ReceiveBatch::new(64, 100);
        let received = collect(&far, &mut batch, 4);
        assert_eq!(received, [&b"headbody"[..], b"head", b"body", b""]);
        assert!(batch.iter().all(|datagram| datagram.source == near.local_addr()));
        assert_eq!(far.receive(&mut batch).unwrap(), 0);
        assert!(batch.is_empty());
    }
}

#[test]
fn batches_of_mixed_sizes_arrive_whole_and_in_order() {
    const SIZES: [usize; 9] = [0, 1, 1400, 65_507, 3, 9000, 0, 65_507, 77];
    let bytes: Vec<u8> = (0..65_507_u32).map(|n| (n * 7 % 251) as u8).collect();
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        // IPv6 has a longer header, and datagrams beyond the MTU of loopback are not fragmented.
        let longest = if local.is_ipv4() { 65_507 } else { 65_487 };
        let payloads = SIZES.map(|size| &bytes[..size.min(longest)]);
        let datagrams = payloads.map(|all| {
            let (header, payload) = all.split_at(all.len() / 3);
            Datagram { header, payload, destination, source: None, marking: None }
        });
        let mut outgoing = SendBatch::new(64);
        let mut incoming = ReceiveBatch::new(5, 65_535);
        for _ in 0..20 {
            let progress = near.send(&mut outgoing, &datagrams);
            assert_eq!((progress.sent, progress.error), (SIZES.len(), None));
            assert_eq!(collect(&far, &mut incoming, SIZES.len()), payloads);
        }
    }
}

#[test]
fn any_number_of_datagrams_is_sent_with_any_capacity() {
    let numbers: Vec<[u8; 2]> = (0..150_u16).map(u16::to_be_bytes).collect();
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        let datagrams: Vec<_> = numbers
            .iter()
            .map(|n| Datagram { header: n, payload: b"", destination, source: None, marking: None })
            .collect();
        for capacity in [1, 7, 64, 1000] {
            let progress = near.send(&mut SendBatch::new(capacity), &datagrams);
            assert_eq!((progress.sent, progress.error), (150, None));
            assert_eq!(collect(&far, &mut ReceiveBatch::new(1000, 2), 150), numbers);
        }
    }
}

#[test]
fn a_batch_goes_to_many_destinations() {
    for local in both_families() {
        let near = bind(local);
        let far: Vec<_> = (0..5).map(|_| bind(local)).collect();
        let names: Vec<_> = far.iter().map(|socket| socket.local_addr().to_string()).collect();
        let datagrams: Vec<_> = far
            .iter()
            .zip(&names)
            .map(|(socket, name)| Datagram {
                header: b"",
                payload: name.as_bytes(),
                destination: socket.local_addr(),
                source: None,
                marking: None,
            })
            .collect();
        assert_eq!(send(&near, &datagrams).sent, 5);
        for (socket, name) in far.iter().zip(&names) {
            assert_eq!(collect(socket, &mut ReceiveBatch::new(2, 64), 1), [name.as_bytes()]);
        }
    }
}

#[test]
fn sending_nothing_is_not_an_error() {
    let socket = bind(both_families()[0]);
    let progress = send(&socket, &[]);
    assert_eq!((progress.sent, progress.error), (0, None));
}

#[test]
fn a_receive_returns_at_most_the_capacity() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        for number in 0..10 {
            send_one(&near, &[number], far.local_addr());
        }
        let mut batch = ReceiveBatch::new(4, 1);
        let counts: Vec<_> = (0..4).map(|_| far.receive(&mut batch).unwrap()).collect();
        assert_eq!(counts, [4, 4, 2, 0]);
    }
}

#[test]
fn truncation_is_reported_and_affects_no_other_datagram() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        for payload in [&b"0123456789"[..], b"0123456789x", b"short", b""] {
            send_one(&near, payload, far.local_addr());
        }
        let mut batch = ReceiveBatch::new(64, 10);
        assert_eq!(receive(&far, &mut batch), 4);
        let got: Vec<_> = batch.iter().map(|one| (one.bytes, one.truncated)).collect();
        let expected =
            [(&b"0123456789"[..], false), (b"0123456789", true), (b"short", false), (b"", false)];
        assert_eq!(got, expected);
        assert_eq!(batch.get(2), batch.iter().nth(2));
        assert_eq!(batch.get(4), None);
    }
}

#[test]
fn a_receive_replaces_earlier_datagrams() {
    let local = both_families()[0];
    let [near, far] = [bind(local), bind(local)];
    let mut batch = ReceiveBatch::new(8, 32);
    for payload in [&b"a long datagram"[..], b"brief", b"a long one again"] {
        send_one(&near, payload, far.local_addr());
        assert_eq!(receive(&far, &mut batch), 1);
        assert_eq!(batch.get(0).unwrap().bytes, payload);
    }
    assert_eq!(far.receive(&mut batch).unwrap(), 0);
    assert_eq!(batch.get(0), None);
}

#[test]
fn a_socket_is_readable_only_while_a_datagram_is_queued() {
    let local = both_families()[1];
    let [near, far] = [bind(local), bind(local)];
    assert_eq!(polls_as(&far), PollFlags::empty());
    send_one(&near, b"x", far.local_addr());
    assert_eq!(receive(&far, &mut ReceiveBatch::new(1, 1)), 1);
    assert_eq!(polls_as(&far), PollFlags::empty());
}

#[test]
fn an_idle_socket_is_writable_immediately() {
    for local in both_families() {
        assert_eq!(bind(local).wait_writable(Duration::ZERO), Ok(true));
        assert_eq!(bind(local).wait_writable(Duration::MAX), Ok(true));
    }
}

/// Batches must be `Send`.
#[test]
fn threads_share_a_socket_with_a_batch_per_thread() {
    const EACH: usize = 100;
    let local = both_families()[0];
    let [near, far] = [bind(local), bind(local)];
    let destination: SocketAddr = far.local_addr();
    let mut received = thread::scope(|scope| {
        for sender in 0..2_u8 {
            let (near, mut outgoing) = (&near, SendBatch::new(8));
            scope.spawn(move || {
                for number in 0..EACH as u8 {
                    let header = &[sender, number];
                    let datagram =
                        Datagram { header, payload: b"", destination, source: None, marking: None };
                    assert_eq!(near.send(&mut outgoing, &[datagram]).sent, 1);
                }
            });
        }
        let (far, mut incoming) = (&far, ReceiveBatch::new(8, 2));
        scope.spawn(move || collect(far, &mut incoming, 2 * EACH)).join().unwrap()
    });
    received.sort();
    received.dedup();
    assert_eq!(received.len(), 2 * EACH);
}
