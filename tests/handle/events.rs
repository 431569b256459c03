//! Callbacks and event streams.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::select;
use knet_tests::cluster::{Cluster, channel, exactly, link_id, set_enabled};
use knet_tests::descriptors::stream_pair;
use knet_tests::wait::{DEADLINE, next, next_like, receive};
use kronosnet::{
    DatafdSource, DownReason, Handle, HostId, LinkState, Notification, STREAM_CAPACITY,
};

/// Causes an event: a datafd that reaches its end, and is removed again.
fn one_event(handle: &Handle) {
    let (given, far) = stream_pair();
    let datafd = handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(0)).unwrap();
    drop(far);
    knet_tests::wait::until("the end is noticed", || {
        let status = handle.datafd_status(datafd.channel()).unwrap();
        status.state == kronosnet::DatafdState::Disabled
    });
    datafd.remove().unwrap();
}

#[test]
fn every_stream_gets_all_later_events() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let first = handle.datafd_events();
    one_event(&handle);
    next(&first);
    let second = handle.datafd_events();
    one_event(&handle);
    assert_eq!(next(&first), next(&second));
    assert!(first.is_empty() && second.is_empty());
}

#[test]
fn a_stream_is_bounded_and_counts_what_it_lost() {
    const MORE: usize = 44;
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (slow, quick) = (handle.datafd_events(), handle.datafd_events());
    let mut lost = 0;
    for _ in 0..STREAM_CAPACITY + MORE {
        one_event(&handle);
        let notification = quick.recv_timeout(DEADLINE).unwrap();
        lost = lost.max(notification.lost);
    }
    assert_eq!(lost, 0, "a reader that keeps up loses nothing");
    assert!(slow.len() <= STREAM_CAPACITY);
    let (all, last) = (slow.len(), slow.try_iter().last().unwrap());
    assert_eq!(all as u64 + last.lost, (STREAM_CAPACITY + MORE) as u64);
    one_event(&handle);
    assert_eq!(slow.recv_timeout(DEADLINE).unwrap().lost, last.lost);
}

#[test]
fn events_that_wait_for_a_callback_hide_no_host() {
    const FLOOD: u16 = 6000;
    let cluster = Cluster::new(3, 1);
    let handle = cluster.handle(1);
    let (gate, closed) = crossbeam_channel::bounded::<()>(0);
    handle.on_datafd_event(move |_, _| {
        let _ = closed.recv_timeout(DEADLINE);
    });
    let (report, reports) = crossbeam_channel::unbounded();
    handle.on_host_event(move |_, Notification { event, lost }| {
        report.send((event.host, event.reachable, *lost)).unwrap();
    });
    let (report_mtu, mtus) = crossbeam_channel::unbounded();
    handle.on_mtu_event(move |_, Notification { event, lost }| {
        report_mtu.send((event.data_mtu(), *lost)).unwrap();
    });

    one_event(handle);
    cluster.link(1, 3, 0).disable().unwrap();
    for number in 0..FLOOD {
        handle.set_manual_mtu(Some(600 + number % 100)).unwrap();
    }
    let now = handle.data_mtu();
    drop(gate);
    assert_eq!(reports.recv_timeout(DEADLINE), Ok((HostId::new(3), false, 0)));
    let mut events = 1;
    let lost = loop {
        let (data_mtu, lost) = mtus.recv_timeout(DEADLINE).unwrap();
        // Three for each change: of the link, of the host, and of the handle.
        if data_mtu == now && events + lost >= 3 * u64::from(FLOOD) {
            break lost;
        }
        events += 1;
    };
    assert!(lost > 0, "the callback learns what it missed");
}

#[test]
fn a_clone_of_a_stream_keeps_it_alive() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    #[expect(clippy::redundant_clone, reason = "the original is dropped at once")]
    let stream = handle.datafd_events().clone();
    one_event(&handle);
    next(&stream);
}

#[test]
fn a_dropped_stream_is_forgotten() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    drop(handle.datafd_events());
    let stream = handle.datafd_events();
    one_event(&handle);
    next(&stream);
}

#[test]
fn several_streams_can_be_selected_on() {
    let cluster = Cluster::pair();
    let (hosts, links) = (cluster.handle(1).host_events(), cluster.handle(1).link_events());
    let link = cluster.link(1, 2, 0);
    for up in [false, true] {
        set_enabled(&link, up);
        let (mut host_reported, mut link_reported) = (false, false);
        while !(host_reported && link_reported) {
            select! {
                recv(hosts.ready()) -> _ => {
                    for Notification { event, .. } in hosts.try_iter() {
                        assert_eq!((event.host, event.reachable), (HostId::new(2), up));
                        host_reported = true;
                    }
                }
                recv(links.ready()) -> _ => {
                    for Notification { event, .. } in links.try_iter() {
                        assert_eq!((event.host, event.link), (HostId::new(2), link_id(0)));
                        assert_eq!(event.state.is_up(), up);
                        link_reported = true;
                    }
                }
                default(DEADLINE) => panic!("no event came"),
            }
        }
    }
}

#[test]
fn events_arrive_in_the_order_of_their_causes() {
    let cluster = Cluster::pair();
    let events = cluster.handle(1).link_events();
    let link = cluster.link(1, 2, 0);
    for _ in 0..20 {
        link.disable().unwrap();
        link.enable().unwrap();
        knet_tests::cluster::wait_up(&link);
    }
    for _ in 0..20 {
        assert!(matches!(next(&events).state, LinkState::Down(_)));
        assert!(next(&events).state.is_up());
    }
}

