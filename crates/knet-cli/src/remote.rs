//! The other end of a link: an address, or a network from which the peer may speak.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use kronosnet::{AclAction, AclEntry, Error, Host, Link, LinkConfig, LinkId};

use crate::peer::{PeerError, PeerLink, parts};

/// Where the peer of a link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Remote {
    /// At this address.
    At(SocketAddr),
    /// Somewhere in this network: it is found when it speaks, and followed when it moves.
    Within(Network),
}

/// A network, as in `10.0.0.0/8`. It is the access list of a dynamic link: nobody else is let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
    entry: AclEntry,
}

impl From<SocketAddr> for Remote {
    fn from(address: SocketAddr) -> Self {
        Self::At(address)
    }
}

impl Remote {
    /// Adds a link with this other end.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn add_link(
        self,
        host: &Host,
        id: LinkId,
        local: SocketAddr,
    ) -> Result<Link, Error> {
        match self {
            Self::At(remote) => host.add_link(id, LinkConfig::udp(local, remote)),
            Self::Within(network) => {
                let link = host.add_link(id, LinkConfig::udp_dynamic(local))?;
                link.add_acl_entry(network.entry)?;
                Ok(link)
            }
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Within(network) => network.fmt(f),
        }
    }
}

impl FromStr for PeerLink<Remote> {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (host, local, remote) = parts(text)?;
        if !remote.contains('/') {
            let PeerLink { host, local, remote } = text.parse::<PeerLink>()?;
            return Ok(Self { host, local, remote: Remote::At(remote) });
        }
        let network: Network = remote.parse()?;
        if local.is_ipv4() != network.address.is_ipv4() {
            return Err(PeerError::OtherFamily { local, network });
        }
        Ok(Self { host, local, remote: Remote::Within(network) })
    }
}

impl FromStr for Network {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let form = || PeerError::Network(text.to_owned());
        let (address, bits) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let bits: u8 = bits.parse().map_err(|_| form())?;
        let host_bits = (if address.is_ipv4() { 32_u8 } else { 128 }).checked_sub(bits);
        let host_bits = u32::from(host_bits.ok_or_else(form)?);
        // Shifting all bits out is an overflow, and leaves none.
        let mask = match address {
            IpAddr::V4(_) => Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
            IpAddr::V6(_) => Ipv6Addr::from(u128::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
        };
        let entry = AclEntry::mask(AclAction::Accept, address, mask)
            .map_err(|why| PeerError::NoSuchNetwork { text: text.to_owned(), why })?;
        Ok(Self { address, bits, entry })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PeerLink<Remote>, PeerError> {
        text.parse()
    }

    #[test]
    fn a_network_lets_in_its_own_addresses_only() {
        for (network, inside, outside) in [
            ("10.1.2.0/23", "10.1.3.255", "10.1.4.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("fd00:1::/32", "fd00:1:ff::1", "fd00:2::1"),
            ("::/0", "fe80::1", "10.1.2.3"),
            ("::1/128", "::1", "::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.to_string(), network);
            assert!(parsed.entry.matches(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!parsed.entry.matches(outside.parse().unwrap()), "{outside} in {network}");
        }
    }

    #[test]
    fn the_other_end_is_an_address_or_a_network() {
        let at = parse("2:127.0.0.1:1=127.0.0.1:2").unwrap().remote;
        assert_eq!(at, Remote::At("127.0.0.1:2".parse().unwrap()));
        let within = parse("2:127.0.0.1:1=127.0.0.0/8").unwrap().remote;
        assert_eq!(within, Remote::Within("127.0.0.0/8".parse().unwrap()));
        assert_eq!(within.to_string(), "127.0.0.0/8");
        parse("2:[::1]:1=::/0").unwrap();
    }

    #[test]
    fn each_mistake_is_named() {
        for network in ["/", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "[::]/0"] {
            let text = format!("2:127.0.0.1:1={network}");
            assert_eq!(parse(&text), Err(PeerError::Network(network.into())));
        }
        let error = parse("2:127.0.0.1:1=10.0.0.1/8").unwrap_err();
        assert!(matches!(error, PeerError::NoSuchNetwork { .. }), "{error}");
        let error = parse("2:127.0.0.1:1=::/0").unwrap_err();
        assert!(matches!(error, PeerError::OtherFamily { .. }), "{error}");
        assert_eq!(parse("2:127.0.0.1:1"), Err(PeerError::Form));
        assert!(matches!(parse("2:127.0.0.1:1=127.0.0.1:0"), Err(PeerError::NoPort(_))));
    }
}
