//! A link as it is written on the command line: `HOST:LOCAL=REMOTE`. Where the peer is, or from where
//! it may speak, is in [`crate::remote`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::str::FromStr;

use kronosnet::{AclEntryError, HostId, LinkId};

use crate::exit::Usage;
use crate::remote::Network;

/// One link to a host. `2:127.0.0.1:5001=127.0.0.1:5002` is a link to host 2 from the local address
/// to the remote one; an IPv6 address stands in brackets, as in `[::1]:5001`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerLink<R = SocketAddr> {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: R,
}

/// Why a text is not a link.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("write HOST:LOCAL=REMOTE, such as 2:127.0.0.1:5001=127.0.0.1:5002")]
    Form,
    #[error("'{0}' is not a host id: a number from 0 to 65535")]
    Host(String),
    #[error("'{0}' is not an address: write 127.0.0.1:5001 or [::1]:5001")]
    Address(String),
    #[error("'{0}' is a network: write the peer's address, such as 127.0.0.1:5002")]
    NotFixed(String),
    #[error("{0} has no port: the peer has to know it, so it cannot be left to the kernel")]
    NoPort(SocketAddr),
    #[error("{0} is no address to send to")]
    Unspecified(SocketAddr),
    #[error("{local} and {remote} are not both IPv4 or both IPv6")]
    MixedFamilies { local: SocketAddr, remote: SocketAddr },
    #[error("'{0}' is not a network: write 10.0.0.0/8 or fd00::/8")]
    Network(String),
    #[error("'{text}' is not a network: {why}")]
    NoSuchNetwork { text: String, why: AclEntryError },
    #[error("{local} and {network} are not both IPv4 or both IPv6")]
    OtherFamily { local: SocketAddr, network: Network },
}

impl FromStr for PeerLink {
    type Err = PeerError;

    fn from_str(text: &str) -> Result<Self, PeerError> {
        let (host, local, remote) = parts(text)?;
        if remote.parse::<Network>().is_ok() {
            return Err(PeerError::NotFixed(remote.to_owned()));
        }
        let remote = address(remote)?;
        if remote.ip().is_unspecified() {
            return Err(PeerError::Unspecified(remote));
        }
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(PeerError::MixedFamilies { local, remote });
        }
        Ok(Self { host, local, remote })
    }
}

/// What a link consists of, the last part as it was written.
pub(crate) fn parts(text: &str) -> Result<(HostId, SocketAddr, &str), PeerError> {
    let (host, path) = text.split_once(':').ok_or(PeerError::Form)?;
    let (local, remote) = path.split_once('=').ok_or(PeerError::Form)?;
    let host = host.parse().map_err(|_| PeerError::Host(host.to_owned()))?;
    Ok((host, address(local)?, remote))
}

/// The links to each host, in the order in which they were named.
///
/// # Errors
/// [`Usage`] if one leads to ourselves, or a host has more than 8.
pub(crate) fn by_host<R: Copy>(
    own: HostId,
    links: &[PeerLink<R>],
) -> Result<BTreeMap<HostId, Vec<PeerLink<R>>>, Usage> {
    let mut peers: BTreeMap<HostId, Vec<PeerLink<R>>> = BTreeMap::new();
    for &link in links {
        if link.host == own {
            return Err(Usage(format!("--peer {}: that is our own id", link.host)));
        }
        let links = peers.entry(link.host).or_default();
        links.push(link);
        if links.len() > usize::from(LinkId::COUNT) {
            let most = LinkId::COUNT;
            return Err(Usage(format!("host {} has more than {most} links", link.host)));
        }
    }
    Ok(peers)
}

fn address(text: &str) -> Result<SocketAddr, PeerError> {
    let address: SocketAddr = text.parse().map_err(|_| PeerError::Address(text.to_owned()))?;
    if address.port() == 0 { Err(PeerError::NoPort(address)) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PeerLink, PeerError> {
        text.parse()
    }

    #[test]
    fn both_families_parse() {
        let link = parse("2:127.0.0.1:5001=127.0.0.1:5002").unwrap();
        assert_eq!(link.host, HostId::new(2));
        assert_eq!(link.local, "127.0.0.1:5001".parse().unwrap());
        assert_eq!(link.remote, "127.0.0.1:5002".parse().unwrap());

        let link = parse("65535:[::1]:5001=[fe80::1%2]:5002").unwrap();
        assert_eq!(link.host, HostId::new(65535));
        assert_eq!(link.local, "[::1]:5001".parse().unwrap());
        assert_eq!(link.remote, "[fe80::1%2]:5002".parse().unwrap());
    }

    #[test]
    fn an_unspecified_local_address_is_fine_and_a_remote_one_is_not() {
        assert!(parse("2:0.0.0.0:5001=127.0.0.1:5002").is_ok());
        let refused = parse("2:127.0.0.1:5001=0.0.0.0:5002").unwrap_err();
        assert_eq!(refused, PeerError::Unspecified("0.0.0.0:5002".parse().unwrap()));
    }

    #[test]
    fn each_mistake_is_named() {
        for text in ["", "2", "2:127.0.0.1:5001", "127.0.0.1=127.0.0.2", "=:"] {
            assert_eq!(parse(text), Err(PeerError::Form), "{text:?}");
        }
        for host in ["", "65536", "-1", "one", "[", " 2"] {
            let text = format!("{host}:127.0.0.1:5001=127.0.0.1:5002");
            assert_eq!(parse(&text), Err(PeerError::Host(host.into())), "{text:?}");
        }
        for address in ["", "127.0.0.1", "localhost:5001", "::1:5001", "127.0.0.1:65536", ":1"] {
            let text = format!("2:{address}=127.0.0.1:5002");
            assert_eq!(parse(&text), Err(PeerError::Address(address.into())), "{text:?}");
            let text = format!("2:127.0.0.1:5001={address}");
            assert_eq!(parse(&text), Err(PeerError::Address(address.into())), "{text:?}");
        }
        assert!(matches!(parse("2:127.0.0.1:0=127.0.0.1:1"), Err(PeerError::NoPort(_))));
        assert!(matches!(parse("2:127.0.0.1:1=127.0.0.1:0"), Err(PeerError::NoPort(_))));
        let network = parse("2:127.0.0.1:5001=127.0.0.0/8");
        assert_eq!(network, Err(PeerError::NotFixed("127.0.0.0/8".into())));
        let mixed = parse("2:127.0.0.1:5001=[::1]:5002");
        assert!(matches!(mixed, Err(PeerError::MixedFamilies { .. })));
    }
}
