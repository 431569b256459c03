//! Row 7 and its consequences: who closes which descriptor, and in which order calls may be made.

use std::os::fd::{AsFd, AsRawFd};

use knet_tests::cluster::{Cluster, channel, exactly};
use knet_tests::descriptors::{datagram_pair, flags, seqpacket_pair, stream_pair};
use knet_tests::wait::{DEADLINE, next, read, readable, receive};
use kronosnet::{ChannelRequest, DatafdProblem, DatafdSource, Error, Handle, HostId, Notification};
use nix::fcntl::{FdFlag, OFlag};

#[test]
fn row_07_the_callers_fd_stays_open_with_its_flags() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    let datafd = cluster.bring(1, &given, 0);
    let while_used = flags(&given);
    datafd.remove().unwrap();
    assert_eq!(flags(&given), while_used);

    // Nothing else reads from it now.
    far.send(b"for its owner").unwrap();
    assert_eq!(read(&given), b"for its owner");

    cluster.bring(1, &given, 0);
    drop(cluster);
    let (status, descriptor) = flags(&given);
    assert!(status.contains(OFlag::O_NONBLOCK), "{status:?}");
    assert!(descriptor.contains(FdFlag::FD_CLOEXEC), "{descriptor:?}");
    given.send(b"still open").unwrap();
    assert_eq!(read(&far), b"still open");
}

#[test]
fn row_07_a_created_datafd_stays_valid_while_it_is_held() {
    let cluster = Cluster::pair();
    let datafd = cluster.create(1, 0);
    let also = datafd.clone();
    datafd.remove().unwrap();
    // Still our descriptor, not a reused number: its other end is closed.
    readable(&also);
    assert_eq!(nix::unistd::read(&also, &mut [0; 10]), Ok(0));
    let error = also.recv(&mut [0; 10]).unwrap_err();
    assert!(matches!(error, Error::DatafdClosed(at) if at == channel(0)), "{error}");
    assert_eq!(error.errno(), nix::libc::EPIPE);
    let error = also.send(b"gone").unwrap_err();
    assert!(matches!(error, Error::ChannelNotInUse(at) if at == channel(0)), "{error}");
    let error = also.remove().unwrap_err();
    assert!(matches!(error, Error::UnknownDatafd { .. }), "{error}");
}

#[test]
fn a_removed_datafd_does_not_act_as_its_successor() {
    let cluster = Cluster::pair();
    let there = cluster.create(2, 0);
    let before = cluster.create(1, 0);
    there.send(b"for the first").unwrap();
    readable(&before);
    before.clone().remove().unwrap();
    let after = cluster.create(1, 0);
    there.send(b"for the second").unwrap();
    readable(&after);

    // Messages that arrived for it are still there, then comes the end of file.
    assert_eq!(receive(&before), b"for the first");
    let error = before.recv(&mut [0; 20]).unwrap_err();
    assert!(matches!(error, Error::DatafdClosed(at) if at == channel(0)), "{error}");
    let error = before.send(b"from the first").unwrap_err();
    assert!(matches!(error, Error::ChannelNotInUse(at) if at == channel(0)), "{error}");
    let error = before.remove().unwrap_err();
    assert!(matches!(error, Error::UnknownDatafd { .. }), "{error}");
    assert_eq!(receive(&after), b"for the second");
    after.send(b"from the second").unwrap();
    assert_eq!(receive(&there), b"from the second");
}

/// Adds a descriptor again: its number is the same.
#[test]
fn a_removed_datafd_with_the_same_fd_does_not_remove_its_successor() {
    let cluster = Cluster::pair();
    let there = cluster.create(2, 0);
    let (given, far) = seqpacket_pair();
    let before = cluster.bring(1, &given, 0);
    before.clone().remove().unwrap();
    let after = cluster.bring(1, &given, 0);
    assert_eq!(before.number(), after.number());
    let error = before.send(b"from the first").unwrap_err();
    assert!(matches!(error, Error::ChannelNotInUse(at) if at == channel(0)), "{error}");
    let error = before.remove().unwrap_err();
    assert!(matches!(error, Error::UnknownDatafd { fd } if fd == after.number()), "{error}");
    there.send(b"still there").unwrap();
    assert_eq!(read(&far), b"still there");
    after.remove().unwrap();
}

#[test]
fn row_07_a_datafd_keeps_its_handle_alive() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    drop(cluster);
    from.send(b"still there").unwrap();
    assert_eq!(receive(&to), b"still there");
}

