//! The lifecycle of a handle, from its creation to its last clone: threads, descriptors and
//! durations.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use knet_tests::cluster::{Cluster, QUICK, exactly, link_id, watch};
use knet_tests::descriptors::stream_pair;
use knet_tests::process::{knet_threads, open_fds, resident_memory};
use knet_tests::wait::{DEADLINE, receive, until};
use kronosnet::{DatafdSource, Error, Handle, HostId, LinkConfig, Notification};

use crate::alone;

/// Waits until a thread of a handle runs. It gets its name when it starts.
fn some_threads() {
    until("threads run", || !knet_threads().is_empty());
}

/// Waits until the threads of dropped handles have left `/proc`, which happens just after they were
/// joined.
fn no_threads() {
    until("all threads have ended", || knet_threads().is_empty());
}

#[test]
fn handles_leave_nothing_behind() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    let start = Instant::now();
    for round in 0..100 {
        let handle = Handle::new(HostId::new(round)).unwrap();
        if round == 0 {
            some_threads();
        }
        drop(handle);
    }
    // With the 200 ms ticks of libknet it would take 40 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    no_threads();
    assert_eq!(open_fds(), before);
}

#[test]
fn a_handle_takes_little_memory_before_messages_arrive() {
    let _alone = alone();
    // Memory that a process needs only once, such as the first stacks of threads, does not count.
    drop(Cluster::pair());
    let before = resident_memory();
    let clusters: Vec<_> = (0..5).map(|_| Cluster::pair()).collect();
    let each = resident_memory().saturating_sub(before) / (2 * clusters.len() as u64);
    // libknet takes 75 MB, many times as much.
    assert!(each < 8 << 20, "{each} bytes");
}

#[test]
fn a_cluster_dropped_under_traffic_leaves_nothing_behind() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    for round in 0..20 {
        let cluster = Cluster::new(3, 2);
        let datafds: Vec<_> = (1..=3).map(|at| cluster.create(at, 0)).collect();
        for _ in 0..round {
            nix::unistd::write(&datafds[0], &[7; 60_000]).unwrap();
        }
        if round % 2 == 0 {
            drop(cluster);
            drop(datafds);
        } else {
            drop(datafds);
            drop(cluster);
        }
    }
    no_threads();
    assert_eq!(open_fds(), before);
}

#[test]
fn a_handle_that_follows_interfaces_leaves_nothing_behind() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    let [local, remote] = ["[fe80::1%lo]:0", "[fe80::2%lo]:9"].map(|text| text.parse().unwrap());
    let config = LinkConfig::udp_zoned(local, remote).unwrap();
    for round in 1..20 {
        let host = Handle::new(HostId::new(round)).unwrap().add_host(HostId::new(0)).unwrap();
        let link = host.add_link(link_id(0), config.clone()).unwrap();
        assert_eq!(link.config().unwrap().zones, config.zones);
        if round % 2 == 0 {
            link.clear().unwrap();
        }
    }
    no_threads();
    assert_eq!(open_fds(), before);
}

#[test]
fn everything_made_from_a_handle_keeps_it_alive() {
    let _alone = alone();
    no_threads();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let socket = handle.bind(([127, 0, 0, 1], 0).into()).unwrap();
    drop(handle);
    some_threads();
    assert!(UdpSocket::bind(socket.addr()).is_err());
    drop(socket);
    no_threads();

    let handle = Handle::new(HostId::new(1)).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let link = watch(&handle, 2, 0, any, ([127, 0, 0, 1], 9).into(), QUICK);
    let host = handle.host(HostId::new(2)).unwrap();
    drop(handle);
    host.set_name("still here").unwrap();
    drop(host);
    assert!(link.is_enabled().unwrap());
    drop(link);
    no_threads();
}

