//! Runs of equally long datagrams that the kernel segments and coalesces (GSO, GRO).

use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};

use crate::loopback::{bind, both_families, receive, request};

/// Reports the time of arrival.
const SO_TIMESTAMPNS: libc::c_int = 35;
/// Reports the mark of netfilter, since Linux 5.19.
const SO_RCVMARK: libc::c_int = 75;

fn coalescing(local: std::net::SocketAddr) -> UdpSocket {
    UdpSocket::bind(local, &SocketOptions { gro: true, ..SocketOptions::default() }).unwrap()
}

/// Receives `count` datagrams and returns the length and first byte of each.
fn arrivals(socket: &UdpSocket, batch: &mut ReceiveBatch, count: usize) -> Vec<(usize, u8)> {
    let mut all = Vec::new();
    while all.len() < count {
        receive(socket, batch);
        for datagram in batch.iter() {
            assert!(!datagram.truncated);
            assert!(datagram.bytes.iter().all(|&byte| byte == datagram.bytes[0]));
            all.push((datagram.bytes.len(), datagram.bytes[0]));
        }
    }
    all
}

#[test]
fn runs_arrive_as_single_datagrams() {
    let lengths =
        [&[1400; 46][..], &[9, 9, 9, 4, 9, 9, 10, 10, 2], &[30_000; 5], &[1; 70]].concat();
    let bytes: Vec<Vec<u8>> =
        lengths.iter().enumerate().map(|(n, &len)| vec![(n % 251) as u8; len]).collect();
    for local in both_families() {
        for make in [bind, coalescing] {
            let [near, far] = [bind(local), make(local)];
            let destination = far.local_addr();
            let datagrams: Vec<_> = bytes
                .iter()
                .map(|all| {
                    let (header, payload) = all.split_at(all.len() / 3);
                    Datagram { header, payload, destination, source: None, marking: None }
                })
                .collect();
            let progress = near.send(&mut SendBatch::new(64), &datagrams);
            assert_eq!((progress.sent, progress.error), (datagrams.len(), None));
            let mut batch = ReceiveBatch::new(3, ReceiveBatch::MAX_SIZE);
            let expected: Vec<_> = bytes.iter().map(|all| (all.len(), all[0])).collect();
            assert_eq!(arrivals(&far, &mut batch, expected.len()), expected);
        }
    }
}

/// Somebody who shares the open file requests control messages that leave no room for the length of the
/// datagrams of a run. Without it, a run looks like one long datagram.
#[test]
fn a_run_of_unknown_length_counts_as_truncated() {
    for local in both_families() {
        let [near, far] = [bind(local), coalescing(local)];
        if !request(&far, SO_TIMESTAMPNS) || !request(&far, SO_RCVMARK) {
            return;
        }
        let destination = far.local_addr();
        let datagram =
            Datagram { header: b"x", payload: b"y", destination, source: None, marking: None };
        let progress = near.send(&mut SendBatch::new(64), &[datagram; 5]);
        assert_eq!((progress.sent, progress.error), (5, None));
        let mut batch = ReceiveBatch::new(64, ReceiveBatch::MAX_SIZE);
        assert_eq!(receive(&far, &mut batch), 1);
        let run = batch.get(0).unwrap();
        assert_eq!((run.bytes, run.truncated), (&b"xyxyxyxyxy"[..], true));
    }
}

#[test]
fn a_run_is_received_in_one_buffer() {
    for local in both_families() {
        let [near, far] = [bind(local), coalescing(local)];
        let destination = far.local_addr();
        let datagrams = [Datagram {
            header: b"head",
            payload: b"body",
            destination,
            source: None,
            marking: None,
        }; 64];
        assert_eq!(near.send(&mut SendBatch::new(64), &datagrams).sent, 64);
        let mut batch = ReceiveBatch::new(1, ReceiveBatch::MAX_SIZE);
        receive(&far, &mut batch);
        assert_eq!(batch.len(), 64);
        assert!(batch.iter().all(|one| one.bytes == b"headbody"));
        assert!(batch.iter().all(|one| one.source == near.local_addr()));
        assert_eq!(batch.get(63).unwrap().bytes, b"headbody");
        assert_eq!(batch.get(64), None);
    }
}

#[test]
fn datagrams_to_several_destinations_do_not_mix() {
    for local in both_families() {
        let [near, one, two] = [bind(local), coalescing(local), coalescing(local)];
        let to = |far: &UdpSocket, payload| Datagram {
            header: b"",
            payload,
            destination: far.local_addr(),
            source: None,
            marking: None,
        };
        let datagrams =
            [to(&one, b"1"), to(&one, b"2"), to(&two, b"3"), to(&two, b"4"), to(&one, b"5")];
        assert_eq!(near.send(&mut SendBatch::new(64), &datagrams).sent, 5);
        let mut batch = ReceiveBatch::new(8, ReceiveBatch::MAX_SIZE);
        assert_eq!(arrivals(&one, &mut batch, 3), [(1, b'1'), (1, b'2'), (1, b'5')]);
        assert_eq!(arrivals(&two, &mut batch, 2), [(1, b'3'), (1, b'4')]);
    }
}
