//! Rows 4, 8 to 11 and 14: which descriptors are refused, how, and that a refusal changes nothing.
//! Lookups.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use knet_tests::cluster::{Cluster, channel, exactly};
use knet_tests::descriptors::{clear_flags, flags, seqpacket_pair, stream_pair};
use kronosnet::{
    Channel, ChannelRequest, DatafdEvent, DatafdSource, Error, EventStream, Handle, HostId,
};
use nix::fcntl::{OFlag, open};
use nix::libc::{EBUSY, EEXIST, EINVAL, EPERM};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::Mode;

fn handle() -> (Handle, EventStream<DatafdEvent>) {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let problems = handle.datafd_events();
    (handle, problems)
}

/// Tries to add each of them as a datafd, and checks that a refusal changes nothing.
fn all_refused(
    fds: impl IntoIterator<Item = (&'static str, OwnedFd)>,
    errno: i32,
    expected: impl Fn(&Error) -> bool,
) {
    let (handle, problems) = handle();
    for (what, fd) in fds {
        clear_flags(&fd);
        let before = flags(&fd);
        for request in [ChannelRequest::Any, exactly(6)] {
            let given = fd.try_clone().unwrap();
            let number = given.as_raw_fd();
            for (source, number) in [
                (DatafdSource::Fd(fd.as_fd()), fd.as_raw_fd()),
                (DatafdSource::Owned(given), number),
            ] {
                let error = handle.add_datafd(source, request).expect_err(what);
                assert!(expected(&error), "{what}: {error:?}");
                assert_eq!(error.errno(), errno, "{what}: {error}");
                assert!(error.to_string().contains(&format!("fd {number} ")), "{what}: {error}");
                assert_eq!(flags(&fd), before, "{what}");
                assert!(handle.channels().is_empty(), "{what}");
            }
        }
    }
    assert!(problems.is_empty());
}

fn device(path: &str, access: OFlag) -> OwnedFd {
    open(path, access | OFlag::O_NOCTTY | OFlag::O_NONBLOCK, Mode::empty()).unwrap()
}

#[test]
fn row_04_one_way_fds_are_refused_with_their_access_mode() {
    let (read_end, write_end) = nix::unistd::pipe2(OFlag::empty()).unwrap();
    let one_way = |error: &Error| matches!(error, Error::NotReadWrite { .. });
    all_refused(
        [
            ("the read end of a pipe", read_end),
            ("the write end of a pipe", write_end),
            ("a terminal opened for reading", device("/dev/ptmx", OFlag::O_RDONLY)),
            ("a terminal opened for writing", device("/dev/ptmx", OFlag::O_WRONLY)),
        ],
        EINVAL,
        one_way,
    );
    let (handle, _problems) = handle();
    for (access, named) in [(OFlag::O_RDONLY, "ReadOnly"), (OFlag::O_WRONLY, "WriteOnly")] {
        let fd = device("/dev/ptmx", access);
        let source = DatafdSource::Fd(fd.as_fd());
        let error = handle.add_datafd(source, ChannelRequest::Any).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn row_08_fds_that_epoll_cannot_watch_are_refused() {
    let not_pollable = |error: &Error| matches!(error, Error::NotPollable { .. });
    all_refused(
        [
            ("a file", tempfile::tempfile().unwrap().into()),
            ("a folder", File::open("/").unwrap().into()),
            ("a device without readiness", device("/dev/null", OFlag::O_RDWR)),
            ("another one", device("/dev/zero", OFlag::O_RDWR)),
        ],
        EPERM,
        not_pollable,
    );
}

#[test]
fn row_08_sockets_without_a_peer_are_refused() {
    let bare = |family, kind| socket(family, kind, SockFlag::empty(), None).unwrap();
    let unsuitable = |error: &Error| matches!(error, Error::UnsupportedDatafd { .. });
    all_refused(
        [
            ("a bound UDP socket", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
            ("a UDP socket", bare(AddressFamily::Inet, SockType::Datagram)),
            ("a TCP socket", bare(AddressFamily::Inet, SockType::Stream)),
            ("a listening socket", TcpListener::bind("127.0.0.1:0").unwrap().into()),
            ("a Unix datagram socket", UnixDatagram::unbound().unwrap().into()),
            ("a Unix stream socket", bare(AddressFamily::Unix, SockType::Stream)),
            ("a Unix seqpacket socket", bare(AddressFamily::Unix, SockType::SeqPacket)),
        ],
        EINVAL,
        unsuitable,
    );
}

#[test]
fn row_08_pipes_are_refused_even_if_bidirectional() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let fifo = open(&path, OFlag::O_RDWR, Mode::empty()).unwrap();
    let unsuitable = |error: &Error| matches!(error, Error::UnsupportedDatafd { .. });
    all_refused([("a FIFO", fifo)], EINVAL, unsuitable);
}

#[test]
fn row_09_any_is_the_lowest_free_channel() {
    let (handle, _problems) = handle();
    let any = || handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    let added: Vec<_> = (0..4).map(|_| any()).collect();
    let numbers: Vec<_> = added.iter().map(|datafd| datafd.channel().get()).collect();
    assert_eq!(numbers, [0, 1, 2, 3]);

    handle.remove_datafd(added[1].number()).unwrap();
    assert_eq!(any().channel(), channel(1));
    assert_eq!(any().channel(), channel(4));
    let raw = ChannelRequest::from_raw(-128).unwrap();
    let datafd = handle.add_datafd(DatafdSource::Create, raw).unwrap();
    assert_eq!(datafd.channel(), channel(5), "any negative number requests any channel");
}

#[test]
fn row_09_exactly_the_requested_channel_unless_it_is_in_use() {
    let (handle, _problems) = handle();
    for number in [0, 7, 31] {
        let datafd = handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap();
        assert_eq!(datafd.channel(), channel(number));
        let error = handle.add_datafd(DatafdSource::Create, exactly(number)).unwrap_err();
        assert!(matches!(error, Error::ChannelInUse(at) if at == channel(number)), "{error}");
        assert_eq!(error.errno(), EBUSY);
    }
    assert_eq!(handle.channels(), [channel(0), channel(7), channel(31)]);
}

#[test]
fn row_09_numbers_from_32_are_not_channels() {
    for number in [32, 33, 127] {
        let error = Error::from(ChannelRequest::from_raw(number).unwrap_err());
        assert!(matches!(error, Error::InvalidChannel(_)), "{error}");
        assert_eq!(error.errno(), EINVAL);
        assert_eq!(Channel::try_from(number).unwrap_err().errno(), EINVAL);
    }
}

#[test]
fn row_10_there_are_32_channels_and_a_removed_one_is_free_at_once() {
    let (handle, _problems) = handle();
    let mut added = Vec::new();
    for expected in Channel::ALL {
        let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        assert_eq!(datafd.channel(), expected);
        added.push(datafd);
    }
    assert_eq!(handle.channels(), Channel::ALL);
    let error = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap_err();
    assert!(matches!(error, Error::NoChannelFree), "{error}");
    assert_eq!(error.errno(), EBUSY);

    for datafd in added {
        let freed = datafd.channel();
        datafd.remove().unwrap();
        let again = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        assert_eq!(again.channel(), freed);
    }
}

#[test]
fn row_11_the_same_open_file_twice_is_refused_with_the_channel_that_has_it() {
    let (handle, _problems) = handle();
    let (given, _far) = seqpacket_pair();
    let brought = handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(3)).unwrap();
    let created = handle.add_datafd(DatafdSource::Create, exactly(4)).unwrap();
    for datafd in [&brought, &created] {
        // A channel that is in use changes nothing: the descriptor is checked first.
        for request in [ChannelRequest::Any, exactly(9), exactly(3), exactly(4)] {
            let source = DatafdSource::Fd(datafd.as_fd());
            let error = handle.add_datafd(source, request).unwrap_err();
            let named = matches!(error, Error::DatafdExists { fd, channel }
                if fd == datafd.as_raw_fd() && channel == datafd.channel());
            assert!(named, "{error}");
            assert_eq!(error.errno(), EEXIST);
        }
    }
    assert_eq!(handle.channels(), [channel(3), channel(4)]);
}

#[test]
fn row_14_a_refusal_changes_no_existing_datafd() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    let (given, far) = stream_pair();
    cluster.bring(1, &given, 0);
    let to = cluster.create(2, 0);
    let file: OwnedFd = tempfile::tempfile().unwrap().into();
    let status = handle.datafd_status(channel(0)).unwrap();
    for (source, request) in [
        (DatafdSource::Create, exactly(0)),
        (DatafdSource::Fd(given.as_fd()), ChannelRequest::Any),
        (DatafdSource::Fd(file.as_fd()), ChannelRequest::Any),
    ] {
        handle.add_datafd(source, request).unwrap_err();
        assert_eq!(handle.channels(), [channel(0)]);
        assert_eq!(handle.datafd_status(channel(0)).unwrap(), status);
    }
    nix::unistd::write(&far, b"still here").unwrap();
    assert_eq!(knet_tests::wait::receive(&to), b"still here");
    let next = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    assert_eq!(next.channel(), channel(1), "no channel was taken");
}

#[test]
fn lookups_find_existing_datafds() {
    let (handle, _problems) = handle();
    let (given, _far) = stream_pair();
    let brought = handle.add_datafd(DatafdSource::Fd(given.as_fd()), exactly(12)).unwrap();
    let created = handle.add_datafd(DatafdSource::Create, exactly(13)).unwrap();
    assert_eq!(brought.number(), given.as_raw_fd());
    for datafd in [brought, created] {
        let found = handle.datafd(datafd.channel()).unwrap();
        assert_eq!(found.number(), datafd.number());
        assert_eq!(handle.channel_of(datafd.number()).unwrap(), datafd.channel());
        assert_eq!(handle.channel_of(&datafd).unwrap(), datafd.channel());
    }
    assert_eq!(handle.channel_of(given.as_raw_fd()).unwrap(), channel(12));
}

#[test]
fn lookups_of_unknown_channels_and_fds_fail() {
    let (handle, _problems) = handle();
    let (stranger, _far) = stream_pair();
    for number in [0, 10, 31] {
        let error = handle.datafd(channel(number)).unwrap_err();
        assert!(matches!(error, Error::ChannelNotInUse(at) if at == channel(number)), "{error}");
        assert_eq!(error.errno(), EINVAL);
        assert_eq!(handle.datafd_status(channel(number)).unwrap_err().errno(), EINVAL);
    }
    for number in [0, -1, i32::MIN, i32::MAX, stranger.as_raw_fd()] {
        let error = handle.channel_of(number).unwrap_err();
        assert!(matches!(error, Error::UnknownDatafd { fd } if fd == number), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
}

#[test]
fn removing_an_unknown_fd_or_0_or_a_negative_number_fails() {
    let (handle, _problems) = handle();
    let (stranger, _far) = stream_pair();
    let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
    for number in [0, -1, i32::MIN, i32::MAX, stranger.as_raw_fd()] {
        let error = handle.remove_datafd(number).unwrap_err();
        assert!(matches!(error, Error::UnknownDatafd { fd } if fd == number), "{error}");
        assert_eq!(error.errno(), EINVAL);
    }
    assert_eq!(handle.channels(), [channel(0)]);
    let number = datafd.number();
    datafd.remove().unwrap();
    assert_eq!(handle.remove_datafd(number).unwrap_err().errno(), EINVAL, "a second time");
}
