//! Kinds and access modes of descriptors.

use std::{
    fs::File,
    net::{TcpListener, UdpSocket},
    os::{
        fd::AsFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
        },
    },
};

use knet_fd::{AccessMode, FdKind, PairType, SocketDomain, SocketPair, SocketState, SocketType};
use nix::{
    sys::{
        eventfd::EventFd,
        socket::{AddressFamily, SockType},
        stat::Mode,
    },
    unistd,
};

use crate::samples::{new_socket, open_path, tcp};

fn assert_socket(fd: impl AsFd, domain: SocketDomain, kind: SocketType, state: SocketState) {
    assert_eq!(FdKind::of(fd), Ok(FdKind::Socket { domain, kind, state }));
}

#[test]
fn both_ends_of_a_pair_are_connected() {
    for kind in [PairType::Stream, PairType::Datagram, PairType::SeqPacket] {
        let SocketPair { left, right, .. } = SocketPair::new(kind, 4096).unwrap();
        assert_socket(&left, SocketDomain::Unix, kind.into(), SocketState::Connected);
        drop(left);
        // Only a failing write shows a datagram socket that its peer is gone.
        assert_socket(&right, SocketDomain::Unix, kind.into(), SocketState::Connected);
    }
}

#[test]
fn unix_sockets_go_through_their_states() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream");
    let unix = SocketDomain::Unix;
    let (stream, datagram) = (SocketType::Stream, SocketType::Datagram);

    assert_socket(
        new_socket(AddressFamily::Unix, SockType::Stream),
        unix,
        stream,
        SocketState::Unbound,
    );
    let listener = UnixListener::bind(&path).unwrap();
    assert_socket(&listener, unix, stream, SocketState::Listening);
    assert_socket(UnixStream::connect(&path).unwrap(), unix, stream, SocketState::Connected);
    assert_socket(listener.accept().unwrap().0, unix, stream, SocketState::Connected);

    let socket = UnixDatagram::unbound().unwrap();
    assert_socket(&socket, unix, datagram, SocketState::Unbound);
    let path = folder.path().join("datagram");
    let bound = UnixDatagram::bind(&path).unwrap();
    assert_socket(&bound, unix, datagram, SocketState::Bound);
    socket.connect(&path).unwrap();
    assert_socket(&socket, unix, datagram, SocketState::Connected);

    let name = format!("knet-fd test {}", folder.path().display());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let bound = UnixDatagram::bind_addr(&address).unwrap();
    assert_socket(&bound, unix, datagram, SocketState::Bound);
}

#[test]
fn internet_sockets_go_through_their_states() {
    for (domain, family, address, anywhere) in [
        (SocketDomain::Inet, AddressFamily::Inet, "127.0.0.1:0", "0.0.0.0:0"),
        (SocketDomain::Inet6, AddressFamily::Inet6, "[::1]:0", "[::]:0"),
    ] {
        let (stream, datagram) = (SocketType::Stream, SocketType::Datagram);
        assert_socket(new_socket(family, SockType::Stream), domain, stream, SocketState::Unbound);
        assert_socket(
            new_socket(family, SockType::Datagram),
            domain,
            datagram,
            SocketState::Unbound,
        );

        let socket = UdpSocket::bind(address).unwrap();
        assert_socket(&socket, domain, datagram, SocketState::Bound);
        socket.connect(socket.local_addr().unwrap()).unwrap();
        assert_socket(&socket, domain, datagram, SocketState::Connected);
        let socket = UdpSocket::bind(anywhere).unwrap();
        assert_socket(&socket, domain, datagram, SocketState::Bound);
        let listener = TcpListener::bind(address).unwrap();
        assert_socket(&listener, domain, stream, SocketState::Listening);
    }
    let (client, server) = tcp();
    for end in [client, server] {
        assert_socket(end, SocketDomain::Inet, SocketType::Stream, SocketState::Connected);
    }
}

#[test]
fn other_families_are_reported_by_number() {
    let socket = new_socket(AddressFamily::Netlink, SockType::Raw);
    let netlink = SocketDomain::Other(libc::AF_NETLINK);
    assert_socket(socket, netlink, SocketType::Raw, SocketState::Unknown);
}

#[test]
fn files_that_are_not_sockets_have_a_kind() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let (reader, writer) = unistd::pipe().unwrap();

    assert_eq!(FdKind::of(reader), Ok(FdKind::Fifo));
    assert_eq!(FdKind::of(writer), Ok(FdKind::Fifo));
    assert_eq!(FdKind::of(open_path(&fifo)), Ok(FdKind::Fifo));
    assert_eq!(FdKind::of(File::open("/dev/null").unwrap()), Ok(FdKind::CharacterDevice));
    assert_eq!(FdKind::of(tempfile::tempfile().unwrap()), Ok(FdKind::RegularFile));
    assert_eq!(FdKind::of(File::open(folder.path()).unwrap()), Ok(FdKind::Directory));
    assert_eq!(FdKind::of(open_path(folder.path())), Ok(FdKind::Directory));
    assert_eq!(FdKind::of(EventFd::new().unwrap()), Ok(FdKind::Other));
}

#[test]
fn the_path_of_a_socket_is_not_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(FdKind::of(open_path(&path)), Ok(FdKind::Other));
}

#[test]
fn access_modes_are_reported() {
    let null = |mode: i32| {
        File::options()
            .read(true)
            .custom_flags(mode)
            .open("/dev/null")
            .map(|file| AccessMode::of(&file).unwrap())
    };
    assert_eq!(null(0).unwrap(), AccessMode::ReadOnly);
    assert_eq!(null(libc::O_PATH).unwrap(), AccessMode::None);

    let options = |read, write| File::options().read(read).write(write).open("/dev/null").unwrap();
    assert_eq!(AccessMode::of(options(false, true)), Ok(AccessMode::WriteOnly));
    assert_eq!(AccessMode::of(options(true, true)), Ok(AccessMode::ReadWrite));

    let (reader, writer) = unistd::pipe().unwrap();
    assert_eq!(AccessMode::of(reader), Ok(AccessMode::ReadOnly));
    assert_eq!(AccessMode::of(writer), Ok(AccessMode::WriteOnly));
}

#[test]
fn a_file_opened_for_ioctl_only_has_no_access() {
    // The mode that open(2) describes as "non-standard, 3".
    use nix::fcntl::{OFlag, open};
    let flags = OFlag::from_bits_retain(libc::O_ACCMODE) | OFlag::O_CLOEXEC;
    let fd = open("/dev/null", flags, Mode::empty()).unwrap();
    assert_eq!(AccessMode::of(fd), Ok(AccessMode::None));
}

#[test]
fn a_socket_that_is_shut_down_stays_read_write() {
    let (end, _peer) = UnixStream::pair().unwrap();
    end.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(AccessMode::of(end), Ok(AccessMode::ReadWrite));
}
