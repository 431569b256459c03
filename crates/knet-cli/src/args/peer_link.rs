//! A link as it is written on the command line: `HOST:LOCAL=REMOTE`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use kronosnet::{HostId, InterfaceName, LinkId, LinkZones, ZoneError, ZonedAddr};

use crate::args::network::{Network, NetworkError};
use crate::args::remote::Remote;
use crate::process::exit::Usage;

/// One link to a host.
///
/// `2:127.0.0.1:5001=127.0.0.1:5002` is a link to host 2 from the local address to the remote one.
/// IPv6 addresses are written in brackets, as in `[::1]:5001`, and link-local ones with their interface, as in
/// `[fe80::1%eth0]:5001`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerLink<R = SocketAddr> {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: R,
    /// The interfaces that were given by name, which the link follows.
    pub(crate) zones: LinkZones,
}

/// Why a text is not a link.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum PeerLinkError {
    #[error("write HOST:LOCAL=REMOTE, such as 2:127.0.0.1:5001=127.0.0.1:5002")]
    Form,
    #[error("'{0}' is not a host id: expected a number from 0 to 65535")]
    Host(String),
    #[error("'{0}' is not an address: write 127.0.0.1:5001, [::1]:5001 or [fe80::1%eth0]:5001")]
    Address(String),
    #[error("'{0}' is a network: write the peer's address, such as 127.0.0.1:5002")]
    NotAnAddress(String),
    #[error("{0} has no port: the peer has to know it, write one from 1 to 65535")]
    NoPort(SocketAddr),
    #[error("{0} is not an address of one host: write the address of an interface")]
    NotOneHost(SocketAddr),
    #[error("{0} is an IPv4 address in IPv6 form: write {1}")]
    Mapped(SocketAddr, SocketAddr),
    #[error("{0} is link-local: write its interface too, as in [{ip}%eth0]:{port}", ip = .0.ip(), port = .0.port())]
    NoZone(SocketAddr),
    #[error("both ends are {0}: write the address of the peer after '='")]
    SameEnds(SocketAddr),
    #[error("{local} and {remote} are of different families: write two IPv4 or two IPv6 addresses")]
    MixedFamilies { local: SocketAddr, remote: SocketAddr },
    #[error("{local} and {network} are of different families: use IPv4 or IPv6 for both")]
    NetworkOfOtherFamily { local: SocketAddr, network: Network },
    #[error(transparent)]
    Zone(ZoneError),
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl FromStr for PeerLink {
    type Err = PeerLinkError;

    fn from_str(text: &str) -> Result<Self, PeerLinkError> {
        let (host, (local, local_zone), remote) = parts(text)?;
        if remote.parse::<Network>().is_ok() {
            return Err(PeerLinkError::NotAnAddress(remote.to_owned()));
        }
        let (remote, remote_zone) = address(remote)?;
        if remote.ip().is_unspecified() {
            return Err(PeerLinkError::NotOneHost(remote));
        }
        if remote == local {
            return Err(PeerLinkError::SameEnds(remote));
        }
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(PeerLinkError::MixedFamilies { local, remote });
        }
        let zones = LinkZones { local: local_zone, remote: remote_zone };
        Ok(Self { host, local, remote, zones })
    }
}

impl FromStr for PeerLink<Remote> {
    type Err = PeerLinkError;

    fn from_str(text: &str) -> Result<Self, PeerLinkError> {
        let (host, (local, zone), remote) = parts(text)?;
        if !remote.contains('/') {
            let PeerLink { host, local, remote, zones } = text.parse::<PeerLink>()?;
            return Ok(Self { host, local, remote: Remote::At(remote), zones });
        }
        let network: Network = remote.parse()?;
        if local.is_ipv4() != network.is_ipv4() {
            return Err(PeerLinkError::NetworkOfOtherFamily { local, network });
        }
        let zones = LinkZones { local: zone, remote: None };
        Ok(Self { host, local, remote: Remote::Within(network), zones })
    }
}

