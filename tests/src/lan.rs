//! Hosts on Ethernet, each in a network namespace of its own, with a cable to each of several
//! switches.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::namespace::Namespace;

/// Hosts 1, 2, … in a network with several switches: interface `eth0` of each host is connected to
/// the first, for link 0, and so on.
#[derive(Debug)]
pub struct Lan {
    switches: Namespace,
    hosts: Vec<Namespace>,
}

/// Which version of IP the links use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Lan {
    /// Builds the network.
    ///
    /// # Panics
    /// If this machine does not permit it.
    #[must_use]
    pub fn new(hosts: u16, links: u8) -> Self {
        let switches = Namespace::new();
        for link in 0..links {
            switches.ip(&format!("link add switch{link} type bridge mcast_snooping 0"));
            switches.ip(&format!("link set switch{link} up"));
        }
        let hosts = (1..=hosts)
            .map(|host| {
                let namespace = Namespace::new();
                for link in 0..links {
                    let (interface, port) = (interface(link), port(host, link));
                    switches.connect(&port, &namespace, &interface);
                    switches.ip(&format!("link set {port} master switch{link}"));
                    for family in [Family::V4, Family::V6] {
                        namespace.add_address(
                            &interface,
                            address(family, host, link),
                            family.prefix(),
                        );
                    }
                }
                namespace
            })
            .collect();
        Self { switches, hosts }
    }

    /// Returns the network of a host.
    #[must_use]
    pub fn host(&self, host: u16) -> &Namespace {
        &self.hosts[usize::from(host) - 1]
    }

    /// Returns the number of hosts.
    ///
    /// # Panics
    /// Never: their number came as a `u16`.
    #[must_use]
    pub fn hosts(&self) -> u16 {
        self.hosts.len().try_into().expect("the number was a u16")
    }

    /// Pulls the cable of a host out of the switch: its interface has no carrier.
    ///
    /// # Panics
    /// If there is no such cable.
    pub fn pull(&self, host: u16, link: u8) {
        self.switches.ip(&format!("link set {} down", port(host, link)));
    }

    /// Plugs the cable in again.
    ///
    /// # Panics
    /// If there is no such cable.
    pub fn plug(&self, host: u16, link: u8) {
        self.switches.ip(&format!("link set {} up", port(host, link)));
    }

    /// Switches a host's interface off or on.
    ///
    /// # Panics
    /// If there is no such interface.
    pub fn set_interface(&self, host: u16, link: u8, up: bool) {
        let state = if up { "up" } else { "down" };
        self.host(host).ip(&format!("link set {} {state}", interface(link)));
    }
}

/// Returns the address of a host on the switch of a link.
#[must_use]
pub fn address(family: Family, host: u16, link: u8) -> IpAddr {
    match family {
        Family::V4 => {
            let [high, low] = host.to_be_bytes();
            Ipv4Addr::new(10, link, high, low).into()
        }
        Family::V6 => Ipv6Addr::new(0xfd00, 0, 0, link.into(), 0, 0, 0, host).into(),
    }
}

impl Family {
    /// Returns the prefix length of a switch's network.
    #[must_use]
    pub fn prefix(self) -> u8 {
        match self {
            Self::V4 => 16,
            Self::V6 => 64,
        }
    }
}

/// Returns the name of a host's interface for a link.
#[must_use]
pub fn interface(link: u8) -> String {
    format!("eth{link}")
}

fn port(host: u16, link: u8) -> String {
    format!("port{host}-{link}")
}
