//! Tests of sending to sockets.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use knet_engine::{MAX_SEQUENCE_LAG, Routes};
use knet_wire::HostId;

use super::*;
use crate::Handle;
use crate::fixtures::{DEADLINE, HEADER};
use crate::io::backpressure::Turn;
use crate::tx::message::Message;
use crate::tx::transmitter::Transmitter;

/// Opens a socket of the handle, and one that receives what it sends.
fn sockets(handle: &Handle) -> (SocketId, UdpSocket) {
    let (any, shared) = ((Ipv4Addr::LOCALHOST, 0).into(), handle.shared());
    let (socket, _) = shared.sockets.acquire_new_port(any, &shared.rx.poller).unwrap();
    let receiver = UdpSocket::bind(any).unwrap();
    receiver.set_read_timeout(Some(DEADLINE)).unwrap();
    (socket, receiver)
}

/// Receives a packet with a message of one byte, and returns that.
fn receive(receiver: &UdpSocket) -> u8 {
    let mut buffer = [0; 100];
    let length = receiver.recv(&mut buffer).unwrap();
    buffer[length - 1]
}

/// Other threads number messages while a thread waits for room or is not run.
#[test]
fn a_message_that_thousands_have_overtaken_leaves_with_a_new_number() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (shared, (socket, receiver)) = (handle.shared(), sockets(&handle));
    let current = MAX_SEQUENCE_LAG + 1000;
    while shared.sequence.next().get() < current {}

    let oldest = current - MAX_SEQUENCE_LAG;
    let mut transmitter = Transmitter::default();
    for number in [current, oldest - 1, oldest, oldest - 1] {
        transmitter.plan.add(shared.own, (socket, receiver.local_addr().unwrap()), number);
    }
    // A part of the last one has left under its number.
    transmitter.plan.message_copies[3].left = true;
    let messages = [b"1", b"2", b"3", b"4"].map(|plain| Message::uncompressed(plain));
    let routes = Routes::default();
    let sent = transmitter.outgoing(shared, &routes, &messages).send_copies(0..4);
    assert!(sent.is_ok(), "there was room");
    for expected in [b'1', b'2', b'3'] {
        assert_eq!(receive(&receiver), expected);
    }
    let plan = transmitter.plan;
    let refused: Vec<_> = plan.message_copies.iter().map(|copy| copy.refused).collect();
    assert_eq!(refused, [None, None, None, Some(NotSent::QueueFull)]);
    let numbers: Vec<_> = plan.packets.iter().map(|packet| packet.number().get()).collect();
    assert_eq!(numbers, [current, current + 1, current + 2, oldest - 1]);
}

/// Adds more packets, of these bytes, to the only message of a plan.
fn add_packets(transmitter: &mut Transmitter, own: HostId, parts: &[Range<usize>]) {
    let plan = &mut transmitter.plan;
    for part in parts {
        let mut packet = Packet::new(HEADER, 0, part.clone());
        packet.set_number(knet_wire::SequenceNumber::new(1), own);
        plan.packets.push(packet);
    }
    plan.copies[0].packets.end = plan.packets.len();
}

#[test]
fn a_refused_packet_in_the_midst_of_a_message_does_not_hold_up_the_others() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (shared, (socket, receiver)) = (handle.shared(), sockets(&handle));
    let mut transmitter = Transmitter::default();
    let _ = (shared.sequence.next(), shared.sequence.next());
    transmitter.plan.add(shared.own, (socket, receiver.local_addr().unwrap()), 1);
    let long: Vec<u8> = (0..70_000_u32).map(|number| number as u8).collect();
    add_packets(&mut transmitter, shared.own, &[1..2, 0..70_000, 2..3, 3..4]);
    let (messages, routes) = ([Message::uncompressed(&long)], Routes::default());
    let sent = transmitter.outgoing(shared, &routes, &messages).send_copies(0..1);
    assert!(sent.is_ok(), "there was room");
    for expected in 0..4 {
        assert_eq!(receive(&receiver), expected);
    }
    let copy = transmitter.plan.message_copies[0];
    assert_eq!((copy.left, copy.refused), (true, Some(NotSent::TooLong)));
    assert!(transmitter.plan.copies[0].packets.is_empty(), "each has left or was dropped");
}

