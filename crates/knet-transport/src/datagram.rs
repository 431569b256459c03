//! Datagrams to send.

use std::net::{IpAddr, SocketAddr};

use crate::QosMarking;

/// A datagram to send. `header` and `payload` follow each other on the wire.
///
/// They are separate so that one payload can be sent behind several headers without a copy. Either may be
/// empty. The longest datagram that UDP can carry has 65,507 bytes over IPv4 and 65,527 over IPv6. Because
/// nothing is fragmented, the MTU of the path is the limit in practice.
///
/// # Examples
///
/// ```
/// use std::net::{Ipv4Addr, SocketAddr};
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// let datagram = Datagram { header: b"knet", payload: b"data", destination, source: None, marking: None };
/// assert_eq!(socket.send(&mut SendBatch::new(1), &[datagram]).sent, 1);
///
/// let mut batch = ReceiveBatch::new(1, 1500);
/// socket.receive(&mut batch)?;
/// assert_eq!(batch.get(0).map(|datagram| datagram.bytes), Some(&b"knetdata"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Datagram<'a> {
    /// The first bytes.
    pub header: &'a [u8],
    /// The bytes after the header.
    pub payload: &'a [u8],
    /// The destination, of the same address family as the socket.
    pub destination: SocketAddr,
    /// The own address to send from, or `None` for the one that the socket is bound to or the kernel
    /// chooses. Only for a socket that is bound to all addresses (`0.0.0.0` or `::`).
    ///
    /// If the kernel refuses the address, because this machine does not have it any longer or there is no
    /// route from it, the datagram leaves from one that the kernel chooses.
    pub source: Option<IpAddr>,
    /// The marking of this datagram, or `None` for that of the socket. Kernels before Linux 6.14 do not
    /// accept a priority per datagram ([`supports_datagram_priority`](crate::supports_datagram_priority)):
    /// over IPv4 it follows from the traffic class, over IPv6 it is that of the socket.
    pub marking: Option<QosMarking>,
}

impl Datagram<'_> {
    pub(crate) fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }
}
