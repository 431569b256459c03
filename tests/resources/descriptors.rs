//! Rules 1, 6, 7 and 14 of `docs/datafd.md`, checked by counting descriptors.

use std::fs;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use knet_tests::cluster::{Cluster, channel, exactly, link_id};
use knet_tests::descriptors::{datagram_pair, seqpacket_pair, stream_pair};
use knet_tests::process::open_fds;
use knet_tests::wait::{is_readable, next, read, readable, receive};
use kronosnet::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig};

use crate::alone;

#[test]
fn row_01_a_refusal_opens_nothing() {
    let _alone = alone();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let (given, _far) = stream_pair();
    let before = open_fds();
    for source in [DatafdSource::Create, DatafdSource::Fd(given.as_fd())] {
        handle.add_datafd(source, ChannelRequest::Any).unwrap_err();
    }
    assert_eq!(open_fds(), before);
}

#[test]
fn row_06_both_ends_of_a_created_pair_are_nonblocking_and_close_on_exec() {
    let _alone = alone();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let _problems = handle.datafd_events();
    let before = open_fds();
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    let opened: Vec<_> = open_fds().difference(&before).copied().collect();
    assert_eq!(opened.len(), 2, "a pair and nothing else: {opened:?}");
    assert!(opened.contains(&datafd.number()));
    for fd in opened {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        let flags = i32::from_str_radix(flags.trim(), 8).unwrap();
        assert_ne!(flags & nix::libc::O_NONBLOCK, 0, "fd {fd} blocks");
        assert_ne!(flags & nix::libc::O_CLOEXEC, 0, "fd {fd} stays open across exec");
    }
}

#[test]
fn row_07_pairs_are_cleaned_up_and_the_callers_fds_are_not() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let (given, far) = seqpacket_pair();
    let before = open_fds();
    for number in (0..32).cycle().take(1000) {
        let created = cluster.create(1, number);
        let brought = cluster.bring(1, &given, (number + 1) % 32);
        created.remove().unwrap();
        brought.remove().unwrap();
        assert!(cluster.handle(1).channels().is_empty());
    }
    assert_eq!(open_fds(), before);
    given.send(b"still open").unwrap();
    assert_eq!(read(&far), b"still open");
}

#[test]
fn row_07_dropping_the_handle_closes_pairs_and_not_the_callers_fds() {
    let _alone = alone();
    let before = open_fds();
    let (given, far) = seqpacket_pair();
    let mine = open_fds();
    let cluster = Cluster::pair();
    for number in 0..16 {
        let _ = cluster.create(1, number);
    }
    cluster.bring(1, &given, 20);
    drop(cluster);
    assert_eq!(open_fds(), mine);
    given.send(b"still open").unwrap();
    assert_eq!(read(&far), b"still open");
    drop((given, far));
    assert_eq!(open_fds(), before);
}

#[test]
fn row_07_a_pair_stays_open_while_it_is_shared() {
    let _alone = alone();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let _problems = handle.datafd_events();
    let before = open_fds();
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    let shared = datafd.clone();
    datafd.remove().unwrap();
    let left: Vec<_> = open_fds().difference(&before).copied().collect();
    assert_eq!(left, [shared.number()], "our end is closed, the application's is not");
    drop(shared);
    assert_eq!(open_fds(), before);
}

#[test]
fn row_14_a_refusal_leaks_nothing() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let created = cluster.create(1, 0);
    let handle = cluster.handle(1);
    let (stream, _far) = stream_pair();
    let file: OwnedFd = tempfile::tempfile().unwrap().into();
    let unconnected = UdpSocket::bind("127.0.0.1:0").unwrap();
    let null: OwnedFd =
        fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap().into();
    let before = open_fds();
    for _ in 0..100 {
        for (source, request) in [
            (DatafdSource::Create, exactly(0)),
            (DatafdSource::Fd(stream.as_fd()), exactly(0)),
            (DatafdSource::Fd(file.as_fd()), ChannelRequest::Any),
            (DatafdSource::Fd(null.as_fd()), ChannelRequest::Any),
            (DatafdSource::Fd(unconnected.as_fd()), ChannelRequest::Any),
            (DatafdSource::Fd(created.as_fd()), ChannelRequest::Any),
            (DatafdSource::Owned(file.try_clone().unwrap()), ChannelRequest::Any),
        ] {
            handle.add_datafd(source, request).unwrap_err();
        }
    }
    assert_eq!(open_fds(), before);
    assert_eq!(handle.channels(), [channel(0)]);
}

