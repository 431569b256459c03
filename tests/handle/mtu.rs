//! The manual MTU and its effect on fragments (`docs/wire-format.md`, "Fragments" and "Length
//! arithmetic").

use std::time::Duration;

use knet_tests::cluster::{Cluster, link_id, message};
use knet_tests::network::{in_own_network, ip};
use knet_tests::wait::{DEADLINE, next_like, receive, until};
use kronosnet::{Error, HostId, MAX_MESSAGE, MtuError, MtuEvent, Notification};

/// Length of the IPv4 and UDP headers, and of the header that MTU arithmetic charges to a packet.
const OVERHEAD: usize = 28 + 26;

#[test]
fn without_a_manual_mtu_it_is_discovered_and_reported() {
    let cluster = Cluster::pair();
    let events = cluster.handle(1).mtu_events();
    let whole = usize::from(u16::MAX) - OVERHEAD;
    cluster.handle(1).set_manual_mtu(None).unwrap();
    assert_eq!(cluster.handle(1).manual_mtu(), None);
    // The loopback interface carries the longest packet possible.
    let (host, link) = (HostId::new(2), link_id(0));
    let mut all = [
        MtuEvent::Link { host, link, data_mtu: whole },
        MtuEvent::Host { host, data_mtu: whole },
        MtuEvent::Handle { data_mtu: whole },
    ]
    .into_iter();
    let mut expected = all.next();
    next_like(&events, |event| {
        if expected.as_ref() == Some(event) {
            expected = all.next();
        }
        expected.is_none()
    });
    assert_eq!(cluster.handle(1).data_mtu(), whole);
    let link = cluster.link(1, 2, 0);
    until("the search is over", || !link.status().unwrap().searching_mtu);
    assert_eq!(link.status().unwrap().path_mtu, Some(usize::from(u16::MAX)));
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let packets = || link.status().unwrap().stats.tx_data_packets;
    let before = packets();
    from.send(&message(MAX_MESSAGE, 5)).unwrap();
    assert!(receive(&to) == message(MAX_MESSAGE, 5));
    assert_eq!(packets() - before, 2);
}

#[test]
fn a_callback_gets_each_change_until_it_is_removed() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (report, reports) = crossbeam_channel::unbounded();
    handle.on_mtu_event(move |handle, Notification { event, .. }| {
        if let MtuEvent::Handle { data_mtu } = *event {
            report.send((data_mtu, handle.data_mtu())).unwrap();
        }
    });
    for onwire in [600, 1000] {
        handle.set_manual_mtu(Some(onwire)).unwrap();
        let data_mtu = usize::from(onwire) - OVERHEAD;
        assert_eq!(reports.recv_timeout(DEADLINE).unwrap(), (data_mtu, data_mtu));
    }
    let events = handle.mtu_events();
    handle.clear_on_mtu_event();
    handle.set_manual_mtu(Some(700)).unwrap();
    next_like(&events, |event| *event == MtuEvent::Handle { data_mtu: 700 - OVERHEAD });
    let gone = crossbeam_channel::RecvTimeoutError::Disconnected;
    assert_eq!(reports.recv_timeout(DEADLINE), Err(gone), "the callback is dropped");
}

#[test]
fn the_interval_of_the_search_is_limited() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    assert_eq!(handle.mtu_interval(), Duration::from_secs(60));
    for seconds in [0, 86_401] {
        let asked = Duration::from_secs(seconds);
        let error = handle.set_mtu_interval(asked).unwrap_err();
        let named =
            matches!(error, Error::Mtu(MtuError::Interval { interval }) if interval == asked);
        assert!(named, "{error}");
        assert_eq!(error.errno(), nix::libc::EINVAL);
    }
    handle.set_mtu_interval(Duration::from_secs(1)).unwrap();
    assert_eq!(handle.mtu_interval(), Duration::from_secs(1));
}

#[test]
fn a_manual_mtu_determines_the_fragments() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let sent = || cluster.link(1, 2, 0).status().unwrap().stats.tx_data_packets;
    for onwire in [333, 400, 576, 1500, 9000, 65_535] {
        cluster.handle(1).set_manual_mtu(Some(onwire)).unwrap();
        assert_eq!(cluster.handle(1).manual_mtu(), Some(onwire));
        let data_mtu = usize::from(onwire) - OVERHEAD;
        assert_eq!(cluster.handle(1).data_mtu(), data_mtu);
        assert_eq!(cluster.peer(1, 2).status().unwrap().data_mtu, Some(data_mtu));
        for length in [1, data_mtu, data_mtu + 1, MAX_MESSAGE] {
            let before = sent();
            from.send(&message(length, 5)).unwrap();
            assert!(receive(&to) == message(length, 5), "{length} bytes at {onwire}");
            let packets = usize::try_from(sent() - before).unwrap();
            assert_eq!(packets, length.div_ceil(data_mtu), "{length} bytes at {onwire}");
        }
    }
}

#[test]
fn an_mtu_with_which_a_message_would_not_fit_is_refused() {
    let cluster = Cluster::pair();
    for onwire in [0, 1, 54, 100, 332] {
        let error = cluster.handle(1).set_manual_mtu(Some(onwire)).unwrap_err();
        let named = matches!(error, Error::Mtu(MtuError::TooSmall { onwire: given, least: 333 })
            if given == onwire);
        assert!(named, "{error}");
        assert_eq!(error.errno(), nix::libc::EINVAL);
    }
    assert_eq!(cluster.handle(1).manual_mtu(), Some(576), "as it was");
}

#[test]
fn the_mtu_may_change_under_traffic() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for number in 0..200 {
        let onwire = 333 + 37 * u16::try_from(number % 50).unwrap();
        cluster.handle(1).set_manual_mtu(Some(onwire)).unwrap();
        assert_eq!(nix::unistd::write(&from, &message(5000, number)), Ok(5000));
        assert!(receive(&to) == message(5000, number));
    }
}

#[test]
fn a_packet_that_the_interface_refuses_is_an_error() {
    in_own_network(|| ip("link set lo mtu 1500"), too_big);
}

fn too_big((): ()) {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    cluster.handle(1).set_manual_mtu(Some(9000)).unwrap();
    let error = from.send(&message(5000, 1)).unwrap_err();
    assert!(matches!(error, Error::NotSent { .. }), "{error}");
    assert_eq!(error.errno(), nix::libc::EMSGSIZE);
    nix::unistd::write(&from, &message(5000, 2)).unwrap();
    let stats = cluster.stats(1, 0);
    assert_eq!((stats.tx_too_long, stats.tx_not_sent, stats.tx_messages), (2, 0, 0));
    let link = cluster.link(1, 2, 0).status().unwrap();
    assert_eq!((link.stats.tx_data_errors, link.stats.tx_data_packets), (2, 0));
    assert!(link.state.is_up(), "smaller ones pass");

    from.send(&message(100, 3)).unwrap();
    assert_eq!(receive(&to), message(100, 3));
    cluster.handle(1).set_manual_mtu(Some(1500)).unwrap();
    from.send(&message(5000, 4)).unwrap();
    assert_eq!(receive(&to), message(5000, 4));
}
