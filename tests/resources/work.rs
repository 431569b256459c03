//! The work of a handle: none when it is idle, and no more per message when more is configured.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use knet_tests::cluster::{Cluster, exactly, link_id, message};
use knet_tests::descriptors::{seqpacket_pair, stream_pair};
use knet_tests::process::{cpu_time, knet_threads, times_slept};
use knet_tests::wait::{DEADLINE, next, receive, silent};
use kronosnet::{DatafdEvent, DatafdSource, EventStream, Handle, HostId, LinkConfig};

use crate::alone;

/// The interval in which nothing may happen.
const INTERVAL: Duration = Duration::from_secs(1);

fn handle() -> (Handle, EventStream<DatafdEvent>) {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let events = handle.datafd_events();
    handle.set_forwarding(true).unwrap();
    (handle, events)
}

/// Checks that an interval comes soon in which no thread of a handle wakes up and hardly any
/// processor time is used: a busy loop would use all of it, without ever going to sleep.
fn nothing_is_done(events: &EventStream<DatafdEvent>) {
    let slept = || -> BTreeMap<i32, u64> {
        knet_threads().into_iter().map(|thread| (thread, times_slept(thread))).collect()
    };
    let give_up = Instant::now() + DEADLINE;
    loop {
        let (before, used_before) = (slept(), cpu_time());
        silent(events, INTERVAL);
        let (after, used) = (slept(), cpu_time() - used_before);
        if !after.is_empty() && after == before && used < INTERVAL / 5 {
            return;
        }
        // Earlier work may have to finish first.
        assert!(Instant::now() < give_up, "{before:?} wake-ups became {after:?}, in {used:?}");
    }
}

#[test]
fn an_idle_handle_does_not_wake_up() {
    let _alone = alone();
    let (handle, events) = handle();
    nothing_is_done(&events);
    drop(handle);
}

#[test]
fn a_handle_with_datafds_hosts_and_disabled_links_does_not_wake_up() {
    let _alone = alone();
    let (handle, events) = handle();
    let (given, _far) = seqpacket_pair();
    handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(31)).unwrap();
    for number in 0..31 {
        handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap();
    }
    let any = ([127, 0, 0, 1], 0).into();
    for id in 2..20 {
        let host = handle.add_host(HostId::new(id)).unwrap();
        let config = LinkConfig::udp(any, ([127, 0, 0, 1], 9).into());
        let link = host.add_link(link_id(0), config).unwrap();
        link.enable().unwrap();
        link.disable().unwrap();
    }
    nothing_is_done(&events);
    // And it still works.
    handle.set_forwarding(false).unwrap();
}

#[test]
fn a_handle_does_not_wake_up_after_its_work() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for number in 0..50 {
        from.send(&message(5000, number)).unwrap();
        assert_eq!(receive(&to), message(5000, number));
    }
    for (at, peer) in [(1, 2), (2, 1)] {
        let link = cluster.link(at, peer, 0);
        link.disable().unwrap();
        link.clear().unwrap();
    }
    nothing_is_done(cluster.problems(1));
}

#[test]
fn row_03_a_dead_datafd_costs_no_processor_time() {
    let _alone = alone();
    let (handle, events) = handle();
    let (stream, far_stream) = stream_pair();
    let (seqpacket, far_seqpacket) = seqpacket_pair();
    handle.add_datafd(DatafdSource::Fd(stream.as_fd()), exactly(0)).unwrap();
    handle.add_datafd(DatafdSource::Fd(seqpacket.as_fd()), exactly(1)).unwrap();
    let created = handle.add_datafd(DatafdSource::Create, exactly(2)).unwrap();
    drop((far_stream, far_seqpacket));
    let both = nix::sys::socket::Shutdown::Both;
    nix::sys::socket::shutdown(created.as_fd().as_raw_fd(), both).unwrap();
    for _ in 0..3 {
        next(&events);
    }
    nothing_is_done(&events);
}

#[test]
fn row_03_a_datafd_whose_end_was_closed_for_writing_costs_no_processor_time() {
    let _alone = alone();
    let (handle, events) = handle();
    let (given, far) = stream_pair();
    handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(0)).unwrap();
    far.shutdown(std::net::Shutdown::Write).unwrap();
    next(&events);
    nothing_is_done(&events);
}

/// Fills a stream that nothing reads with the beginning of a message. The rest waits; the write is
/// not retried in a loop.
#[test]
fn a_stuck_reader_costs_no_processor_time() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let (given, _far) = stream_pair();
    cluster.bring(2, &given, 0);
    let from = cluster.create(1, 0);
    while cluster.problems(2).is_empty() {
        from.send(&message(60_000, 0)).unwrap();
    }
    for (at, peer) in [(1, 2), (2, 1)] {
        let link = cluster.link(at, peer, 0);
        link.disable().unwrap();
        link.clear().unwrap();
    }
    // The losses of the last 100 ms may still be reported.
    while cluster.problems(2).recv_timeout(INTERVAL / 2).is_ok() {}
    nothing_is_done(cluster.problems(2));
}

/// Returns the minimum processor time, over several attempts, that some messages from host 1 to
/// host 2 take.
fn cost(cluster: &Cluster, number: u8) -> Duration {
    let (from, to) = (cluster.create(1, number), cluster.create(2, number));
    let measure = |_| {
        let before = cpu_time();
        for _ in 0..40 {
            for seed in 0..50 {
                assert_eq!(nix::unistd::write(&from, &message(100, seed)), Ok(100));
            }
            for seed in 0..50 {
                assert_eq!(receive(&to), message(100, seed));
            }
        }
        cpu_time() - before
    };
    let least = (0..7).map(measure).min().unwrap();
    from.remove().unwrap();
    to.remove().unwrap();
    least
}

#[test]
fn from_zero_to_32_channels_cost_no_more_per_message() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let few = cost(&cluster, 31);
    for number in 0..31 {
        let _ = (cluster.create(1, number), cluster.create(2, number));
    }
    let many = cost(&cluster, 31);
    assert!(many < few * 3 / 2, "{few:?} with one channel, {many:?} with 32");
}

#[test]
fn hosts_and_links_that_are_configured_cost_no_more_per_message() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let few = cost(&cluster, 0);
    let nowhere = ([127, 0, 0, 1], 9).into();
    for at in [1, 2] {
        let socket = cluster.handle(at).bind(([127, 0, 0, 1], 0).into()).unwrap();
        for id in 1000..1500 {
            let host = cluster.handle(at).add_host(HostId::new(id)).unwrap();
            for number in 0..8 {
                let config = LinkConfig::udp(socket.addr(), nowhere);
                host.add_link(link_id(number), config).unwrap();
            }
        }
    }
    let many = cost(&cluster, 0);
    assert!(many < few * 3 / 2, "{few:?} with one link, {many:?} with 4001");
}
