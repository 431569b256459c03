//! What a caller may choose about a socket.

use crate::Dscp;

/// `IPTOS_LOWDELAY` of `ip(7)`, what libknet marks prioritised traffic with if no DSCP is chosen.
const LOW_DELAY: u8 = 0x10;

/// How to set up a [`UdpSocket`](crate::UdpSocket). Options that links cannot do without are not among
/// these and always set.
///
/// Take what should stay as it is from the default: `SocketOptions { priority: true,
/// ..SocketOptions::default() }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketOptions {
    /// Bytes wanted for each of the receive and the send buffer, as the kernel counts them, its own
    /// bookkeeping included. Default 8 MiB (`KNET_RING_RCVBUFF`, `spec/engine.md` 2). More than the
    /// system allows (`net.core.rmem_max` and `wmem_max`) is forced where the process may do so;
    /// otherwise the socket works with less, which costs datagrams under load.
    pub buffer_size: usize,

    /// Whether the packets go before others on this machine (`SO_PRIORITY` 6), and are marked for low
    /// delay (traffic class 0x10) unless `dscp` says otherwise. Default false, as without libknet's
    /// `KNET_LINK_FLAG_TRAFFICHIPRIO`.
    pub priority: bool,

    /// What the packets are marked with for the routers on their way. Default none. Goes into
    /// `IP_TOS` of an IPv4 socket and `IPV6_TCLASS` of an IPv6 one.
    pub dscp: Option<Dscp>,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions { buffer_size: 8 * 1024 * 1024, priority: false, dscp: None }
    }
}

impl SocketOptions {
    /// The traffic class byte of the packets, if it is not left to the kernel.
    pub(crate) fn traffic_class(&self) -> Option<u8> {
        self.dscp.map(Dscp::traffic_class).or(self.priority.then_some(LOW_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_class_follows_dscp_then_priority() {
        let expedited = Some(Dscp::try_from(46).unwrap());
        let options = |priority, dscp| SocketOptions { priority, dscp, ..Default::default() };
        assert_eq!(options(false, None).traffic_class(), None);
        assert_eq!(options(true, None).traffic_class(), Some(0x10));
        assert_eq!(options(false, expedited).traffic_class(), Some(0xb8));
        assert_eq!(options(true, expedited).traffic_class(), Some(0xb8));
    }
}