/// Drops the last clone inside a callback, whose thread cannot wait for itself.
#[test]
fn the_last_clone_may_be_dropped_inside_a_callback() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    for _ in 0..20 {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let (given, far) = stream_pair();
        let last = Mutex::new(Some(handle.clone()));
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let (report, reports) = crossbeam_channel::bounded(1);
        handle.on_datafd_event(move |_, _| {
            let _ = released.recv_timeout(DEADLINE);
            drop(last.lock().unwrap().take());
            report.send(()).unwrap();
        });
        let _ = handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(0)).unwrap();
        drop(far);
        // From now on only the callback holds one.
        drop(handle);
        drop(release);
        reports.recv_timeout(DEADLINE).unwrap();
    }
    no_threads();
    until("all is closed", || open_fds() == before);
}

#[test]
fn a_waiting_callback_does_not_delay_dropping_the_handle() {
    let _alone = alone();
    no_threads();
    let cluster = Cluster::pair();
    let (enter, entered) = crossbeam_channel::bounded(1);
    cluster.handle(1).on_host_event(move |handle, Notification { event, .. }| {
        enter.send(()).unwrap();
        // Waits for something that will not happen, as long as possible.
        let host = handle.host(event.host).unwrap();
        let _ = host.wait_until_reachable(Duration::from_millis(300));
    });
    cluster.link(1, 2, 0).disable().unwrap();
    entered.recv_timeout(DEADLINE).unwrap();
    drop(cluster);
    no_threads();
}

#[test]
fn handles_may_be_dropped_by_many_threads_at_once() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    for _ in 0..20 {
        let cluster = Cluster::pair();
        let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
        from.send(b"hello").unwrap();
        assert_eq!(receive(&to), b"hello");
        let clones: Vec<_> = (0..4).map(|_| cluster.handle(1).clone()).collect();
        std::thread::scope(|scope| {
            for clone in clones {
                scope.spawn(move || drop(clone));
            }
            scope.spawn(move || drop((from, cluster)));
        });
        drop(to);
    }
    no_threads();
    assert_eq!(open_fds(), before);
}

#[test]
fn closing_waits_for_a_callback_and_until_all_is_closed() {
    let _alone = alone();
    no_threads();
    let before = open_fds();
    for _ in 0..5 {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let (given, far) = stream_pair();
        let (enter, entered) = crossbeam_channel::bounded(1);
        let finished = Arc::new(AtomicBool::new(false));
        let done = finished.clone();
        handle.on_datafd_event(move |handle, _| {
            enter.send(()).unwrap();
            // Waits for something that will not happen.
            let host = handle.add_host(HostId::new(2)).unwrap();
            host.wait_until_reachable(Duration::from_millis(50)).unwrap_err();
            done.store(true, Ordering::SeqCst);
        });
        handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(0)).unwrap();
        drop(far);
        entered.recv_timeout(DEADLINE).unwrap();
        handle.close().unwrap();
        assert!(finished.load(Ordering::SeqCst));
        drop(given);
        assert_eq!(open_fds(), before, "everything is closed at once");
    }
    no_threads();
}

#[test]
fn a_handle_in_use_is_not_closed() {
    let _alone = alone();
    no_threads();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let host = handle.add_host(HostId::new(2)).unwrap();
    let error = handle.close().unwrap_err();
    assert!(matches!(error, Error::StillInUse { others: 1 }), "{error}");
    assert_eq!(error.errno(), nix::libc::EBUSY);
    host.set_name("still here").unwrap();
    drop(host);
    no_threads();
}

#[test]
fn a_callback_cannot_close_its_handle() {
    let _alone = alone();
    no_threads();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (given, far) = stream_pair();
    let (report, reports) = crossbeam_channel::bounded(1);
    handle.on_datafd_event(move |handle, _| {
        report.send(handle.clone().close().unwrap_err()).unwrap();
    });
    handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(0)).unwrap();
    drop(far);
    let error = reports.recv_timeout(DEADLINE).unwrap();
    assert!(matches!(error, Error::InsideCallback), "{error}");
    assert_eq!(error.errno(), nix::libc::EDEADLK);
    handle.close().unwrap();
    no_threads();
}
