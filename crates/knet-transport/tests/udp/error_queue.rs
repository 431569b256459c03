//! Errors that the kernel reports after a datagram was sent.

use std::net::SocketAddr;

use knet_transport::{
    Datagram, ErrorOrigin, ErrorQueue, ReceiveBatch, ReceiveError, SocketError, SocketOptions,
    UdpSocket,
};
use nix::poll::PollFlags;
use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{TimestampingFlag, setsockopt};

use crate::loopback::{bind, both_families, polls_as, send, send_one, wait_for};

/// An address that rejects datagrams. A socket that is connected to itself has the port, so that no other
/// test gets it.
struct Deserted(std::net::UdpSocket);

impl Deserted {
    fn new(local: SocketAddr) -> Deserted {
        let socket = std::net::UdpSocket::bind(local).unwrap();
        socket.connect(socket.local_addr().unwrap()).unwrap();
        Deserted(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// Sends to an address that rejects datagrams, and waits for the error.
fn provoke(socket: &UdpSocket, destination: &Deserted) {
    send_one(socket, b"hello", destination.address());
    wait_for(socket, PollFlags::empty());
}

fn drain(socket: &UdpSocket) -> Vec<SocketError> {
    let mut scratch = ErrorQueue::new();
    std::iter::from_fn(|| socket.receive_error(&mut scratch).unwrap()).collect()
}

#[test]
fn an_unreachable_port_is_reported_with_its_address() {
    for local in both_families() {
        let socket = bind(local);
        assert_eq!(drain(&socket), []);
        let gone = [Deserted::new(local), Deserted::new(local)];
        for destination in &gone {
            provoke(&socket, destination);
        }
        let errors = drain(&socket);
        assert_eq!(errors.len(), 2);
        for (error, destination) in errors.iter().zip(&gone) {
            assert_eq!(error.origin, ErrorOrigin::Icmp);
            assert_eq!(error.errno, libc::ECONNREFUSED);
            assert_eq!(error.destination, Some(destination.address()));
            assert_eq!(error.mtu, None);
        }
    }
}

#[test]
fn an_error_is_polled_until_the_queue_is_empty() {
    for local in both_families() {
        let socket = bind(local);
        provoke(&socket, &Deserted::new(local));
        provoke(&socket, &Deserted::new(local));
        let mut scratch = ErrorQueue::default();
        assert!(socket.receive_error(&mut scratch).unwrap().is_some());
        assert!(polls_as(&socket).contains(PollFlags::POLLERR));
        assert!(socket.receive_error(&mut scratch).unwrap().is_some());
        assert_eq!(socket.receive_error(&mut scratch).unwrap(), None);
        assert_eq!(polls_as(&socket), PollFlags::empty());
    }
}

#[test]
fn a_pending_error_fails_no_later_datagram() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let destination = far.local_addr();
        let datagrams = [b"1", b"2"].map(|header| Datagram {
            header,
            payload: b"",
            destination,
            source: None,
            marking: None,
        });
        provoke(&near, &Deserted::new(local));
        let progress = send(&near, &datagrams);
        assert_eq!((progress.sent, progress.error), (2, None));
        assert_eq!(far.receive(&mut ReceiveBatch::new(4, 4)).unwrap(), 2);
        assert_eq!(drain(&near).len(), 1, "the error queue has the reason");
    }
}

#[test]
fn a_pending_error_loses_no_received_datagram() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        provoke(&near, &Deserted::new(local));
        send_one(&far, b"hello", near.local_addr());
        let mut batch = ReceiveBatch::new(4, 16);
        let error = near.receive(&mut batch).unwrap_err();
        assert!(matches!(error, ReceiveError::Pending { .. }));
        assert_eq!(error.errno(), libc::ECONNREFUSED);
        assert!(batch.is_empty());
        assert_eq!(near.receive(&mut batch).unwrap(), 1);
        assert_eq!(batch.get(0).unwrap().bytes, b"hello");
        assert_eq!(drain(&near).len(), 1, "the error queue has the reason");
    }
}

/// Somebody who shares the open file has the time of each sent datagram reported, in the same queue.
#[test]
fn entries_without_an_error_are_skipped_a_few_at_a_time() {
    for local in both_families() {
        let [near, far] = [bind(local), bind(local)];
        let times = TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(&near, Timestamping, &times).unwrap();
        for _ in 0..200 {
            send_one(&near, b"x", far.local_addr());
        }
        let mut scratch = ErrorQueue::new();
        assert_eq!(near.receive_error(&mut scratch).unwrap(), None);
        assert!(polls_as(&near).contains(PollFlags::POLLERR), "there are more");
        provoke(&near, &Deserted::new(local));
        let mut calls = 1;
        let error = loop {
            calls += 1;
            if let Some(error) = near.receive_error(&mut scratch).unwrap() {
                break error;
            }
            assert!(calls < 200, "the error is lost");
        };
        assert_eq!(error.errno, libc::ECONNREFUSED);
        assert!(calls < 10, "{calls}");
    }
}

/// If the receive buffer is full, the kernel drops the entry, but not the error. Unless that is read too, a
/// poller spins.
#[test]
fn an_error_that_does_not_fit_the_queue_is_returned() {
    for local in both_families() {
        let far = bind(local);
        let options = SocketOptions { buffer_size: 1, ..Default::default() };
        let tiny = UdpSocket::bind(local, &options).unwrap();
        let fill = vec![0; 1_000];
        for _ in 0..50 {
            send_one(&far, &fill, tiny.local_addr());
        }
        provoke(&tiny, &Deserted::new(local));
        while polls_as(&tiny).contains(PollFlags::POLLERR) {
            assert_ne!(drain(&tiny), []);
        }
    }
}
