//! Rows 1 to 3: the events that an application receives.

use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use knet_tests::cluster::{Cluster, channel, exactly, flush};
use knet_tests::descriptors::{
    clear_flags, flags, seqpacket_pair, stream_pair, tcp_pair, udp_pair,
};
use knet_tests::wait::{DEADLINE, next, read, receive};
use kronosnet::{
    ChannelRequest, DatafdEvent, DatafdProblem, DatafdSource, DatafdState, Direction, Error,
    Handle, HostId, Notification,
};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;

/// Returns where an event happened: channel, descriptor and direction.
fn place(event: &DatafdEvent) -> (u8, i32, Direction) {
    (event.channel.get(), event.datafd, event.direction)
}

/// Closes a TCP connection so that the other end finds an error.
fn reset(connection: impl AsFd) {
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&connection, Linger, &at_once).unwrap();
}

#[test]
fn row_01_notifications_must_be_enabled_first() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (given, _far) = stream_pair();
    clear_flags(&given);
    let before = flags(&given);
    for source in [
        DatafdSource::Create,
        DatafdSource::Fd(given.as_fd()),
        DatafdSource::Owned(given.as_fd().try_clone_to_owned().unwrap()),
    ] {
        let error = handle.add_datafd(source, ChannelRequest::Any).unwrap_err();
        assert!(matches!(error, Error::NotificationsNotEnabled), "{error}");
        assert_eq!(error.errno(), nix::libc::EINVAL);
    }
    assert!(handle.channels().is_empty());
    assert_eq!(flags(&given), before);

    let _events = handle.datafd_events();
    let datafd = handle.add_datafd(DatafdSource::Fd(given.as_fd()), ChannelRequest::Any).unwrap();
    assert_eq!(datafd.channel(), channel(0), "no channel was taken");
}

#[test]
fn row_01_a_callback_enables_notifications() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    handle.on_datafd_event(|_, _| {});
    handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
}

#[test]
fn row_01_notification_stays_enabled_when_the_callback_is_cleared() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (report, reports) = crossbeam_channel::unbounded::<()>();
    handle.on_datafd_event(move |_, _| report.send(()).unwrap());
    handle.clear_on_datafd_event();
    let (given, far) = stream_pair();
    handle.add_datafd(DatafdSource::Fd(given.as_fd()), ChannelRequest::Any).unwrap();
    let events = handle.datafd_events();
    drop(far);
    assert_eq!(next(&events).problem, DatafdProblem::EndOfFile);
    assert!(reports.recv().is_err(), "the callback is dropped and was not called");
}

#[test]
fn row_02_an_end_of_file_is_reported_as_tx() {
    let cluster = Cluster::pair();
    let (given, far) = stream_pair();
    cluster.bring(1, &given, 7);
    drop(far);
    let event = next(cluster.problems(1));
    assert_eq!(place(&event), (7, given.as_raw_fd(), Direction::Tx));
    assert_eq!(event.problem, DatafdProblem::EndOfFile);
    assert_eq!(event.problem.errno(), 0);
}

#[test]
fn row_02_a_read_error_is_reported_as_tx() {
    let cluster = Cluster::pair();
    let (far, given) = tcp_pair();
    cluster.bring(1, &given, 8);
    reset(&far);
    drop(far);
    let event = next(cluster.problems(1));
    assert_eq!(place(&event), (8, given.as_raw_fd(), Direction::Tx));
    let failed = DatafdProblem::ReadFailed { errno: nix::libc::ECONNRESET, passing: false };
    assert_eq!(event.problem, failed);
}

#[test]
fn row_02_a_write_error_is_reported_as_rx() {
    let cluster = Cluster::pair();
    let (given, far) = stream_pair();
    cluster.bring(2, &given, 9);
    let from = cluster.create(1, 9);
    // Nothing reads what arrives there; reading from it is still possible.
    far.shutdown(Shutdown::Read).unwrap();
    from.send(b"for nobody").unwrap();
    let event = next(cluster.problems(2));
    assert_eq!(place(&event), (9, given.as_raw_fd(), Direction::Rx));
    let failed = DatafdProblem::WriteFailed { errno: nix::libc::EPIPE, messages: 1 };
    assert_eq!(event.problem, failed);
    assert_eq!(cluster.handle(2).channel_stats(channel(9)).rx_write_failed, 1);

    // The other direction still works.
    nix::unistd::write(&far, b"hello").unwrap();
    assert_eq!(receive(&from), b"hello");
}

