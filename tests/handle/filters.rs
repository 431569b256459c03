//! The destination filter: its arguments, its verdicts, and the calls that it must not make
//! (`docs/porting.md`, "Filter").

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use knet_tests::cluster::{Cluster, channel, link_id, message};
use knet_tests::wait::{DEADLINE, receive};
use kronosnet::{
    ChannelRequest, ClearStats, DatafdSource, Direction, Error, HostId, LinkConfig, PingTimers,
    Policy, QosMarking, Verdict,
};
use nix::libc::{EDEADLK, EFAULT, EINVAL};

#[test]
fn the_filter_gets_all_properties_of_a_message() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 4), cluster.create(2, 4));
    let (report, reports) = crossbeam_channel::unbounded();
    for at in [1, 2] {
        let report = report.clone();
        cluster
            .handle(at)
            .set_filter(move |message| {
                let hosts = (message.own().get(), message.source().get());
                let what = (message.payload().to_vec(), message.direction(), message.channel());
                report.send((what, hosts)).unwrap();
                Verdict::Broadcast
            })
            .unwrap();
    }
    // Whole messages, not packets.
    for bytes in [message(3, 1), message(5000, 2)] {
        from.send(&bytes).unwrap();
        assert_eq!(receive(&to), bytes);
        let sent = ((bytes.clone(), Direction::Tx, 4), (1, 1));
        let received = ((bytes, Direction::Rx, 4), (2, 1));
        assert_eq!(reports.recv_timeout(DEADLINE).unwrap(), sent);
        assert_eq!(reports.recv_timeout(DEADLINE).unwrap(), received);
    }
}

#[test]
fn a_sender_may_reject_a_message_or_list_nobody() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let handle = cluster.handle(1);
    handle.set_filter(|_| Verdict::Reject).unwrap();
    let error = from.send(b"no").unwrap_err();
    assert!(matches!(error, Error::FilterRejected), "{error}");
    assert_eq!(error.errno(), EFAULT);
    handle.set_filter(|_| Verdict::Destinations).unwrap();
    let error = from.send(b"no").unwrap_err();
    assert!(matches!(error, Error::FilterNoDestination), "{error}");
    assert_eq!(error.errno(), EINVAL);
    let stats = handle.channel_stats(channel(0));
    assert_eq!((stats.tx_filter_rejected, stats.tx_filter_error), (1, 1));

    handle.remove_filter().unwrap();
    from.send(b"yes").unwrap();
    assert_eq!(receive(&to), b"yes");
}

#[test]
fn a_receiver_may_reject_a_message_or_not_be_listed() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    cluster
        .handle(2)
        .set_filter(|message| match message.payload() {
            b"reject" => Verdict::Reject,
            b"nobody" => Verdict::Destinations,
            b"others" => {
                message.add_destination(HostId::new(3));
                Verdict::Destinations
            }
            b"us too" => {
                message.add_destination(HostId::new(3));
                message.add_destination(message.own());
                Verdict::Destinations
            }
            _ => Verdict::Broadcast,
        })
        .unwrap();
    for text in ["reject", "nobody", "others", "us too", "delivered"] {
        from.send(text.as_bytes()).unwrap();
    }
    assert_eq!(receive(&to), b"us too");
    assert_eq!(receive(&to), b"delivered");
    let stats = cluster.stats(2, 0);
    assert_eq!((stats.rx_filter_rejected, stats.rx_messages), (3, 2));
}

#[test]
fn a_panicking_filter_rejects_only_that_message() {
    let cluster = Cluster::pair();
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    for at in [1, 2] {
        cluster
            .handle(at)
            .set_filter(move |message| {
                let panics = match message.direction() {
                    Direction::Tx => message.payload() == b"panic when sent",
                    Direction::Rx => message.payload() == b"panic when received",
                };
                assert!(!panics, "asked to");
                Verdict::Broadcast
            })
            .unwrap();
    }
    for (from, to) in [(&one, &two), (&two, &one)] {
        assert!(matches!(from.send(b"panic when sent"), Err(Error::FilterRejected)));
        nix::unistd::write(from, b"panic when sent").unwrap();
        from.send(b"panic when received").unwrap();
        from.send(b"by a call").unwrap();
        assert_eq!(receive(to), b"by a call");
        nix::unistd::write(from, b"by a write").unwrap();
        assert_eq!(receive(to), b"by a write");
    }
    for at in [1, 2] {
        let stats = cluster.stats(at, 0);
        assert_eq!((stats.tx_filter_rejected, stats.rx_filter_rejected), (2, 1));
    }
}

