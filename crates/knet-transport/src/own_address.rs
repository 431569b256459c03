//! Which addresses belong to this machine.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Returns `true` if the address, whatever its port, is one of this machine, in the network namespace of the
/// caller.
///
/// The kernel is asked for the route: packets to an own address leave from that address. Nothing is sent.
///
/// # Examples
///
/// ```
/// use knet_transport::is_own_address;
///
/// assert!(is_own_address("127.0.0.1:5405".parse()?));
/// assert!(!is_own_address("192.0.2.1:5405".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn is_own_address(address: SocketAddr) -> bool {
    // Packets to any of 127.0.0.0/8 leave from 127.0.0.1.
    if address.ip().is_loopback() {
        return true;
    }
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let source = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(address)?;
        socket.local_addr()
    });
    // Without a route, it is none of ours.
    source.is_ok_and(|source| source.ip() == address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_ours() {
        for own in ["127.0.0.1:1", "127.3.2.1:65535", "[::1]:9"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
    }
}
