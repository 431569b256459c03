//! Tests of retries.

use std::net::Ipv4Addr;
use std::time::Duration;

use knet_engine::{LinkStats, MAX_SEQUENCE_LAG, Routes, SocketId};

use super::*;
use crate::Handle;
use crate::fixtures::{DEADLINE, to_itself};
use crate::io::backpressure::RetryAt;
use crate::tx::message::Message;
use crate::tx::transmitter::Transmitter;

fn blocked(socket: SocketId, copies: Range<usize>, since: Instant) -> Blocked {
    Blocked { socket, copies, retry_at: RetryAt::behind_others(since), since }
}

/// A handle that has numbered so many messages, and a transmitter with packets of these numbers.
fn numbered(current: u16, numbers: &[u16]) -> (Handle, Transmitter) {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let shared = handle.shared();
    while shared.sequence.next().get() < current {}
    let mut transmitter = Transmitter::default();
    let nowhere = (SocketId(1), (Ipv4Addr::LOCALHOST, 9).into());
    for &number in numbers {
        transmitter.plan.add(shared.own, nowhere, number);
    }
    (handle, transmitter)
}

fn renumber(handle: &Handle, transmitter: &mut Transmitter) -> Vec<u16> {
    let copies = 0..transmitter.plan.copies.len();
    let routes = handle.shared().routes();
    transmitter.outgoing(handle.shared(), &routes, &[]).renumber(std::iter::once(copies));
    let plan = &transmitter.plan;
    plan.copies.iter().map(|copy| plan.packet(copy).unwrap().number().get()).collect()
}

#[test]
fn only_whole_messages_that_many_have_overtaken_get_new_numbers_and_once() {
    let current = MAX_SEQUENCE_LAG;
    let (handle, mut transmitter) = numbered(current, &[10, 11, 12, current - 5]);
    transmitter.plan.message_copies[0].left = true;
    for _ in 0..3 {
        let numbers = renumber(&handle, &mut transmitter);
        assert_eq!(numbers, [10, current + 1, current + 2, current - 5]);
        assert_eq!(handle.shared().sequence.current().get(), current + 2);
    }
}

/// A packet is shared by all hosts that it goes to.
#[test]
fn a_host_that_has_a_part_of_a_message_keeps_its_number_and_the_others_share_a_new_one() {
    let current = MAX_SEQUENCE_LAG;
    let (handle, mut transmitter) = numbered(current, &[10]);
    let plan = &mut transmitter.plan;
    for host in 1..3 {
        let (copy, message_copy) = (&plan.copies[0], plan.message_copies[0]);
        let copy = PacketCopies { message_copy: host, ..copy.clone() };
        plan.copies.push(copy);
        plan.message_copies.push(MessageCopy { host, ..message_copy });
    }
    plan.message_copies[1].left = true;
    let numbers = renumber(&handle, &mut transmitter);
    assert_eq!(numbers, [current + 1, 10, current + 1]);
    assert_eq!(transmitter.plan.packets.len(), 2, "the two hosts share the new packet");
}

/// With a long send timeout packets may be blocked while millions of messages overtake them.
#[test]
fn packets_that_are_renumbered_again_and_again_take_no_more_memory() {
    let (handle, mut transmitter) = numbered(MAX_SEQUENCE_LAG, &[10, 11]);
    let plan = &mut transmitter.plan;
    // The second message is for another host too, which has a part of it.
    let (copy, message_copy) = (&plan.copies[1], plan.message_copies[1]);
    let copy = PacketCopies { message_copy: 2, ..copy.clone() };
    plan.copies.push(copy);
    plan.message_copies.push(MessageCopy { host: 1, left: true, ..message_copy });
    let mut current = MAX_SEQUENCE_LAG;
    for _ in 0..5 {
        let numbers = renumber(&handle, &mut transmitter);
        assert_eq!(numbers, [current + 1, current + 2, 11]);
        assert_eq!(transmitter.plan.packets.len(), 3);
        current += MAX_SEQUENCE_LAG;
        while handle.shared().sequence.next().get() < current {}
    }
}