/// The payload of a panic, which panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb);
    }
}

#[test]
fn a_panic_with_a_payload_that_panics_ends_no_thread() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (called, calls) = crossbeam_channel::unbounded();
    for at in [1, 2] {
        cluster
            .handle(at)
            .set_filter(move |message| {
                let bad: &[u8] = if at == 1 { b"sent" } else { b"received" };
                if message.payload() == bad {
                    std::panic::panic_any(Bomb);
                }
                Verdict::Broadcast
            })
            .unwrap();
        let called = called.clone();
        cluster.handle(at).on_link_event(move |_, _| {
            called.send(at).unwrap();
            std::panic::panic_any(Bomb);
        });
    }
    for _ in 0..3 {
        for bad in [&b"sent"[..], b"received"] {
            nix::unistd::write(&from, bad).unwrap();
        }
        from.send(b"good").unwrap();
        assert_eq!(receive(&to), b"good");
        nix::unistd::write(&from, b"written").unwrap();
        assert_eq!(receive(&to), b"written");
    }
    for _ in 0..2 {
        let link = cluster.link(1, 2, 0);
        link.disable().unwrap();
        assert_eq!(calls.recv_timeout(DEADLINE), Ok(1));
        link.enable().unwrap();
        assert_eq!(calls.recv_timeout(DEADLINE), Ok(1));
    }
}

/// Asserts that calls which may wait are refused inside a filter, on whichever thread it runs:
/// waiting there for a data thread would never end.
#[test]
fn changes_and_sends_are_refused_inside_a_filter() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (report, reports) = crossbeam_channel::unbounded();
    for at in [1, 2] {
        let (handle, host, report) = (cluster.handle(at).clone(), 3 - at, report.clone());
        let filter = move |_: &mut kronosnet::FilterMessage<'_>| {
            let host = handle.host(HostId::new(host)).unwrap();
            let link = host.link(link_id(0)).unwrap();
            let any = ([127, 0, 0, 1], 0).into();
            let results = [
                handle.add_host(HostId::new(9)).err(),
                handle.remove_host(HostId::new(9)).err(),
                handle.bind(any).err(),
                handle.set_forwarding(false).err(),
                handle.set_filter(|_| Verdict::Reject).err(),
                handle.remove_filter().err(),
                handle.set_manual_mtu(Some(1500)).err(),
                handle.set_marking(QosMarking::default()).err(),
                handle.clear_stats(ClearStats::HandleAndLinks).err(),
                handle.clone().close().err(),
                handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).err(),
                handle.remove_datafd(9).err(),
                handle.resume_datafd(9).err(),
                handle.send(channel(0), b"more").err(),
                handle.send_sync(channel(0), b"more").err(),
                host.set_name("name").err(),
                host.set_policy(Policy::Active).err(),
                host.clear_stats().err(),
                host.wait_until_reachable(Duration::ZERO).err(),
                host.add_link(link_id(1), LinkConfig::udp(any, any)).err(),
                link.enable().err(),
                link.disable().err(),
                link.set_ping_timers(PingTimers::default()).err(),
                link.set_pong_count(9).err(),
                link.set_priority(9).err(),
                link.set_marking(None).err(),
                link.clear_stats().err(),
                link.clone().clear().err(),
            ];
            // Reading is fine.
            assert!(handle.forwarding() && host.is_reachable().unwrap() && handle.has_filter());
            let _ = (handle.stats(), host.stats().unwrap(), link.status().unwrap());
            report.send(results).unwrap();
            Verdict::Broadcast
        };
        cluster.handle(at).set_filter(filter).unwrap();
    }
    from.send(b"by a call").unwrap();
    assert_eq!(receive(&to), b"by a call");
    nix::unistd::write(&from, b"by a write").unwrap();
    assert_eq!(receive(&to), b"by a write");
    // In the caller's thread, in knet-rx, in knet-tx and in knet-rx.
    for _ in 0..4 {
        for (index, result) in reports.recv_timeout(DEADLINE).unwrap().into_iter().enumerate() {
            let error = result.expect("refused");
            assert!(matches!(error, Error::InsideFilter), "call {index}: {error}");
            assert_eq!(error.errno(), EDEADLK);
        }
    }
    // The filters own clones of their handles, which would keep each other alive.
    for at in [1, 2] {
        cluster.handle(at).remove_filter().unwrap();
        cluster.handle(at).add_host(HostId::new(9)).unwrap();
    }
}