#[test]
fn a_host_event_names_the_link_and_the_reason() {
    let cluster = Cluster::new(2, 2);
    let hosts = cluster.handle(1).host_events();
    cluster.link(1, 2, 0).disable().unwrap();
    cluster.link(1, 2, 1).disable().unwrap();
    let lost = next(&hosts);
    let down = LinkState::Down(DownReason::Disabled);
    assert_eq!((lost.reachable, lost.cause), (false, Some((link_id(1), down))));
    cluster.link(1, 2, 0).enable().unwrap();
    let found = next(&hosts);
    assert_eq!((found.reachable, found.cause), (true, Some((link_id(0), LinkState::Up))));
}

#[test]
fn a_host_that_is_reported_reachable_can_be_sent_to() {
    let cluster = Cluster::pair();
    let (_from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (report, reports) = crossbeam_channel::unbounded();
    cluster.handle(1).on_host_event(move |handle, Notification { event, .. }| {
        if event.reachable {
            report.send(handle.send(channel(0), b"welcome").map(|report| report.hosts)).unwrap();
        }
    });
    let link = cluster.link(1, 2, 0);
    for _ in 0..20 {
        link.disable().unwrap();
        link.enable().unwrap();
        assert_eq!(reports.recv_timeout(DEADLINE).unwrap().unwrap(), 1);
        assert_eq!(receive(&to), b"welcome");
    }
}

#[test]
fn host_and_link_callbacks_may_use_their_handle() {
    let cluster = Cluster::pair();
    let (report, reports) = crossbeam_channel::unbounded();
    let report_host = report.clone();
    cluster.handle(1).on_host_event(move |handle, Notification { event, .. }| {
        let host = handle.host(event.host).unwrap();
        host.set_name(if event.reachable { "there" } else { "gone" }).unwrap();
        report_host.send(("host", host.name().unwrap())).unwrap();
    });
    cluster.handle(1).on_link_event(move |handle, Notification { event, .. }| {
        let link = handle.host(event.host).unwrap().link(event.link).unwrap();
        link.set_priority(link.priority().unwrap() + 1).unwrap();
        let enabled = if link.is_enabled().unwrap() { "enabled" } else { "disabled" };
        report.send(("link", enabled.to_owned())).unwrap();
    });
    let link = cluster.link(1, 2, 0);
    let both = || {
        let mut both = [0; 2].map(|_| reports.recv_timeout(DEADLINE).unwrap());
        both.sort();
        both.map(|(what, text)| format!("{what} {text}"))
    };
    link.disable().unwrap();
    assert_eq!(both(), ["host gone", "link disabled"]);
    link.enable().unwrap();
    assert_eq!(both(), ["host there", "link enabled"]);
    assert_eq!(link.priority().unwrap(), 2);
}

#[test]
fn a_callback_may_restore_a_removed_datafd() {
    let cluster = Cluster::pair();
    let hosts = cluster.handle(1).host_events();
    cluster.handle(1).on_link_event(|handle, Notification { event, .. }| {
        if !event.state.is_up() {
            handle.host(event.host).unwrap().link(event.link).unwrap().enable().unwrap();
        }
    });
    for _ in 0..5 {
        cluster.link(1, 2, 0).disable().unwrap();
        next_like(&hosts, |event| !event.reachable);
        next_like(&hosts, |event| event.reachable);
    }
}

#[test]
fn a_panicking_callback_affects_nothing_else() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let stream = handle.datafd_events();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = calls.clone();
    handle.on_datafd_event(move |_, _| {
        assert!(counter.fetch_add(1, Ordering::SeqCst) > 1, "asked to");
    });
    for _ in 0..4 {
        one_event(&handle);
        next(&stream);
    }
    // The streams receive an event before the callback is called.
    knet_tests::wait::until("four calls", || calls.load(Ordering::SeqCst) == 4);
}

#[test]
fn a_callback_replaces_the_previous_one_and_can_be_removed() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (report, reports) = crossbeam_channel::unbounded();
    let links = handle.link_events();
    let toggle = || {
        let link = cluster.link(1, 2, 0);
        link.disable().unwrap();
        link.enable().unwrap();
        next_like(&links, |event| event.state.is_up());
    };
    for name in ["first", "second"] {
        let (hosts, links) = (report.clone(), report.clone());
        handle.on_host_event(move |_, Notification { event, .. }| {
            hosts.send((name, event.reachable)).unwrap();
        });
        handle.on_link_event(move |_, Notification { event, .. }| {
            links.send((name, event.state.is_up())).unwrap();
        });
        toggle();
        let calls: Vec<_> = (0..4).map(|_| reports.recv_timeout(DEADLINE).unwrap()).collect();
        assert!(calls.iter().all(|&(called, _)| called == name), "{calls:?}");
    }
    handle.clear_on_host_event();
    handle.clear_on_link_event();
    toggle();
    toggle();
    assert!(reports.is_empty());
}

#[test]
fn a_callback_may_replace_and_remove_itself() {
    let cluster = Cluster::pair();
    let (report, reports) = crossbeam_channel::unbounded();
    cluster.handle(1).on_link_event(move |handle, _| {
        let report_next = report.clone();
        handle.on_link_event(move |handle, _| {
            report_next.send("second").unwrap();
            handle.clear_on_link_event();
        });
        report.send("first").unwrap();
    });
    let links = cluster.handle(1).link_events();
    for _ in 0..3 {
        let link = cluster.link(1, 2, 0);
        link.disable().unwrap();
        link.enable().unwrap();
        next_like(&links, |event| event.state.is_up());
    }
    assert_eq!(reports.iter().collect::<Vec<_>>(), ["first", "second"], "then both are dropped");
}