/// More packets than a system call takes, of two messages.
#[test]
fn the_packets_of_long_messages_leave_in_their_order() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (shared, (socket, receiver)) = (handle.shared(), sockets(&handle));
    let mut transmitter = Transmitter::default();
    let _ = (shared.sequence.next(), shared.sequence.next());
    transmitter.plan.add(shared.own, (socket, receiver.local_addr().unwrap()), 1);
    let parts: Vec<_> = (1..100).map(|at| at..at + 1).collect();
    add_packets(&mut transmitter, shared.own, &parts);
    transmitter.plan.add(shared.own, (socket, receiver.local_addr().unwrap()), 2);
    let long: Vec<u8> = (0..100).collect();
    let messages = [&long[..], b"\xff"].map(Message::uncompressed);
    let routes = Routes::default();
    let mut outgoing = transmitter.outgoing(shared, &routes, &messages);
    assert!(outgoing.send_copies(0..2).is_ok(), "there was room");
    for expected in (0..100).chain([0xff]) {
        assert_eq!(receive(&receiver), expected);
    }
}

#[test]
fn messages_leave_socket_by_socket_and_in_their_order() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (shared, pairs) = (handle.shared(), [(); 2].map(|()| sockets(&handle)));
    let mut transmitter = Transmitter::default();
    for (socket, receiver) in pairs.iter().rev().cycle().take(40) {
        transmitter.plan.add(shared.own, (*socket, receiver.local_addr().unwrap()), 0);
    }
    let plain: Vec<[u8; 1]> = (0..40).map(|number| [number]).collect();
    let messages: Vec<_> = plain.iter().map(|plain| Message::uncompressed(plain)).collect();
    transmitter.outgoing(shared, &Routes::default(), &messages).send();
    assert!(transmitter.plan.has_left());
    for (first, (_, receiver)) in (0..2).zip(pairs.iter().rev()) {
        for expected in (first..40).step_by(2) {
            assert_eq!(receive(receiver), expected);
        }
    }
    let numbers = transmitter.plan.packets.iter().map(|packet| packet.number().get());
    assert!(numbers.eq(1..=40), "messages are numbered in their order");
}

/// Both show that the socket is not full.
#[test]
fn packets_that_leave_or_are_refused_end_the_head_start_of_control_packets() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (shared, (socket, receiver)) = (handle.shared(), sockets(&handle));
    let mut transmitter = Transmitter::default();
    // `EACCES`: the socket has no `SO_BROADCAST`.
    let broadcast = (Ipv4Addr::BROADCAST, 9).into();
    for remote in [broadcast, receiver.local_addr().unwrap(), broadcast] {
        transmitter.plan.add(shared.own, (socket, remote), 0);
    }
    let messages = [b"1", b"2", b"3"].map(|plain| Message::uncompressed(plain));
    let (routes, now) = (Routes::default(), Instant::now());
    for at in 0..3 {
        shared.backpressure.let_control_go_first(socket, now + DEADLINE);
        assert_ne!(shared.backpressure.turn(socket, now, now), Turn::Send);
        let sent = transmitter.outgoing(shared, &routes, &messages).send_copies(at..at + 1);
        assert!(sent.is_ok(), "there was room");
        assert_eq!(shared.backpressure.turn(socket, now, now), Turn::Send);
    }
    assert_eq!(receive(&receiver), b'2');
    let copies = transmitter.plan.message_copies;
    let results: Vec<_> = copies.iter().map(|copy| (copy.left, copy.refused)).collect();
    let refused = (false, Some(NotSent::Refused { errno: 13 }));
    assert_eq!(results, [refused, (true, None), refused]);
}

#[test]
fn data_that_may_not_wait_goes_to_a_slow_device_all_the_same() {
    for (timeout, expected) in [(Duration::ZERO, 1), (Duration::MAX, 0)] {
        let handle = Handle::builder(HostId::new(1)).send_timeout(timeout).build().unwrap();
        let (shared, (socket, receiver)) = (handle.shared(), sockets(&handle));
        shared.sockets.get(socket).unwrap().script.lock().queued = Some(1 << 30);
        let mut transmitter = Transmitter::default();
        transmitter.plan.add(shared.own, (socket, receiver.local_addr().unwrap()), 0);
        let (messages, routes) = ([Message::uncompressed(b"1")], Routes::default());
        transmitter.outgoing(shared, &routes, &messages).send();
        let plan = transmitter.plan;
        assert_eq!(
            (usize::from(plan.message_copies[0].left), plan.blocked.len()),
            (expected, 1 - expected)
        );
    }
}
