//! Tests of blocked control packets.

use std::time::Duration;

use super::*;
use crate::errno::{EAGAIN, ENOBUFS, EPERM};
use crate::fixtures::Scene;
use crate::io::backpressure::CONTROL_TIMEOUT;

#[test]
fn retries_of_answers_are_counted_by_kind() {
    let scene = Scene::new();
    let _ = scene.first_ping();
    let half_way = Instant::now() - CONTROL_TIMEOUT / 2;
    for answer in scene.answers() {
        scene.shared.control_queue.push(scene.blocked(answer, half_way));
    }
    ControlRetry::default().work(&scene.shared, &mut ControlSender::default());
    let stats = scene.stats();
    assert_eq!((stats.tx_pong_packets, stats.tx_pong_retries), (1, 1));
    assert_eq!((stats.tx_pmtu_packets, stats.tx_pmtu_retries), (1, 1));
    assert_eq!((stats.tx_retries(), stats.tx_errors()), (2, 0));
}

/// libknet counts pings as sent that were not.
#[test]
fn a_refused_packet_is_counted_as_an_error_of_its_kind_and_not_as_sent() {
    let scene = Scene::new();
    let refused = |packet| {
        scene.script(&[Some(EPERM)]);
        let mut sender = ControlSender::default();
        assert!(sender.try_send(&scene.shared, packet).is_ok(), "it is not retried");
        let stats = scene.stats();
        assert_eq!((stats.tx_packets(), stats.tx_retries()), (0, 0));
        (stats.tx_ping_errors, stats.tx_pong_errors, stats.tx_pmtu_errors)
    };
    assert_eq!(refused(scene.first_ping()), (1, 0, 0));
    let [pong, reply] = scene.answers();
    assert_eq!(refused(pong), (1, 1, 0));
    assert_eq!(refused(reply), (1, 1, 1));
}

#[test]
fn a_packet_is_retried_long_before_it_expires() {
    let scene = Scene::new();
    let mut retry = ControlRetry::default();
    let half_way = Instant::now() - CONTROL_TIMEOUT / 2;
    let packet = scene.ping(half_way);
    assert_eq!(packet.expires, half_way + CONTROL_TIMEOUT);
    scene.shared.control_queue.push(packet);
    retry.work(&scene.shared, &mut ControlSender::default());
    assert_eq!(retry.next_timeout(), None, "it is still blocked");
    scene.assert_sent_after_a_retry();
}

/// Retries a packet that has waited since then, while the kernel refuses it with this number. Returns whether it is
/// still blocked.
fn retry_in_vain(scene: &Scene, then: Instant, errno: i32) -> (ControlRetry, bool) {
    let mut retry = ControlRetry::default();
    scene.shared.control_queue.push(scene.ping(then));
    scene.script(&[Some(errno)]);
    retry.work(&scene.shared, &mut ControlSender::default());
    let is_blocked = retry.next_timeout().is_some();
    (retry, is_blocked)
}

#[test]
fn a_packet_expires_if_there_is_still_no_room() {
    for (then, expected) in [(CONTROL_TIMEOUT, false), (CONTROL_TIMEOUT / 2, true)] {
        let (scene, then) = (Scene::new(), Instant::now() - then);
        assert_eq!(retry_in_vain(&scene, then, EAGAIN).1, expected);
        let stats = scene.stats();
        assert_eq!((stats.tx_ping_packets, stats.tx_ping_retries), (0, 1));
        assert_eq!(stats.tx_ping_errors, u64::from(!expected));
    }
}

/// Its socket would report room at once.
#[test]
fn a_packet_that_a_device_has_no_room_for_waits_by_the_clock() {
    for (errno, is_watched) in [(ENOBUFS, false), (EAGAIN, true)] {
        let scene = Scene::new();
        let then = Instant::now() - CONTROL_TIMEOUT / 2;
        let (_retry, is_blocked) = retry_in_vain(&scene, then, errno);
        assert!(is_blocked);
        assert_eq!(scene.events().iter().any(|event| event.writable), is_watched);
    }
}

#[test]
fn packets_of_a_full_socket_are_not_all_tried() {
    let scene = Scene::new();
    scene.add_links(7);
    scene.script(&[Some(EAGAIN)]);
    ControlSender::default().send_due(&scene.shared);
    scene.script(&[Some(EAGAIN)]);
    let mut retry = ControlRetry::default();
    retry.record_room();
    retry.work(&scene.shared, &mut ControlSender::default());
    let sent: u64 = scene.all_stats().iter().map(|stats| stats.tx_ping_packets).sum();
    assert_eq!(sent, 0, "one is tried, and that is refused");
    assert_eq!(retry.packets.len(), 8);
}

#[test]
fn a_packet_leaves_as_soon_as_its_socket_has_room() {
    let scene = Scene::new();
    let mut retry = ControlRetry::default();
    let mut sender = ControlSender::default();
    assert_eq!(scene.events(), []);
    let far = Instant::now() + Duration::from_secs(3600);
    let packet = scene.ping(far);
    scene.shared.control_queue.push(packet);
    retry.work(&scene.shared, &mut sender);
    let next = retry.next_timeout().expect("it is blocked");
    assert!(
        (far..far + CONTROL_TIMEOUT / 2).contains(&next),
        "retried although no room was reported"
    );

    assert!(scene.events().iter().all(|event| event.writable) && !scene.events().is_empty());
    retry.record_room();
    retry.work(&scene.shared, &mut sender);
    scene.assert_sent_after_a_retry();
    assert_eq!(scene.events(), [], "no socket is watched for room");
}

#[test]
fn of_a_flood_of_packets_the_oldest_of_the_link_are_kept() {
    let scene = Scene::new();
    let mut retry = ControlRetry::default();
    let far = Instant::now() + Duration::from_secs(3600);
    let _ = scene.first_ping();
    for number in 0..MAX_PER_LINK as u32 {
        let [answer, _] = scene.answers();
        scene.shared.control_queue.push(scene.blocked(answer, far + number * SECOND));
        retry.work(&scene.shared, &mut ControlSender::default());
    }
    assert_eq!(scene.stats().tx_errors(), 0);
    for answer in scene.answers() {
        scene.shared.control_queue.push(scene.blocked(answer, far - SECOND));
    }
    retry.work(&scene.shared, &mut ControlSender::default());
    assert_eq!(retry.packets.len(), MAX_PER_LINK);
    assert!(retry.next_timeout().is_some_and(|next| next >= far), "the first ones are kept");
    let stats = scene.stats();
    assert_eq!((stats.tx_pong_errors, stats.tx_pmtu_errors), (1, 1), "the others are dropped");
}

#[test]
fn a_ping_that_says_too_little_by_now_is_dropped() {
    let scene = Scene::new();
    scene.shared.control_queue.push(scene.ping(Instant::now() - CONTROL_TIMEOUT / 2));
    let _ = scene.shared.sequence.next();
    ControlRetry::default().work(&scene.shared, &mut ControlSender::default());
    let stats = scene.stats();
    assert_eq!((stats.tx_ping_packets, stats.tx_ping_retries, stats.tx_ping_errors), (0, 0, 1));
}

const SECOND: Duration = Duration::from_secs(1);
