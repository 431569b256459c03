//! DSCP and priority, read from packets that were received (`spec/api.md` 6.4 and 10.2).

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Instant;

use knet_tests::cluster::{QUICK, watch};
use knet_tests::waiting::DEADLINE;
use kronosnet::{Dscp, DscpOutOfRange, Error, Handle, HostId, Link, Marking};
use nix::libc::EINVAL;
use nix::sys::socket::sockopt::{IpRecvTos, Ipv6RecvTClass};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Where a link leads: it sees the pings, with how they are marked.
struct Listener(UdpSocket);

impl Listener {
    fn new(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        match ip {
            IpAddr::V4(_) => setsockopt(&socket, IpRecvTos, &true).unwrap(),
            IpAddr::V6(_) => setsockopt(&socket, Ipv6RecvTClass, &true).unwrap(),
        }
        Self(socket)
    }

    fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The traffic class of the next packet.
    fn class(&self) -> u8 {
        let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32));
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let fd = self.0.as_raw_fd();
        let message =
            recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), MsgFlags::empty());
        let message = message.expect("a ping comes");
        match message.cmsgs().unwrap().next() {
            Some(ControlMessageOwned::Ipv4Tos(class)) => class,
            Some(ControlMessageOwned::Ipv6TClass(class)) => class.try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the first packet of this class, behind which no other comes.
    fn expect(&self, class: u8) {
        let give_up = Instant::now() + DEADLINE;
        loop {
            let found = self.class();
            if found == class {
                break;
            }
            assert!(Instant::now() < give_up, "{found:#x} instead of {class:#x}");
        }
        assert_eq!([self.class(), self.class()], [class; 2]);
    }
}

fn dscp(number: u8) -> Marking {
    Marking { priority: false, dscp: Some(Dscp::try_from(number).unwrap()) }
}

/// A link that pings a listener.
fn link(handle: &Handle, id: u8, local: SocketAddr, listener: &Listener) -> Link {
    watch(handle, 2, id, local, listener.addr(), QUICK)
}

#[test]
fn a_change_reaches_links_that_are_there_and_those_that_come() {
    for ip in [V4, V6] {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let listeners = [Listener::new(ip), Listener::new(ip)];
        // Different ports, so different sockets.
        let ends = [(); 2].map(|()| handle.bind((ip, 0).into()).unwrap());
        let _first = link(&handle, 0, ends[0].addr(), &listeners[0]);
        listeners[0].expect(0);
        handle.set_marking(dscp(46)).unwrap();
        assert_eq!(handle.marking(), dscp(46));
        listeners[0].expect(46 << 2);
        let _second = link(&handle, 1, ends[1].addr(), &listeners[1]);
        listeners[1].expect(46 << 2);
        let third = Listener::new(ip);
        let _third = link(&handle, 2, (ip, 0).into(), &third);
        third.expect(46 << 2);

        handle.set_marking(Marking { priority: true, dscp: None }).unwrap();
        // IPTOS_LOWDELAY, as libknet's TRAFFICHIPRIO.
        listeners[0].expect(0x10);
        handle.set_marking(Marking::default()).unwrap();
        listeners[0].expect(0);
    }
}

#[test]
fn a_link_may_be_marked_in_another_way() {
    for ip in [V4, V6] {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let listeners = [Listener::new(ip), Listener::new(ip)];
        let ends = [(); 2].map(|()| handle.bind((ip, 0).into()).unwrap());
        let own = link(&handle, 0, ends[0].addr(), &listeners[0]);
        let other = link(&handle, 1, ends[1].addr(), &listeners[1]);
        handle.set_marking(dscp(46)).unwrap();
        own.set_marking(Some(dscp(10))).unwrap();
        assert_eq!((own.marking().unwrap(), other.marking().unwrap()), (Some(dscp(10)), None));
        listeners[0].expect(10 << 2);
        listeners[1].expect(46 << 2);
        handle.set_marking(dscp(8)).unwrap();
        listeners[1].expect(8 << 2);
        listeners[0].expect(10 << 2);
        own.set_marking(None).unwrap();
        listeners[0].expect(8 << 2);
    }
}

#[test]
fn links_with_one_local_address_are_marked_alike() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let listeners = [Listener::new(V4), Listener::new(V4)];
    let end = handle.bind((V4, 0).into()).unwrap();
    let one = link(&handle, 0, end.addr(), &listeners[0]);
    let two = link(&handle, 1, end.addr(), &listeners[1]);
    one.set_marking(Some(dscp(10))).unwrap();
    assert_eq!(two.marking().unwrap(), Some(dscp(10)));
    for listener in &listeners {
        listener.expect(10 << 2);
    }
    two.set_marking(Some(dscp(12))).unwrap();
    for listener in &listeners {
        listener.expect(12 << 2);
    }
}

#[test]
fn a_code_point_has_six_bits() {
    let error = Error::from(Dscp::try_from(100).unwrap_err());
    assert!(matches!(error, Error::Dscp(DscpOutOfRange(100))), "{error}");
    assert_eq!(error.errno(), EINVAL);
    assert_eq!(Dscp::try_from(40).map(Dscp::get), Ok(40));
    let handle = Handle::new(HostId::new(1)).unwrap();
    handle.set_marking(dscp(63)).unwrap();
    assert_eq!(handle.marking(), dscp(63));
}

#[test]
fn a_link_that_was_cleared_has_no_marking() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let listener = Listener::new(V4);
    let link = link(&handle, 0, (V4, 0).into(), &listener);
    link.disable().unwrap();
    link.clone().clear().unwrap();
    assert_eq!(link.set_marking(Some(dscp(1))).unwrap_err().errno(), EINVAL);
    assert_eq!(link.marking().unwrap_err().errno(), EINVAL);
}