#[test]
fn row_07_a_given_fd_is_closed_when_it_is_removed_or_refused() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let before = open_fds();
    let (given, far) = stream_pair();
    let datafd = handle.add_datafd(DatafdSource::Owned(given.into()), exactly(0)).unwrap();
    datafd.remove().unwrap();
    readable(&far);
    assert_eq!(nix::unistd::read(&far, &mut [0; 10]), Ok(0), "both ends of the handle are closed");

    let (given, also_far) = stream_pair();
    let _created = cluster.create(1, 0);
    handle.add_datafd(DatafdSource::Owned(given.into()), exactly(0)).unwrap_err();
    readable(&also_far);
    drop((far, also_far, _created));
    handle.remove_datafd(handle.datafd(channel(0)).unwrap().id()).unwrap();
    assert_eq!(open_fds(), before);
}

#[test]
fn row_10_the_33rd_datafd_opens_nothing() {
    let _alone = alone();
    let cluster = Cluster::pair();
    for number in 0..32 {
        let _ = cluster.create(1, number);
    }
    let before = open_fds();
    let refused = cluster.handle(1).add_datafd(DatafdSource::Create, ChannelRequest::Any);
    refused.unwrap_err();
    assert_eq!(open_fds(), before);
}

/// Closes a descriptor too early and reuses its number.
#[test]
fn a_reused_number_of_an_early_closed_fd_is_not_touched() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let there = cluster.create(2, 0);
    let (given, far) = seqpacket_pair();
    let number = given.as_raw_fd();
    cluster.bring(1, &given, 0);
    drop(given);
    // The lowest free number is the one that was just closed.
    let (one, two) = datagram_pair();
    let (stranger, other) = if one.as_raw_fd() == number { (one, two) } else { (two, one) };
    assert_eq!(stranger.as_raw_fd(), number);

    other.send(b"private").unwrap();
    far.send(b"public").unwrap();
    assert_eq!(receive(&there), b"public");
    there.send(b"answer").unwrap();
    assert_eq!(read(&far), b"answer");
    cluster.handle(1).remove_datafd(number).unwrap();
    assert_eq!(read(&stranger), b"private");
    assert!(!is_readable(&other));
    assert!(open_fds().contains(&number));
}

#[test]
fn a_failed_datafd_is_closed_when_it_is_removed() {
    let _alone = alone();
    let cluster = Cluster::pair();
    let before = open_fds();
    for _ in 0..100 {
        let (given, far) = stream_pair();
        let datafd = cluster.bring(1, &given, 0);
        drop(far);
        next(cluster.problems(1));
        datafd.remove().unwrap();
    }
    assert_eq!(open_fds(), before);
}

#[test]
fn links_and_endpoints_leave_no_sockets_behind() {
    let _alone = alone();
    let handle = Handle::new(HostId::new(1)).unwrap();
    let host = handle.add_host(HostId::new(2)).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let before = open_fds();
    for link in (0..8).cycle().take(300).map(link_id) {
        let socket = handle.bind(any).unwrap();
        let config = LinkConfig::udp(socket.addr(), ([127, 0, 0, 1], 9).into());
        let added = host.add_link(link, config.clone()).unwrap();
        added.enable().unwrap();
        drop(socket);
        host.add_link(link, config).unwrap_err();
        added.disable().unwrap();
        added.clear().unwrap();
    }
    assert_eq!(open_fds(), before);
}
