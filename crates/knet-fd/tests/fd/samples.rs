//! Descriptors of many kinds, for tests that cover all of them.

use std::{
    fs::File,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::OpenOptionsExt,
            net::{UnixDatagram, UnixListener, UnixStream},
        },
    },
    path::Path,
};

use knet_fd::{PairType, SocketPair};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags},
        eventfd::EventFd,
        socket::{AddressFamily, SockFlag, SockType, socket},
    },
    unistd,
};

/// Opens a path without access to its contents (`O_PATH`).
pub(crate) fn open_path(path: impl AsRef<Path>) -> File {
    File::options().read(true).custom_flags(libc::O_PATH).open(path).unwrap()
}

/// Creates a pair: the end to read from, and its peer.
pub(crate) fn pair(kind: PairType) -> (OwnedFd, OwnedFd) {
    let pair = SocketPair::new(kind, 1 << 20).unwrap();
    (pair.right, pair.left)
}

/// Opens a TCP connection on the loopback interface.
pub(crate) fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

pub(crate) fn new_socket(family: AddressFamily, kind: SockType) -> OwnedFd {
    socket(family, kind, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// Waits until a descriptor is readable or its peer has hung up.
pub(crate) fn wait_readable(fd: impl AsFd) {
    let mut asked = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut asked, PollTimeout::from(10_000_u16)), Ok(1), "nothing arrived for 10 s");
}

/// Opens a descriptor of each kind, with its name.
pub(crate) fn one_of_each() -> Vec<(&'static str, OwnedFd)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (reader, writer) = unistd::pipe().unwrap();
    let (client, server) = tcp();
    vec![
        ("unix stream", UnixStream::pair().unwrap().0.into()),
        ("unix datagram", UnixDatagram::pair().unwrap().0.into()),
        ("unix seqpacket", pair(PairType::SeqPacket).0),
        ("unix listener", UnixListener::bind(&path).unwrap().into()),
        ("tcp listener", TcpListener::bind("127.0.0.1:0").unwrap().into()),
        ("tcp client", client.into()),
        ("tcp server", server.into()),
        ("udp", UdpSocket::bind("127.0.0.1:0").unwrap().into()),
        ("netlink", new_socket(AddressFamily::Netlink, SockType::Raw)),
        ("pipe, reading", reader),
        ("pipe, writing", writer),
        ("null device, reading", File::open("/dev/null").unwrap().into()),
        ("null device, writing", File::options().write(true).open("/dev/null").unwrap().into()),
        ("regular file", tempfile::tempfile().unwrap().into()),
        ("directory", File::open(folder.path()).unwrap().into()),
        ("path of a directory", open_path(folder.path()).into()),
        ("path of a socket", open_path(&path).into()),
        ("path of a device", open_path("/dev/null").into()),
        ("eventfd", EventFd::new().unwrap().into()),
        ("epoll", Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap().0),
    ]
}
