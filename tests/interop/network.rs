//! The network of a case: a loopback interface with an address for each host and link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use knet_tests::network::{in_own_network, ip};

/// The address family of a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Returns the address of a host on a link. Each link has addresses of its own, because libknet
    /// distinguishes links by them (`docs/interoperability.md`, "Limits of libknet").
    pub(crate) fn address(self, host: u16, link: u8) -> SocketAddr {
        let [_, low] = host.to_be_bytes();
        let ip: IpAddr = match self {
            Self::V4 => Ipv4Addr::new(127, 0, link, low).into(),
            Self::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, link.into(), host).into(),
        };
        SocketAddr::new(ip, PORT)
    }

    /// Returns the length of the IP and UDP headers.
    pub(crate) fn overhead(self) -> usize {
        match self {
            Self::V4 => 20 + 8,
            Self::V6 => 40 + 8,
        }
    }
}

/// Runs a case in a network of its own that has the addresses of [`Family::address`].
pub(crate) fn alone(family: Family, case: impl FnOnce(Family) + Send + 'static) {
    let set_up = move || {
        if family == Family::V6 {
            for (host, link) in
                (1..=HOSTS).flat_map(|host| (0..LINKS).map(move |link| (host, link)))
            {
                ip(&format!("address add {}/128 dev lo nodad", family.address(host, link).ip()))?;
            }
        }
        Ok(family)
    };
    in_own_network(set_up, case);
}

/// Defines a test of a case for each family.
macro_rules! both_families {
    ($($case:ident)*) => {$(
        mod $case {
            use crate::network::{Family, alone};

            #[test]
            fn over_ipv4() {
                alone(Family::V4, super::$case);
            }

            #[test]
            fn over_ipv6() {
                alone(Family::V6, super::$case);
            }
        }
    )*};
}
pub(crate) use both_families;

const PORT: u16 = 5405;
const HOSTS: u16 = 3;
const LINKS: u8 = 2;
