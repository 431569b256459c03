//! Tests of the thread knet-rx.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU16, Ordering};

use knet_engine::forced_ping_due;
use knet_transport::{Datagram, SendBatch, SocketOptions, UdpSocket};

use super::*;
use crate::filter::InstalledFilter;
use crate::fixtures::{DEADLINE, Scene};
use crate::{FilterMessage, Verdict};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn the_thread_does_not_sleep_past_the_next_retry_of_a_control_packet() {
    let scene = Scene::new();
    let shared = &scene.shared;
    shared.control_queue.push(scene.ping(Instant::now() + Duration::from_millis(100)));
    let mut thread = RxThread::new(shared);
    let wakes = thread.serve_timers().expect("pings are always due");
    assert!(thread.retry.next_timeout().is_none_or(|next| wakes <= next));
}

#[test]
fn the_thread_sends_the_pings_that_announce_one_number_in_thousands() {
    let scene = Scene::new();
    let _ = scene.first_ping();
    let mut sender = ControlSender::default();
    while !forced_ping_due(sender.next_number(&scene.shared)) {}
    assert_eq!(scene.stats().tx_ping_packets, 0, "the sender has messages to send");
    let mut thread = RxThread::new(&scene.shared);
    for _ in 0..2 {
        thread.serve_timers();
        assert_eq!(scene.stats().tx_ping_packets, 1);
    }
}

#[test]
fn only_messages_make_the_thread_poll() {
    let scene = Scene::new();
    let mut thread = RxThread::new(&scene.shared);
    // Every wait is short.
    thread.busy_wait = BusyWait::new(LONG);
    for _ in 0..20 {
        scene.receive(b"?");
        assert!(thread.turn(Some(DEADLINE)));
    }
    assert_eq!(scene.shared.query(|engine, _| engine.drops().malformed), 20);
    assert_eq!(thread.busy_wait.polling_time(), Duration::ZERO);
    let _ = scene.first_probe();
    scene.receive_message(1);
    assert!(thread.turn(Some(DEADLINE)));
    assert!(thread.busy_wait.polling_time() > Duration::ZERO);
}

#[test]
fn a_flush_ends_at_its_deadline_whatever_is_left() {
    const PACKETS: u64 = 200;
    let scene = Scene::new();
    (0..PACKETS).for_each(|_| scene.receive(b"?"));
    let mut thread = RxThread::new(&scene.shared);
    let handled = || scene.shared.query(|engine, _| engine.drops().malformed);
    thread.receive_until(Instant::now());
    assert!((1..PACKETS).contains(&handled()), "{}", handled());
    thread.receive_until(Instant::now() + DEADLINE);
    assert_eq!(handled(), PACKETS);
}

/// Receives 256 datagrams with one call, in runs that the kernel does not cut, and then returns whether a
/// control packet that was due was retried meanwhile.
fn is_retried_meanwhile(slice: Duration) -> bool {
    let scene = Scene::new();
    let mut thread = RxThread::new(&scene.shared);
    thread.slice = slice;
    let local = (Ipv4Addr::LOCALHOST, 0).into();
    let stranger = UdpSocket::bind(local, &SocketOptions::default()).unwrap();
    let (payload, destination) = (&[0; 20], scene.addr());
    let datagram = Datagram { header: &[], payload, destination, source: None, marking: None };
    let sent = stranger.send(&mut SendBatch::new(64), &[datagram; 256]);
    assert_eq!(sent.sent, 256, "{:?}", sent.error);
    scene.shared.control_queue.push(scene.ping(Instant::now() - Duration::from_millis(25)));
    assert_eq!(thread.receive_batch(scene.socket()), Outcome::Batch);
    let received = scene.shared.query(|engine, _| engine.drops().malformed);
    assert!(received > BATCH as u64, "{received} came with one call");
    scene.stats().tx_ping_packets == 1
}

#[test]
fn timers_are_served_while_many_datagrams_are_handled() {
    assert!(is_retried_meanwhile(Duration::ZERO));
    assert!(!is_retried_meanwhile(LONG));
}

#[test]
fn errors_are_read_although_datagrams_keep_coming() {
    let scene = Scene::new();
    let _ = scene.first_probe();
    scene.shared.forwarding.store(true, Ordering::Relaxed);
    // Each message is followed by another before it is handled.
    let (send, start, number) = (scene.message_sender(), Instant::now(), AtomicU16::new(2));
    let filter = move |_: &mut FilterMessage<'_>| {
        if start.elapsed() < DEADLINE {
            send(number.fetch_add(1, Ordering::Relaxed));
        }
        Verdict::Reject
    };
    scene.shared.set_filter(Some(InstalledFilter::new(filter)));
    scene.receive_message(1);
    let mut thread = RxThread::new(&scene.shared);
    thread.receive(scene.socket(), true);
    assert_eq!(thread.receive_batch(scene.socket()), Outcome::Batch, "the flood goes on");
}

#[test]
fn datagrams_that_are_too_long_are_counted() {
    let scene = Scene::new();
    let mut thread = RxThread::new(&scene.shared);
    thread.inbox = Inbox::with_room(4);
    for datagram in [&b"12345"[..], b"1234", b"123456"] {
        scene.receive(datagram);
    }
    let drops = || scene.shared.query(|engine, _| engine.drops());
    while drops().truncated + drops().malformed < 3 {
        assert!(thread.turn(Some(DEADLINE)));
    }
    assert_eq!((drops().truncated, drops().malformed), (2, 1));
}