/// Splits a link into host, local address and the text of its remote end.
fn parts(text: &str) -> Result<(HostId, End, &str), PeerLinkError> {
    let (host, path) = text.split_once(':').ok_or(PeerLinkError::Form)?;
    let (local, remote) = path.split_once('=').ok_or(PeerLinkError::Form)?;
    let host = host.parse().map_err(|_| PeerLinkError::Host(host.to_owned()))?;
    let (local, zone) = address(local)?;
    if matches!(local, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
    {
        return Err(PeerLinkError::NoZone(local));
    }
    Ok((host, (local, zone), remote))
}

/// An address, and the name of its zone.
type End = (SocketAddr, Option<InterfaceName>);

fn address(text: &str) -> Result<End, PeerLinkError> {
    let zoned: ZonedAddr = text.parse().map_err(|error| match error {
        ZoneError::Address(text) => PeerLinkError::Address(text),
        error => PeerLinkError::Zone(error),
    })?;
    let address = zoned.resolve().map_err(PeerLinkError::Zone)?;
    if address.port() == 0 {
        return Err(PeerLinkError::NoPort(address));
    }
    if let IpAddr::V6(v6) = address.ip() {
        if let Some(v4) = v6.to_ipv4_mapped() {
            return Err(PeerLinkError::Mapped(address, (v4, address.port()).into()));
        }
    }
    let is_broadcast = matches!(address.ip(), IpAddr::V4(v4) if v4.is_broadcast());
    if is_broadcast || address.ip().is_multicast() {
        return Err(PeerLinkError::NotOneHost(address));
    }
    Ok((address, zoned.zone()))
}

/// Groups links by host. The links of each host keep the order of the command line.
///
/// # Errors
/// [`Usage`] if a link leads to `own`, or a host has more than 8 links.
pub(crate) fn links_by_host<R: Copy>(
    own: HostId,
    links: &[PeerLink<R>],
) -> Result<BTreeMap<HostId, Vec<PeerLink<R>>>, Usage> {
    let mut peers: BTreeMap<HostId, Vec<PeerLink<R>>> = BTreeMap::new();
    for &link in links {
        if link.host == own {
            let text = format!(
                "--peer {own}:{}=...: host {own} is this host itself: --id is {own}",
                link.local
            );
            return Err(Usage(text));
        }
        let links = peers.entry(link.host).or_default();
        links.push(link);
        if links.len() > usize::from(LinkId::COUNT) {
            let most = LinkId::COUNT;
            let text = format!(
                "--peer {}: this host has more than {most} links: leave some out",
                link.host
            );
            return Err(Usage(text));
        }
    }
    Ok(peers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PeerLink, PeerLinkError> {
        text.parse()
    }

    fn parse_dynamic(text: &str) -> Result<PeerLink<Remote>, PeerLinkError> {
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
        let error = parse("2:127.0.0.1:5001=0.0.0.0:5002").unwrap_err();
        assert_eq!(error, PeerLinkError::NotOneHost("0.0.0.0:5002".parse().unwrap()));
    }

    #[test]
    fn zones_may_have_names() {
        let link = parse("2:[fe80::1%lo]:1=[fe80::2%lo]:2").unwrap();
        let lo: InterfaceName = "lo".parse().unwrap();
        assert_eq!(link.zones, LinkZones { local: Some(lo), remote: Some(lo) });
        let index = lo.index().unwrap();
        assert_eq!(link.remote, format!("[fe80::2%{index}]:2").parse().unwrap());
        let dynamic = parse_dynamic("2:[fe80::1%lo]:1=fe80::/10").unwrap();
        assert_eq!(dynamic.zones, LinkZones { local: Some(lo), remote: None });
        let error = parse("2:[fe80::1%no-such]:1=[fe80::2%lo]:2").unwrap_err();
        assert_eq!(error.to_string(), "this machine has no interface no-such");
        let error = parse("2:[fd00::1%lo]:1=[fd00::2]:2").unwrap_err();
        assert!(matches!(error, PeerLinkError::Zone(ZoneError::NotLinkLocal(_))), "{error}");
    }

    #[test]
    fn each_mistake_is_reported() {
        for text in ["", "2", "2:127.0.0.1:5001", "127.0.0.1=127.0.0.2", "=:"] {
            assert_eq!(parse(text), Err(PeerLinkError::Form), "{text:?}");
        }
        for host in ["", "65536", "-1", "one", "[", " 2"] {
            let text = format!("{host}:127.0.0.1:5001=127.0.0.1:5002");
            assert_eq!(parse(&text), Err(PeerLinkError::Host(host.into())), "{text:?}");
        }
        for address in ["", "127.0.0.1", "localhost:5001", "::1:5001", "127.0.0.1:65536", ":1"] {
            let text = format!("2:{address}=127.0.0.1:5002");
            assert_eq!(parse(&text), Err(PeerLinkError::Address(address.into())), "{text:?}");
            let text = format!("2:127.0.0.1:5001={address}");
            assert_eq!(parse(&text), Err(PeerLinkError::Address(address.into())), "{text:?}");
        }
        assert!(matches!(parse("2:127.0.0.1:0=127.0.0.1:1"), Err(PeerLinkError::NoPort(_))));
        assert!(matches!(parse("2:127.0.0.1:1=127.0.0.1:0"), Err(PeerLinkError::NoPort(_))));
        let same = parse("2:127.0.0.1:1=127.0.0.1:1");
        assert_eq!(same, Err(PeerLinkError::SameEnds("127.0.0.1:1".parse().unwrap())));
        for address in ["224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1"] {
            let other = if address.starts_with('[') { "[::1]:1" } else { "127.0.0.1:1" };
            for link in [format!("2:{address}={other}"), format!("2:{other}={address}")] {
                assert!(matches!(parse(&link), Err(PeerLinkError::NotOneHost(_))), "{link}");
            }
        }
        let network = parse("2:127.0.0.1:5001=127.0.0.0/8");
        assert_eq!(network, Err(PeerLinkError::NotAnAddress("127.0.0.0/8".into())));
        let mixed = parse("2:127.0.0.1:5001=[::1]:5002");
        assert!(matches!(mixed, Err(PeerLinkError::MixedFamilies { .. })));
    }

    #[test]
    fn addresses_that_need_another_form_are_reported() {
        let mapped = parse("2:[::ffff:127.0.0.1]:5001=[::1]:5002").unwrap_err();
        let expected =
            "[::ffff:127.0.0.1]:5001 is an IPv4 address in IPv6 form: write 127.0.0.1:5001";
        assert_eq!(mapped.to_string(), expected);
        let no_zone = parse("2:[fe80::1]:5001=[fe80::2]:5002").unwrap_err();
        let expected =
            "[fe80::1]:5001 is link-local: write its interface too, as in [fe80::1%eth0]:5001";
        assert_eq!(no_zone.to_string(), expected);
    }

    #[test]
    fn the_remote_end_may_be_an_address_or_a_network() {
        let at = parse_dynamic("2:127.0.0.1:1=127.0.0.1:2").unwrap().remote;
        assert_eq!(at, Remote::At("127.0.0.1:2".parse().unwrap()));
        let within = parse_dynamic("2:127.0.0.1:1=127.0.0.0/8").unwrap().remote;
        assert_eq!(within, Remote::Within("127.0.0.0/8".parse().unwrap()));
        assert_eq!(within.to_string(), "127.0.0.0/8");
        parse_dynamic("2:[::1]:1=::/0").unwrap();
    }

    #[test]
    fn each_mistake_in_a_network_is_reported() {
        for network in ["/", "10.0.0.0/33", "10.0.0.1/8"] {
            let error = parse_dynamic(&format!("2:127.0.0.1:1={network}")).unwrap_err();
            assert!(matches!(error, PeerLinkError::Network(_)), "{error}");
        }
        let error = parse_dynamic("2:127.0.0.1:1=::/0").unwrap_err();
        assert!(matches!(error, PeerLinkError::NetworkOfOtherFamily { .. }), "{error}");
        assert_eq!(parse_dynamic("2:127.0.0.1:1"), Err(PeerLinkError::Form));
        let no_port = parse_dynamic("2:127.0.0.1:1=127.0.0.1:0");
        assert!(matches!(no_port, Err(PeerLinkError::NoPort(_))));
    }
}
