//! The addresses and interfaces of this machine, as far as links depend on them.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// An address of an interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    /// The prefix length of its network.
    pub(crate) prefix: u32,
    /// `true` if the interface is enabled.
    pub(crate) is_up: bool,
    /// `true` if the cable is connected.
    pub(crate) has_carrier: bool,
    /// The MTU in bytes.
    pub(crate) mtu: Option<usize>,
}

/// Returns all addresses of this machine.
///
/// # Errors
/// Those of `getifaddrs(3)`.
pub(crate) fn list() -> io::Result<Vec<Interface>> {
    let ip = |address: Option<SockaddrStorage>| {
        let address = address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    };
    let interfaces = getifaddrs()?.filter_map(|entry| {
        Some(Interface {
            address: ip(entry.address)?,
            prefix: leading_ones(ip(entry.netmask)?),
            is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
            has_carrier: entry.flags.contains(InterfaceFlags::IFF_RUNNING),
            mtu: mtu(&entry.interface_name),
            name: entry.interface_name,
        })
    });
    Ok(interfaces.collect())
}

/// Returns the interface that has this address. All of 127.0.0.0/8 belongs to the loopback interface.
pub(crate) fn with_address(interfaces: &[Interface], address: IpAddr) -> Option<&Interface> {
    let exact = interfaces.iter().find(|interface| interface.address == address);
    let loopback = || {
        let mut loopbacks = interfaces.iter().filter(|_| address.is_loopback());
        loopbacks.find(|interface| interface.network() == network(address, interface.prefix))
    };
    exact.or_else(loopback)
}

impl Interface {
    /// Returns the address of its network: its own with the host bits cleared.
    pub(crate) fn network(&self) -> IpAddr {
        network(self.address, self.prefix)
    }
}

/// Why nothing can be sent from one address to another.
#[derive(Debug)]
pub(crate) enum RouteError {
    /// The local address is not an address of this machine.
    NotLocal,
    /// There is no route, or another error of the kernel.
    NoRoute(io::Error),
}

/// Returns the source address of packets from `local` to `remote`: `local`, or what the kernel
/// chooses if `local` is unspecified. Sends nothing.
///
/// # Errors
/// [`RouteError`].
pub(crate) fn source_address(local: SocketAddr, remote: SocketAddr) -> Result<IpAddr, RouteError> {
    let mut any_port = local;
    // The port itself is in use: the link under test is bound to it.
    any_port.set_port(0);
    let socket = UdpSocket::bind(any_port).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => RouteError::NotLocal,
        _ => RouteError::NoRoute(error),
    })?;
    // Connecting a UDP socket selects a route without sending anything.
    socket.connect(remote).map_err(RouteError::NoRoute)?;
    Ok(socket.local_addr().map_err(RouteError::NoRoute)?.ip())
}

fn network(address: IpAddr, prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}

fn leading_ones(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(v4) => v4.to_bits().leading_ones(),
        IpAddr::V6(v6) => v6.to_bits().leading_ones(),
    }
}

fn mtu(interface: &str) -> Option<usize> {
    fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_loopback_addresses_are_local_and_documentation_ones_are_not() {
        let interfaces = list().unwrap();
        for address in ["127.0.0.1", "127.200.3.4"] {
            let found = with_address(&interfaces, address.parse().unwrap()).unwrap();
            assert!(found.is_up && found.mtu >= Some(1500), "{found:?}");
            assert_eq!((found.network(), found.prefix), ("127.0.0.0".parse().unwrap(), 8));
        }
        assert_eq!(with_address(&interfaces, "192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn the_kernel_chooses_the_source_address() {
        let address = |text: &str| text.parse().unwrap();
        let source = |local, remote| source_address(address(local), address(remote));
        assert_eq!(source("127.0.0.5:1", "127.0.0.1:2").unwrap(), address("127.0.0.5:1").ip());
        assert!(source("0.0.0.0:1", "127.0.0.1:2").unwrap().is_loopback());
        assert!(matches!(source("192.0.2.1:1", "127.0.0.1:2"), Err(RouteError::NotLocal)));
    }

    #[test]
    fn a_network_is_what_the_prefix_covers() {
        let network = |address: &str, prefix| network(address.parse().unwrap(), prefix).to_string();
        assert_eq!(network("10.1.2.3", 24), "10.1.2.0");
        assert_eq!(network("10.1.2.3", 0), "0.0.0.0");
        assert_eq!(network("10.1.2.3", 32), "10.1.2.3");
        assert_eq!(network("fd00::1:2", 64), "fd00::");
        assert_eq!(leading_ones("255.255.240.0".parse().unwrap()), 20);
    }
}
