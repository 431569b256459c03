//! A network from which the peer of a dynamic link may send, as in `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use kronosnet::{AclAction, AclEntry, AclEntryError};

/// The addresses that a dynamic link accepts its peer from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
    acl_entry: AclEntry,
}

/// Why a text is not a network.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NetworkError {
    #[error("'{0}' is not a network: write 10.0.0.0/8 or fd00::/8")]
    Form(String),
    #[error("'{text}' is not a network: {why}")]
    HostBits { text: String, why: AclEntryError },
}

impl Network {
    /// Returns `true` if this is an IPv4 network.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }

    /// Returns the entry that accepts this network in the access list of a link.
    pub(crate) fn acl_entry(&self) -> AclEntry {
        self.acl_entry
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(form)?;
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let prefix: u8 = prefix.parse().map_err(|_| form())?;
        let host_bits = (if address.is_ipv4() { 32_u8 } else { 128 }).checked_sub(prefix);
        let host_bits = u32::from(host_bits.ok_or_else(form)?);
        // Shifting by all bits overflows: the mask of /0 has none set.
        let mask = match address {
            IpAddr::V4(_) => Ipv4Addr::from(u32::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
            IpAddr::V6(_) => Ipv6Addr::from(u128::MAX.checked_shl(host_bits).unwrap_or(0)).into(),
        };
        let acl_entry = AclEntry::mask(AclAction::Accept, address, mask)
            .map_err(|why| NetworkError::HostBits { text: text.to_owned(), why })?;
        Ok(Self { address, prefix, acl_entry })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Network, NetworkError> {
        text.parse()
    }

    #[test]
    fn a_network_accepts_its_own_addresses_only() {
        for (network, inside, outside) in [
            ("10.1.2.0/23", "10.1.3.255", "10.1.4.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("fd00:1::/32", "fd00:1:ff::1", "fd00:2::1"),
            ("::/0", "fe80::1", "10.1.2.3"),
            ("::1/128", "::1", "::2"),
        ] {
            let parsed = parse(network).unwrap();
            assert_eq!(parsed.to_string(), network);
            let entry = parsed.acl_entry();
            assert!(entry.matches(inside.parse().unwrap()), "{inside} in {network}");
            assert!(!entry.matches(outside.parse().unwrap()), "{outside} in {network}");
        }
    }

    #[test]
    fn each_mistake_is_reported() {
        for text in ["/", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "[::]/0"] {
            assert_eq!(parse(text), Err(NetworkError::Form(text.into())));
        }
        let error = parse("10.0.0.1/8").unwrap_err();
        assert!(matches!(error, NetworkError::HostBits { .. }), "{error}");
    }
}