#[test]
fn row_02_each_occurrence_is_reported_once() {
    let cluster = Cluster::pair();
    let (one, far_one) = stream_pair();
    let (two, far_two) = seqpacket_pair();
    cluster.bring(1, &one, 1);
    cluster.bring(1, &two, 2);
    drop(far_one);
    assert_eq!(place(&next(cluster.problems(1))), (1, one.as_raw_fd(), Direction::Tx));
    // Events are ordered, so a second one of channel 1 would come before this.
    drop(far_two);
    assert_eq!(place(&next(cluster.problems(1))), (2, two.as_raw_fd(), Direction::Tx));
    flush(cluster.handle(1));
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn row_02_callbacks_run_off_the_data_threads_without_a_lock() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (report, reports) = crossbeam_channel::bounded(1);
    cluster.handle(1).on_datafd_event(move |handle, Notification { event, .. }| {
        // Each of these would hang if a lock were held or a data thread waited for this callback.
        handle.remove_datafd(event.id).unwrap();
        let again = handle.add_datafd(DatafdSource::Create, exactly(3)).unwrap();
        assert_eq!(handle.datafd_status(again.channel()).unwrap().number, again.number());
        again.remove().unwrap();
        handle.set_forwarding(false).unwrap();
        handle.set_forwarding(true).unwrap();
        handle.add_host(HostId::new(77)).unwrap().remove().unwrap();
        handle.send(channel(0), b"from a callback").unwrap();
        let name = thread::current().name().map(str::to_owned);
        report.send(name).unwrap();
    });
    let (given, far) = stream_pair();
    cluster.bring(1, &given, 3);
    drop(far);
    let name = reports.recv_timeout(DEADLINE).unwrap().unwrap();
    assert!(!["knet-tx", "knet-rx"].contains(&name.as_str()), "{name} carries data");
    assert_eq!(receive(&to), b"from a callback");
    assert!(from.remove().is_ok());
}

#[test]
fn row_02_a_callback_that_blocks_does_not_stop_the_data() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let (release, blocked) = crossbeam_channel::bounded::<()>(0);
    let (entered, inside) = crossbeam_channel::bounded(1);
    cluster.handle(1).on_datafd_event(move |_, _| {
        entered.send(()).unwrap();
        let _ = blocked.recv_timeout(DEADLINE);
    });
    let (given, far) = stream_pair();
    cluster.bring(1, &given, 3);
    drop(far);
    inside.recv_timeout(DEADLINE).unwrap();

    for message in [&b"one"[..], b"two"] {
        nix::unistd::write(&from, message).unwrap();
        assert_eq!(receive(&to), message);
        to.send(message).unwrap();
        assert_eq!(receive(&from), message);
    }
    drop(release);
}

#[test]
fn row_03_after_end_of_file_the_channel_stays_until_it_is_removed() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (given, far) = seqpacket_pair();
    let datafd = cluster.bring(1, &given, 4);
    assert_eq!(handle.datafd_status(channel(4)).unwrap().state, DatafdState::Active);
    drop(far);
    assert_eq!(next(cluster.problems(1)).problem, DatafdProblem::EndOfFile);

    let status = handle.datafd_status(channel(4)).unwrap();
    assert_eq!(status.state, DatafdState::Disabled);
    assert_eq!((status.number, status.created), (given.as_raw_fd(), false));
    assert_eq!(handle.channels(), [channel(4)]);
    assert_eq!(handle.channel_of(given.as_raw_fd()).unwrap(), channel(4));
    let error = handle.add_datafd(DatafdSource::Create, exactly(4)).unwrap_err();
    assert!(matches!(error, Error::ChannelInUse(at) if at == channel(4)), "{error}");

    datafd.remove().unwrap();
    assert!(handle.channels().is_empty());
    let _ = cluster.create(1, 4);
}

#[test]
fn row_03_after_a_read_error_the_channel_stays_until_it_is_removed() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (far, given) = tcp_pair();
    cluster.bring(1, &given, 4);
    reset(&far);
    drop(far);
    next(cluster.problems(1));

    assert_eq!(handle.datafd_status(channel(4)).unwrap().state, DatafdState::Disabled);
    assert_eq!(handle.channels(), [channel(4)]);
    handle.remove_datafd(given.as_raw_fd()).unwrap();
    assert!(handle.channels().is_empty());
}

#[test]
fn row_03_what_was_written_before_the_end_is_sent() {
    let cluster = Cluster::pair();
    let to = cluster.create(2, 4);
    let (given, far) = seqpacket_pair();
    for number in 0..20_u8 {
        far.send(&[number; 3]).unwrap();
    }
    drop(far);
    cluster.bring(1, &given, 4);
    for number in 0..20_u8 {
        assert_eq!(receive(&to), [number; 3]);
    }
    assert_eq!(next(cluster.problems(1)).problem, DatafdProblem::EndOfFile);
}

#[test]
fn row_03_the_application_end_of_a_created_pair_may_be_shut_down() {
    let cluster = Cluster::pair();
    let datafd = cluster.create(1, 4);
    nix::sys::socket::shutdown(datafd.as_fd().as_raw_fd(), nix::sys::socket::Shutdown::Both)
        .unwrap();
    let event = next(cluster.problems(1));
    assert_eq!(place(&event), (4, datafd.number(), Direction::Tx));
    assert_eq!(event.problem, DatafdProblem::EndOfFile);
    datafd.remove().unwrap();
}

#[test]
fn row_03_a_refused_datagram_is_an_error_that_can_be_recovered_from() {
    let cluster = Cluster::pair();
    let (given, far) = udp_pair();
    let from = cluster.create(2, 4);
    cluster.bring(1, &given, 4);
    drop(far);
    // The first message makes the kernel report that the peer is gone.
    from.send(b"anybody?").unwrap();
    let event = next(cluster.problems(1));
    assert_eq!(event.problem.errno(), nix::libc::ECONNREFUSED);
    cluster.handle(1).remove_datafd(given.as_raw_fd()).unwrap();

    let (given, far) = udp_pair();
    cluster.bring(1, &given, 4);
    from.send(b"now?").unwrap();
    assert_eq!(read(&far), b"now?");
}
