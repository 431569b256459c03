//! The interfaces that the packets of links leave on, and what may keep them from leaving.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::check::netlink::{Address, Device, Netlink};

/// An interface, with the address that packets leave from.
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

/// Why nothing can be sent from one address to another.
#[derive(Debug)]
pub(crate) enum RouteError {
    /// The local address is not an address of this machine.
    NotLocal,
    /// There is no route, or another error of the kernel.
    NoRoute(io::Error),
}

/// Where packets leave.
pub(crate) trait Routing {
    /// Returns the interface on which packets from `local` to `remote` leave. If `local` is unspecified,
    /// the kernel chooses their address.
    ///
    /// # Errors
    /// [`RouteError`].
    fn interface(&self, local: SocketAddr, remote: SocketAddr) -> Result<Interface, RouteError>;

    /// Returns an interface that has this address. Of several, one that is not enabled comes first: it may
    /// explain a missing route.
    fn with_address(&self, address: IpAddr) -> Option<Interface>;
}

/// The interfaces of this machine and the routes of its kernel, in the network namespace of the thread
/// that read them.
#[derive(Debug)]
pub(crate) struct Machine {
    devices: Vec<Device>,
    addresses: Vec<Address>,
    netlink: RefCell<Netlink>,
}

impl Machine {
    /// Reads the interfaces and their addresses.
    ///
    /// # Errors
    /// Those of the kernel.
    pub(crate) fn read() -> io::Result<Self> {
        let mut netlink = Netlink::open()?;
        let (devices, addresses) = (netlink.devices()?, netlink.addresses()?);
        Ok(Self { devices, addresses, netlink: netlink.into() })
    }

    /// Returns an interface with one of its addresses, or with another one of this machine.
    fn interface_of(&self, index: u32, address: IpAddr) -> Option<Interface> {
        let device = self.devices.iter().find(|device| device.index == index)?;
        let has = |one: &&Address| one.device == index && one.covers(address);
        // The address may be that of another interface, such as the loopback interface of a router.
        let full = if address.is_ipv4() { 32 } else { 128 };
        let prefix = self.addresses.iter().find(has).map_or(full, |one| one.prefix);
        Some(Interface {
            name: device.name.clone(),
            address,
            prefix,
            is_up: device.is_up,
            has_carrier: device.has_carrier,
            mtu: device.mtu,
        })
    }
}

impl Routing for Machine {
    fn interface(&self, local: SocketAddr, remote: SocketAddr) -> Result<Interface, RouteError> {
        let source = source_address(local, remote)?;
        let index = self.netlink.borrow_mut().route(source, remote);
        let index = index.map_err(RouteError::NoRoute)?;
        let gone = || io::Error::other("the interface of the route was just removed");
        self.interface_of(index, source).ok_or_else(|| RouteError::NoRoute(gone()))
    }

    fn with_address(&self, address: IpAddr) -> Option<Interface> {
        let all = self.addresses.iter().filter(|one| one.covers(address));
        all.filter_map(|one| self.interface_of(one.device, address))
            .min_by_key(|interface| interface.is_up)
    }
}

impl Address {
    /// Returns `true` if packets to this address are for this machine. All of 127.0.0.0/8 belongs to the
    /// loopback interface.
    fn covers(&self, address: IpAddr) -> bool {
        let both_loopback = self.ip.is_loopback() && address.is_loopback();
        let same_network = || network(self.ip, self.prefix) == network(address, self.prefix);
        self.ip == address
            || both_loopback && self.ip.is_ipv4() == address.is_ipv4() && same_network()
    }
}

impl Interface {
    /// Returns the address of its network: its own with the host bits cleared.
    pub(crate) fn network(&self) -> IpAddr {
        network(self.address, self.prefix)
    }
}

/// Returns the source address of packets from `local` to `remote`: `local`, or what the kernel
/// chooses if `local` is unspecified. Sends nothing.
fn source_address(local: SocketAddr, remote: SocketAddr) -> Result<IpAddr, RouteError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn all_loopback_addresses_are_local_and_documentation_ones_are_not() {
        let machine = Machine::read().unwrap();
        for ip in ["127.0.0.1", "127.200.3.4"] {
            let found = machine.with_address(ip.parse().unwrap()).unwrap();
            assert!(found.is_up && found.mtu >= Some(1500), "{found:?}");
            assert_eq!((found.network(), found.prefix), ("127.0.0.0".parse().unwrap(), 8));
            assert_eq!(found.name, "lo");
        }
        assert_eq!(machine.with_address("192.0.2.1".parse().unwrap()), None);
    }

    #[test]
    fn the_kernel_chooses_the_address_and_the_interface() {
        let machine = Machine::read().unwrap();
        let leaves = |local, remote| machine.interface(address(local), address(remote));
        let one = leaves("127.0.0.5:1", "127.0.0.1:2").unwrap();
        assert_eq!((one.name.as_str(), one.address), ("lo", address("127.0.0.5:1").ip()));
        let any = leaves("0.0.0.0:1", "127.0.0.1:2").unwrap();
        assert!(any.address.is_loopback() && any.name == "lo", "{any:?}");
        let v6 = leaves("[::1]:1", "[::1]:2").unwrap();
        assert_eq!((v6.name.as_str(), v6.address), ("lo", address("[::1]:1").ip()));
        let foreign = leaves("192.0.2.1:1", "127.0.0.1:2");
        assert!(matches!(foreign, Err(RouteError::NotLocal)));
    }

    #[test]
    fn a_network_is_what_the_prefix_covers() {
        let network = |address: &str, prefix| network(address.parse().unwrap(), prefix).to_string();
        assert_eq!(network("10.1.2.3", 24), "10.1.2.0");
        assert_eq!(network("10.1.2.3", 0), "0.0.0.0");
        assert_eq!(network("10.1.2.3", 32), "10.1.2.3");
        assert_eq!(network("fd00::1:2", 64), "fd00::");
    }
}
