//! Messages that a stranger sends: ICMP reports about packets that had no trouble.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, sendto,
    socket,
};

use crate::icmp::checksum;
use crate::namespace::Namespace;

/// A report that a packet did not reach its destination.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a test walks through all of them")]
pub enum Report {
    /// Nothing listens at the port.
    PortUnreachable,
    /// The machine does not answer.
    HostUnreachable,
    /// The packet went in circles.
    TtlExceeded,
    /// The next hop takes packets of this many bytes.
    TooBig(u16),
}

impl Report {
    /// All reports about reachability.
    pub const UNREACHABLE: [Self; 3] =
        [Self::PortUnreachable, Self::HostUnreachable, Self::TtlExceeded];

    /// Returns the message, without the checksum, about a packet from `from` to `to`.
    ///
    /// # Panics
    /// If one address is of IPv4 and the other of IPv6.
    #[must_use]
    pub fn about(self, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
        let (kind, code, quoted) = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let (kind, code) = match self {
                    Self::PortUnreachable => (3, 3),
                    Self::HostUnreachable => (3, 1),
                    Self::TtlExceeded => (11, 0),
                    Self::TooBig(_) => (3, 4),
                };
                let start = [0x45, 0, 0, 54, 0, 0, 0x40, 0, 64, 17, 0, 0];
                (kind, code, [&start[..], &from.octets(), &to.octets()].concat())
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let (kind, code) = match self {
                    Self::PortUnreachable => (1, 4),
                    Self::HostUnreachable => (1, 3),
                    Self::TtlExceeded => (3, 0),
                    Self::TooBig(_) => (2, 0),
                };
                let start = [0x60, 0, 0, 0, 0, 34, 17, 64];
                (kind, code, [&start[..], &from.octets(), &to.octets()].concat())
            }
            _ => panic!("{from} and {to} are of different families"),
        };
        let [high, low] = if let Self::TooBig(mtu) = self { mtu.to_be_bytes() } else { [0; 2] };
        let mut message = vec![kind, code, 0, 0, 0, 0, high, low];
        message.extend(quoted);
        // The header of UDP. The receiver finds its socket by the ports and checks no more.
        for field in [from.port(), to.port(), 34, 0] {
            message.extend(field.to_be_bytes());
        }
        message.resize(message.len() + 26, 0);
        message
    }

    /// Sends the report about a packet from `from` to `to` to its sender, from the machine whose
    /// network this is, with its own address.
    ///
    /// # Panics
    /// If this machine does not permit it.
    pub fn send(self, stranger: &Namespace, from: SocketAddr, to: SocketAddr) {
        let mut once = Some(());
        self.send_while(stranger, from, to, || once.take().is_some());
    }

    /// Does the same again and again, as fast as it can, while `goes_on` returns `true`.
    ///
    /// # Panics
    /// If this machine does not permit it.
    pub fn send_while(
        self,
        stranger: &Namespace,
        from: SocketAddr,
        to: SocketAddr,
        mut goes_on: impl FnMut() -> bool + Send,
    ) {
        let mut message = self.about(from, to);
        stranger.enter(|| match from {
            SocketAddr::V4(from) => {
                let sum = checksum(&message);
                message[2..4].copy_from_slice(&sum);
                let raw = raw(AddressFamily::Inet, SockProtocol::Icmp);
                let to = SockaddrIn::from(std::net::SocketAddrV4::new(*from.ip(), 0));
                while goes_on() {
                    sendto(raw.as_raw_fd(), &message, &to, MsgFlags::empty()).expect("it is root");
                }
            }
            SocketAddr::V6(from) => {
                // The kernel adds the checksum.
                let raw = raw(AddressFamily::Inet6, SockProtocol::IcmpV6);
                let to = SockaddrIn6::from(std::net::SocketAddrV6::new(*from.ip(), 0, 0, 0));
                while goes_on() {
                    sendto(raw.as_raw_fd(), &message, &to, MsgFlags::empty()).expect("it is root");
                }
            }
        });
    }
}

fn raw(family: AddressFamily, protocol: SockProtocol) -> std::os::fd::OwnedFd {
    socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol).expect("it is root")
}