#[test]
fn packets_that_let_control_packets_go_first_do_not_expire_meanwhile() {
    let timeout = Duration::from_millis(1);
    let builder = Handle::builder(HostId::new(1)).send_timeout(timeout);
    let handle = builder.build().unwrap();
    let (shared, now) = (handle.shared(), Instant::now());
    let socket = SocketId(1);
    shared.backpressure.fill(socket, now.checked_sub(2 * timeout).unwrap());
    let long = Duration::from_secs(3600);
    shared.backpressure.let_control_go_first(socket, now + long);
    let mut transmitter = Transmitter::default();
    transmitter.plan.add(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
    transmitter.plan.blocked.push(blocked(socket, 0..1, now + long));
    let (routes, messages) = (shared.routes(), [Message::uncompressed(b"x")]);
    assert!(!transmitter.outgoing(shared, &routes, &messages).retry());
    assert_eq!(transmitter.plan.message_copies[0].refused, None);
}

#[test]
fn packets_without_a_link_count_as_a_retry_of_no_other_link() {
    let (handle, socket) = to_itself();
    let shared = handle.shared();
    let mut transmitter = Transmitter::default();
    transmitter.plan.add(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
    transmitter.plan.blocked.push(blocked(SocketId(socket.0 + 1), 0..0, Instant::now()));
    let (routes, messages) = (shared.routes(), [Message::uncompressed(b"x")]);
    assert!(transmitter.outgoing(shared, &routes, &messages).retry());
    let link = handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap();
    assert_eq!(link.status().unwrap().stats.tx_data_retries, 0);
}

/// A transmitter with one packet for the socket of the handle's link to itself, blocked since then.
fn blocked_to_itself(handle: &Handle, socket: SocketId, since: Instant) -> Transmitter {
    let mut transmitter = Transmitter::default();
    let shared = handle.shared();
    transmitter.plan.add(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
    transmitter.plan.blocked.push(blocked(socket, 0..1, since));
    shared.backpressure.fill(socket, since);
    transmitter
}

fn retry(handle: &Handle, transmitter: &mut Transmitter, routes: &Routes) -> bool {
    let messages = [Message::uncompressed(b"x")];
    transmitter.outgoing(handle.shared(), routes, &messages).retry()
}

fn link_stats(handle: &Handle) -> LinkStats {
    let link = handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap();
    link.status().unwrap().stats
}

#[test]
fn a_retried_packet_that_finds_room_is_sent_and_counted_as_one_retry() {
    let (handle, socket) = to_itself();
    let mut transmitter = blocked_to_itself(&handle, socket, Instant::now());
    assert!(retry(&handle, &mut transmitter, &handle.shared().routes()));
    let (copy, stats) = (transmitter.plan.message_copies[0], link_stats(&handle));
    assert_eq!((copy.left, copy.refused), (true, None));
    assert_eq!((stats.tx_data_packets, stats.tx_data_retries, stats.tx_data_errors), (1, 1, 0));
    assert!(!handle.shared().backpressure.has_blocked(socket));
}

#[test]
fn packets_of_a_link_that_goes_down_are_dropped_and_no_longer_block_others() {
    let (handle, socket) = to_itself();
    let routes = handle.shared().routes();
    let mut transmitter = blocked_to_itself(&handle, socket, Instant::now());
    handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap().disable().unwrap();
    assert!(retry(&handle, &mut transmitter, &routes));
    let (copy, stats) = (transmitter.plan.message_copies[0], link_stats(&handle));
    assert_eq!((copy.left, copy.refused), (false, Some(NotSent::Unreachable)));
    assert_eq!((stats.tx_data_packets, stats.tx_data_retries, stats.tx_data_errors), (0, 0, 1));
    assert!(!handle.shared().backpressure.has_blocked(socket));
}

#[test]
fn packets_are_renumbered_while_they_wait_for_their_turn() {
    let (handle, mut transmitter) = numbered(MAX_SEQUENCE_LAG, &[1]);
    let (backpressure, now) = (&handle.shared().backpressure, Instant::now());
    let socket = SocketId(1);
    backpressure.fill(socket, now);
    backpressure.let_control_go_first(socket, now + DEADLINE);
    transmitter.plan.blocked.push(blocked(socket, 0..1, now));
    assert!(!retry(&handle, &mut transmitter, &handle.shared().routes()));
    assert_eq!(transmitter.plan.packets[0].number().get(), MAX_SEQUENCE_LAG + 1);
}

#[test]
fn a_packet_that_expires_is_dropped_as_one_without_room() {
    let timeout = Duration::from_millis(1);
    let handle = Handle::builder(HostId::new(1)).send_timeout(timeout).build().unwrap();
    let (backpressure, now) = (&handle.shared().backpressure, Instant::now());
    let socket = SocketId(1);
    // Long ago others began to overtake it.
    let mut transmitter =
        blocked_to_itself(&handle, socket, now.checked_sub(100 * timeout).unwrap());
    backpressure.let_control_go_first(socket, now + DEADLINE);
    assert!(retry(&handle, &mut transmitter, &handle.shared().routes()));
    assert_eq!(transmitter.plan.message_copies[0].refused, Some(NotSent::QueueFull));
    assert!(!backpressure.has_blocked(socket));
}

/// Control packets have a head start that is longer than the test, and packets never expire.
#[test]
fn a_call_of_send_does_not_wait_past_its_deadline() {
    let handle = Handle::builder(HostId::new(1)).send_timeout(Duration::MAX).build().unwrap();
    let (shared, socket, now) = (handle.shared(), SocketId(1), Instant::now());
    let mut transmitter = blocked_to_itself(&handle, socket, now);
    shared.backpressure.let_control_go_first(socket, now + 10 * DEADLINE);
    let (routes, messages) = (shared.routes(), [Message::uncompressed(b"x")]);
    let deadline = Some(now + Duration::from_millis(5));
    transmitter.outgoing(shared, &routes, &messages).wait_for_room(deadline);
    assert!(now.elapsed() < DEADLINE, "it waited for the head start to end");
    assert_eq!(transmitter.plan.message_copies[0].refused, Some(NotSent::QueueFull));
    assert!(!shared.backpressure.has_blocked(socket), "others would be blocked behind it");
}

#[test]
fn packets_of_a_closed_socket_are_dropped_and_it_is_forgotten() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let closed = SocketId(1);
    let mut transmitter = blocked_to_itself(&handle, closed, Instant::now());
    handle.shared().backpressure.fill(closed, Instant::now());
    assert!(retry(&handle, &mut transmitter, &handle.shared().routes()));
    assert_eq!(transmitter.plan.message_copies[0].refused, Some(NotSent::Unreachable));
    assert!(!handle.shared().backpressure.has_blocked(closed), "others would be blocked behind it");
}
