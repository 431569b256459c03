//! Tests of sending control packets.

use std::net::{Ipv4Addr, UdpSocket};

use super::*;
use crate::errno::{EAGAIN, EPERM};
use crate::fixtures::{DEADLINE, Scene};

/// Counts messages up to the next one that is announced by pings.
fn next_announced(scene: &Scene, sender: &mut ControlSender) {
    while !forced_ping_due(SequenceNumber::new(scene.shared.sequence.current().get() + 1)) {
        let _ = sender.next_number(&scene.shared);
    }
    assert!(forced_ping_due(sender.next_number(&scene.shared)));
}

#[test]
fn the_sender_announces_its_numbers_if_knet_rx_is_busy_for_thousands_of_messages() {
    let scene = Scene::new();
    let _ = scene.first_ping();
    let mut sender = ControlSender::default();
    next_announced(&scene, &mut sender);
    assert!(scene.is_rx_woken(), "knet-rx does not know of the pings");
    next_announced(&scene, &mut sender);
    assert_eq!(scene.stats().tx_ping_packets, 1);
}

#[test]
fn packets_of_a_full_socket_are_tried_once_and_left_to_knet_rx() {
    let scene = Scene::new();
    scene.add_links(7);
    scene.script(&[Some(EAGAIN)]);
    let _ = scene.is_rx_woken();
    let mut sender = ControlSender::default();
    sender.send_due(&scene.shared);
    assert!(scene.is_rx_woken(), "knet-rx does not know of the blocked packets");
    let mut blocked = Vec::new();
    scene.shared.control_queue.take(&mut blocked);
    assert_eq!(blocked.len(), 8);
    assert_eq!(scene.stats().tx_ping_packets, 0);
}

#[test]
fn a_refused_packet_does_not_hold_up_those_behind_it() {
    let scene = Scene::new();
    scene.add_links(7);
    scene.script(&[Some(EPERM)]);
    ControlSender::default().send_due(&scene.shared);
    assert_eq!(scene.stats().tx_ping_errors, 1);
    let sent = scene.all_stats().iter().map(|stats| stats.tx_ping_packets).sum::<u64>();
    assert_eq!(sent, 7);
}

#[test]
fn a_probe_that_is_too_long_for_the_kernel_is_followed_by_a_shorter_one() {
    let scene = Scene::new();
    let probe = scene.first_probe();
    let (length, mut sender) = (probe.probe_size().unwrap(), ControlSender::default());
    let _ = scene.is_rx_woken();
    scene.script(&[Some(EMSGSIZE)]);
    assert!(sender.try_send(&scene.shared, probe).is_ok(), "it is not retried");
    assert!(scene.is_rx_woken(), "knet-rx does not know of the next deadline");
    let mut next = VecDeque::new();
    scene.shared.take_transmits(&mut next);
    let sizes: Vec<_> = next.iter().filter_map(Transmit::probe_size).collect();
    assert!(matches!(sizes[..], [shorter] if shorter < length), "{sizes:?} after {length}");
}

/// The kernel may keep them, and the limit of the socket must know what they are.
#[test]
fn packets_for_links_that_are_down_are_recorded_at_their_socket() {
    let scene = Scene::new();
    scene.add_links(7);
    ControlSender::default().send_due(&scene.shared);
    assert_eq!(scene.stats().tx_ping_packets, 1);
    let socket = scene.shared.sockets.get(scene.socket()).unwrap();
    assert!(socket.limit.unclaimed(Instant::now()) > 8 * 26);
}

#[test]
fn a_burst_of_packets_leaves_no_memory_behind() {
    let scene = Scene::new();
    let ping = scene.first_ping();
    let queue = std::iter::repeat_n(ping, 10 * MAX_SPARE).collect();
    let mut sender = ControlSender { queue, ..ControlSender::default() };
    sender.send_due(&scene.shared);
    assert_eq!(scene.stats().tx_ping_packets, 10 * MAX_SPARE as u64);
    assert!(sender.queue.capacity() < 2 * MAX_SPARE);
}

#[test]
fn an_error_that_another_thread_reads_wakes_knet_rx() {
    let deserted = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // Connected to itself, it accepts datagrams from no other.
    let remote = deserted.local_addr().unwrap();
    deserted.connect(remote).unwrap();
    let scene = Scene::to(remote, deserted);
    let mut sender = ControlSender::default();
    assert!(sender.try_send(&scene.shared, scene.first_ping()).is_ok());
    let give_up = Instant::now() + DEADLINE;
    let _ = scene.is_rx_woken();
    while sender.read_errors(&scene.shared, scene.socket()).unwrap() == 0 {
        assert!(!scene.is_rx_woken() && Instant::now() < give_up, "no error comes");
    }
    assert!(scene.is_rx_woken());
}

#[test]
fn a_refused_probe_wakes_knet_rx() {
    let scene = Scene::new();
    let mut sender = ControlSender::default();
    let probe = scene.first_probe();
    let _ = scene.is_rx_woken();
    sender.handle_refusal(&scene.shared, probe, &SendError::from_errno(EMSGSIZE));
    assert!(scene.is_rx_woken(), "the next probe has a deadline");
}