#[test]
fn messages_to_the_callers_fd_are_read_from_its_other_end() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    let datafd = cluster.bring(1, &given, 0);
    let there = cluster.create(2, 0);
    there.send(b"hello").unwrap();
    assert_eq!(read(&far), b"hello");
    let error = datafd.recv(&mut [0; 10]).unwrap_err();
    assert!(matches!(error, Error::NotOurDatafd(at) if at == channel(0)), "{error}");
    assert_eq!(error.errno(), nix::libc::EINVAL);
}

#[test]
fn closing_the_callers_fd_early_does_no_harm() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    let number = given.as_raw_fd();
    let datafd = cluster.bring(1, &given, 0);
    let there = cluster.create(2, 0);
    drop(given);

    // The handle works on its own duplicate.
    far.send(b"out").unwrap();
    assert_eq!(receive(&there), b"out");
    there.send(b"in").unwrap();
    assert_eq!(read(&far), b"in");
    assert!(cluster.problems(1).is_empty());
    assert_eq!(cluster.handle(1).channel_of(number).unwrap(), channel(0));
    cluster.handle(1).remove_datafd(number).unwrap();
    drop(datafd);
    assert!(cluster.handle(1).channels().is_empty());
    // Once the last duplicate is closed, its other end reads end of file.
    readable(&far);
    assert_eq!(far.recv(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn closing_the_callers_fd_early_frees_its_number() {
    let cluster = Cluster::pair();
    let (given, _far) = datagram_pair();
    let number = given.as_raw_fd();
    cluster.bring(1, &given, 0);
    drop(given);
    cluster.handle(1).remove_datafd(number).unwrap();
    let error = cluster.handle(1).remove_datafd(number).unwrap_err();
    assert!(matches!(error, Error::UnknownDatafd { fd } if fd == number), "{error}");
}

#[test]
fn removing_from_inside_a_callback_works() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (report, reports) = crossbeam_channel::unbounded();
    handle.on_datafd_event(move |handle, Notification { event, .. }| {
        assert_eq!(event.problem, DatafdProblem::EndOfFile);
        handle.remove_datafd(event.id).unwrap();
        report.send((event.channel, handle.channels())).unwrap();
    });
    for round in 0..50_u8 {
        let (given, far) = stream_pair();
        let number = round % 32;
        handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(number)).unwrap();
        drop(far);
        let (at, left) = reports.recv_timeout(DEADLINE).unwrap();
        assert_eq!(at, channel(number));
        assert!(left.is_empty());
    }
}

#[test]
fn removing_another_datafd_from_inside_a_callback_works() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 1), cluster.create(2, 1));
    let (report, reports) = crossbeam_channel::unbounded();
    let other = to.id();
    cluster.handle(2).on_datafd_event(move |handle, Notification { event, .. }| {
        handle.remove_datafd(other).unwrap();
        handle.remove_datafd(event.id).unwrap();
        report.send(()).unwrap();
    });
    let (given, far) = stream_pair();
    cluster.bring(2, &given, 0);
    from.send(b"first").unwrap();
    assert_eq!(receive(&to), b"first");
    drop(far);
    reports.recv_timeout(DEADLINE).unwrap();
    assert!(cluster.handle(2).channels().is_empty());
}

#[test]
fn replacing_a_datafd_from_inside_a_callback_keeps_the_channel_going() {
    let cluster = Cluster::pair();
    let from = cluster.create(1, 0);
    let (report, reports) = crossbeam_channel::unbounded();
    cluster.handle(2).on_datafd_event(move |handle, Notification { event, .. }| {
        handle.remove_datafd(event.id).unwrap();
        let request = ChannelRequest::Exact(event.channel);
        report.send(handle.add_datafd(DatafdSource::Create, request).unwrap()).unwrap();
    });
    let (given, far) = stream_pair();
    cluster.bring(2, &given, 0);
    drop(far);
    let replacement = reports.recv_timeout(DEADLINE).unwrap();
    from.send(b"to the new one").unwrap();
    assert_eq!(receive(&replacement), b"to the new one");
}

#[test]
fn one_fd_may_belong_to_two_handles_in_turn() {
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    for at in [1, 2] {
        let datafd = cluster.bring(at, &given, 0);
        let there = cluster.create(3 - at, 0);
        far.send(b"out").unwrap();
        assert_eq!(receive(&there), b"out");
        datafd.remove().unwrap();
        there.remove().unwrap();
    }
    drop(far);
    let datafd = cluster.bring(1, &given, 0);
    assert_eq!(next(cluster.problems(1)).datafd, datafd.number());
}
