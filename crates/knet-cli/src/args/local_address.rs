//! Checks that the local addresses of links are addresses of this machine.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use nix::ifaddrs::getifaddrs;

use crate::args::peer_link::PeerLink;
use crate::process::exit::Usage;

/// Checks that each link has a local address of this machine. The library accepts others, because a
/// cluster may start before its network does; nothing can be sent from them.
///
/// # Errors
/// [`Usage`] with the first address that is not local.
pub(crate) fn require_local<R>(links: &[PeerLink<R>]) -> Result<(), Usage> {
    match links.iter().find(|link| !is_local(link.local)) {
        None => Ok(()),
        Some(PeerLink { host, local, .. }) => Err(Usage(format!(
            "--peer {host}:{local}=...: {} is not an address of this machine: write one of those that \
             'ip address' lists",
            local.ip()
        ))),
    }
}

/// Returns `true` unless the kernel lets no socket have this address.
fn is_local(address: SocketAddr) -> bool {
    let mut any_port = address;
    any_port.set_port(0);
    match UdpSocket::bind(any_port) {
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => is_assigned(address.ip()),
        _ => true,
    }
}

/// Returns `true` if an interface has this address. A new IPv6 address cannot be bound to for a moment.
fn is_assigned(ip: IpAddr) -> bool {
    let Ok(mut interfaces) = getifaddrs() else { return false };
    interfaces.any(|interface| {
        let Some(address) = interface.address else { return false };
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        v4.or(v6) == Some(ip)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_distinguished_from_others() {
        let link = |local: &str| -> PeerLink {
            format!("2:{local}:5001=127.0.0.1:5002").parse().expect("a link")
        };
        let ours = ["127.0.0.1", "127.200.3.4", "0.0.0.0"].map(link);
        assert!(require_local(&ours).is_ok());
        let wrong = require_local(&[link("127.0.0.1"), link("192.0.2.1")]).unwrap_err();
        assert!(wrong.0.contains("192.0.2.1 is not an address of this machine"), "{wrong}");
        assert!(is_assigned(IpAddr::from([127, 0, 0, 1])));
        assert!(!is_assigned(IpAddr::from([192, 0, 2, 1])));
    }
}