/// A filter of host 1 sends each message on with the handle of host 3, whose filter in turn is refused the
/// handle that is above it in the same thread.
#[test]
fn a_filter_may_use_another_handle() {
    let (cluster, others) = (Cluster::pair(), Cluster::new(4, 1));
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (relay, far) = (others.create(3, 5), others.create(4, 5));
    let (report, reports) = crossbeam_channel::unbounded();
    let (own, other) = (cluster.handle(1).clone(), others.handle(3).clone());
    let outer = own.clone();
    let reporter = report.clone();
    others
        .handle(3)
        .set_filter(move |_| {
            reporter.send(outer.clear_stats(ClearStats::HandleOnly).err()).unwrap();
            Verdict::Broadcast
        })
        .unwrap();
    let filter = move |message: &mut kronosnet::FilterMessage<'_>| {
        report.send(relay.send(message.payload()).err()).unwrap();
        report.send(other.host(HostId::new(4)).unwrap().set_policy(Policy::Active).err()).unwrap();
        report.send(own.clear_stats(ClearStats::HandleOnly).err()).unwrap();
        Verdict::Broadcast
    };
    cluster.handle(1).set_filter(filter).unwrap();
    nix::unistd::write(&from, b"to both").unwrap();
    assert_eq!(receive(&to), b"to both");
    assert_eq!(receive(&far), b"to both");
    let next = || reports.recv_timeout(DEADLINE).unwrap();
    let is_refused = |error: Option<Error>| matches!(error, Some(Error::InsideFilter));
    assert!(is_refused(next()), "the handle whose filter is running further up");
    assert!(next().is_none(), "sending with another handle");
    assert!(next().is_none(), "configuring another handle");
    assert!(is_refused(next()), "the handle of the filter itself");
    for handle in [cluster.handle(1), others.handle(3)] {
        handle.remove_filter().unwrap();
    }
}

#[test]
fn a_filter_may_be_replaced_under_traffic() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let asked = Arc::new(AtomicUsize::new(0));
    for number in 0..200 {
        let (counter, at) = (asked.clone(), 1 + number % 2);
        cluster
            .handle(at)
            .set_filter(move |_| {
                counter.fetch_add(1, Ordering::SeqCst);
                Verdict::Broadcast
            })
            .unwrap();
        let bytes = message(100, usize::from(number));
        from.send(&bytes).unwrap();
        assert_eq!(receive(&to), bytes);
    }
    // The filters of both ends are called for each message but the first, which came before host 2
    // had one.
    assert_eq!(asked.load(Ordering::SeqCst), 399);
}

#[test]
fn a_slow_filter_of_one_channel_does_not_stop_the_heartbeat() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (enter, entered) = crossbeam_channel::bounded(1);
    let (leave, left) = crossbeam_channel::bounded::<()>(0);
    // Only when sending: the receiving filter shares its thread with the heartbeat.
    cluster
        .handle(1)
        .set_filter(move |message| {
            if message.direction() == Direction::Tx {
                enter.send(()).unwrap();
                let _ = left.recv_timeout(DEADLINE);
            }
            Verdict::Broadcast
        })
        .unwrap();
    nix::unistd::write(&from, b"slow").unwrap();
    entered.recv_timeout(DEADLINE).unwrap();
    let link = cluster.link(1, 2, 0);
    let pongs = link.status().unwrap().stats.rx_pong_packets;
    knet_tests::wait::until("pongs go on", || {
        link.status().unwrap().stats.rx_pong_packets > pongs + 5
    });
    // Nor does it stop received messages, or changes to other settings.
    to.send(b"the other way").unwrap();
    assert_eq!(receive(&from), b"the other way");
    let other = cluster.create(1, 1);
    other.remove().unwrap();
    drop(leave);
    assert_eq!(receive(&to), b"slow");
}
