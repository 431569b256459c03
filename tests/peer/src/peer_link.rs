//! A link as it is written on the command line, as for `knet`: `HOST:LOCAL=REMOTE`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use kronosnet::HostId;

/// One link to a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PeerLink<R = SocketAddr> {
    pub(crate) host: HostId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: R,
}

/// Where the peer of a link is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Remote {
    /// At this address.
    At(SocketAddr),
    /// Somewhere in this network: the address is learned from its packets.
    Within { network: IpAddr, mask: IpAddr },
}

impl FromStr for PeerLink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let PeerLink { host, local, remote } = text.parse::<PeerLink<Remote>>()?;
        match remote {
            Remote::At(remote) => Ok(Self { host, local, remote }),
            Remote::Within { .. } => {
                let network = text.rsplit('=').next().unwrap_or(text);
                Err(format!(
                    "'{network}' is a network: write the peer's address, such as {EXAMPLE}"
                ))
            }
        }
    }
}

impl FromStr for PeerLink<Remote> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = || {
            let (host, path) = text.split_once(':')?;
            let (local, remote) = path.split_once('=')?;
            Some((host.parse().ok()?, local.parse().ok()?, remote))
        };
        let form = || format!("write HOST:LOCAL=REMOTE, such as 2:127.0.0.1:5001={EXAMPLE}");
        let (host, local, remote): (_, SocketAddr, &str) = parts().ok_or_else(form)?;
        let remote = match remote.split_once('/') {
            None => Remote::At(remote.parse().map_err(|_| form())?),
            Some((network, bits)) => {
                network_of(network, bits).ok_or_else(|| format!("'{remote}' is not a network"))?
            }
        };
        if let Remote::Within { network, .. } = remote {
            if local.is_ipv4() != network.is_ipv4() {
                return Err(format!("{local} and {network} are not both IPv4 or both IPv6"));
            }
        }
        Ok(Self { host, local, remote })
    }
}

/// Parses a network. Returns `None` also if there are bits outside of the mask: such a network contains
/// no address.
fn network_of(network: &str, bits: &str) -> Option<Remote> {
    let (network, bits): (IpAddr, u32) = (network.parse().ok()?, bits.parse().ok()?);
    // Shifting by all bits overflows: the mask of /0 has none set.
    let (outside, mask): (u128, IpAddr) = match network {
        IpAddr::V4(network) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            (u128::from(u32::from(network) & !mask), Ipv4Addr::from(mask).into())
        }
        IpAddr::V6(network) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
            (u128::from(network) & !mask, Ipv6Addr::from(mask).into())
        }
    };
    (outside == 0).then_some(Remote::Within { network, mask })
}

const EXAMPLE: &str = "127.0.0.1:5002";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_mask() {
        for (network, mask) in [
            ("10.1.2.0/23", "255.255.254.0"),
            ("10.1.2.3/32", "255.255.255.255"),
            ("0.0.0.0/0", "0.0.0.0"),
            ("fd00:1::/32", "ffff:ffff::"),
            ("::1/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("::/0", "::"),
        ] {
            let (address, bits) = network.split_once('/').unwrap();
            let network = address.parse().unwrap();
            let within = Remote::Within { network, mask: mask.parse().unwrap() };
            assert_eq!(network_of(address, bits), Some(within));
        }
    }
}
