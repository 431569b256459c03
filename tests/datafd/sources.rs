//! Rows 4, 6 and 8: the kinds of descriptors that may be datafds, and how they are set up.

use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use knet_tests::cluster::{Cluster, exactly};
use knet_tests::descriptors::{
    clear_flags, datagram_pair, flags, raw_pty, seqpacket_pair, stream_pair, tcp_pair, udp_pair,
};
use knet_tests::wait::{read, receive};
use kronosnet::{ChannelRequest, DatafdSource, Error};
use nix::fcntl::{FdFlag, OFlag};
use nix::sys::socket::sockopt::{RcvBuf, SndBuf, SockType};
use nix::sys::socket::{AddressFamily, SockaddrLike, UnixAddr, getsockname, getsockopt};

/// Adds `given` as a datafd and sends a message each way through it; `far` is its other end.
fn carries_both_ways(given: impl AsFd, far: impl AsFd) {
    let cluster = Cluster::pair();
    clear_flags(&given);
    let datafd = cluster.bring(1, &given, 5);
    let there = cluster.create(2, 5);
    assert_eq!(datafd.number(), given.as_fd().as_raw_fd());
    assert!(!cluster.handle(1).datafd_status(datafd.channel()).unwrap().created);

    let (status, descriptor) = flags(&given);
    assert!(status.contains(OFlag::O_NONBLOCK), "{status:?}");
    assert!(descriptor.contains(FdFlag::FD_CLOEXEC), "{descriptor:?}");

    for text in ["hello", "a", "again"] {
        let text = text.as_bytes();
        assert_eq!(nix::unistd::write(&far, text), Ok(text.len()));
        assert_eq!(receive(&there), text);
        there.send(text).unwrap();
        assert_eq!(read(&far), text);
    }
    assert!(cluster.problems(1).is_empty());
}

#[test]
fn row_04_one_fd_carries_both_directions() {
    let cluster = Cluster::pair();
    let (one, far_one) = seqpacket_pair();
    let (two, far_two) = seqpacket_pair();
    cluster.bring(1, &one, 5);
    cluster.bring(2, &two, 5);
    for (from, to) in [(&far_one, &far_two), (&far_two, &far_one)] {
        from.send(b"what was written").unwrap();
        assert_eq!(read(to), b"what was written");
    }
}

#[test]
fn row_06_created_is_a_pair_of_seqpacket_sockets() {
    let cluster = Cluster::pair();
    for request in [exactly(7), ChannelRequest::Any] {
        let datafd = cluster.handle(1).add_datafd(DatafdSource::Create, request).unwrap();
        assert_eq!(datafd.as_fd().as_raw_fd(), datafd.number());
        assert_eq!(getsockopt(&datafd, SockType), Ok(nix::sys::socket::SockType::SeqPacket));
        let name: UnixAddr = getsockname(datafd.number()).unwrap();
        assert_eq!(name.family(), Some(AddressFamily::Unix));
        let (status, descriptor) = flags(&datafd);
        assert!(status.contains(OFlag::O_NONBLOCK | OFlag::O_RDWR), "{status:?}");
        assert!(descriptor.contains(FdFlag::FD_CLOEXEC), "{descriptor:?}");
        assert!(cluster.handle(1).datafd_status(datafd.channel()).unwrap().created);
    }
}

/// Asserts 8 MiB, or the limit of the system, which Linux doubles.
#[test]
fn row_06_created_pairs_have_big_buffers() {
    let limit = |file: &str| -> usize {
        let text = std::fs::read_to_string(format!("/proc/sys/net/core/{file}")).unwrap();
        text.trim().parse().unwrap()
    };
    let cluster = Cluster::pair();
    let datafd = cluster.create(1, 0);
    let (send, receive) = (getsockopt(&datafd, SndBuf), getsockopt(&datafd, RcvBuf));
    assert!(send.unwrap() >= (2 * limit("wmem_max")).min(8 << 20), "{send:?}");
    assert!(receive.unwrap() >= (2 * limit("rmem_max")).min(8 << 20), "{receive:?}");
}

#[test]
fn row_06_a_given_fd_is_the_datafd() {
    let cluster = Cluster::pair();
    let (given, far) = datagram_pair();
    let number = given.as_raw_fd();
    clear_flags(&given);
    let source = DatafdSource::Owned(given.into());
    let datafd = cluster.handle(1).add_datafd(source, exactly(2)).unwrap();
    assert_eq!((datafd.number(), datafd.caller_fd()), (number, None));
    assert!(!cluster.handle(1).datafd_status(datafd.channel()).unwrap().created);
    let (status, descriptor) = flags(&datafd);
    assert!(status.contains(OFlag::O_NONBLOCK), "{status:?}");
    assert!(descriptor.contains(FdFlag::FD_CLOEXEC), "{descriptor:?}");

    let there = cluster.create(2, 2);
    far.send(b"out").unwrap();
    assert_eq!(receive(&there), b"out");
    there.send(b"in").unwrap();
    assert_eq!(read(&far), b"in");
    let error = datafd.recv(&mut [0; 10]).unwrap_err();
    assert!(matches!(error, Error::NotOurDatafd(_)), "{error}");
}

#[test]
fn row_08_unix_streams_are_accepted() {
    let (given, far) = stream_pair();
    carries_both_ways(given, far);
}

#[test]
fn row_08_unix_seqpackets_are_accepted() {
    let (given, far) = seqpacket_pair();
    carries_both_ways(given, far);
}

#[test]
fn row_08_unix_datagrams_are_accepted() {
    let (given, far) = datagram_pair();
    carries_both_ways(given, far);
}

#[test]
fn row_08_accepted_and_connected_unix_streams_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let connect = || {
        let client = UnixStream::connect(&path).unwrap();
        (client, listener.accept().unwrap().0)
    };
    let (client, accepted) = connect();
    carries_both_ways(client, accepted);
    let (client, accepted) = connect();
    carries_both_ways(accepted, client);
}

#[test]
fn row_08_unix_streams_with_abstract_names_are_accepted() {
    let name = format!("knet-tests-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let listener = UnixListener::bind_addr(&address).unwrap();
    let client = UnixStream::connect_addr(&address).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    carries_both_ways(client, accepted);
}

#[test]
fn row_08_tcp_connections_are_accepted() {
    let (given, far) = tcp_pair();
    carries_both_ways(given, far);
}

#[test]
fn row_08_connected_udp_sockets_are_accepted() {
    let (given, far) = udp_pair();
    carries_both_ways(given, far);
}

#[test]
fn row_08_pollable_character_devices_are_accepted() {
    let (given, far) = raw_pty();
    carries_both_ways(given, far);
}
