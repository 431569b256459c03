//! Optional settings of a socket.

use crate::QosMarking;

/// The optional settings of a [`UdpSocket`](crate::UdpSocket). Options that links require are always set.
///
/// # Examples
///
/// ```
/// use knet_transport::SocketOptions;
///
/// let options = SocketOptions { gro: true, ..SocketOptions::default() };
/// assert_eq!(options.buffer_size, 8 * 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketOptions {
    /// The size of the receive buffer and of the send buffer in bytes, including the kernel's own
    /// bookkeeping. Default 8 MiB, as in libknet. A size above the limits of the system
    /// (`net.core.rmem_max` and `wmem_max`) is forced if the process is privileged. Otherwise the buffers
    /// are smaller and may lose datagrams under load.
    pub buffer_size: usize,

    /// The marking of datagrams without a [`Datagram::marking`](crate::Datagram::marking) of their own.
    /// [`UdpSocket::mark`](crate::UdpSocket::mark) changes it later. Unmarked by default.
    pub marking: QosMarking,

    /// Whether the kernel may coalesce datagrams of one sender (`UDP_GRO` of `udp(7)`, since Linux 5.0).
    /// [`ReceiveBatch`](crate::ReceiveBatch) splits them again. If the kernel refuses, the socket works
    /// without it ([`UdpSocket::gro_error`](crate::UdpSocket::gro_error)). Default `false`, because it
    /// requires buffers of [`ReceiveBatch::MAX_SIZE`](crate::ReceiveBatch::MAX_SIZE) bytes even for short
    /// datagrams: bytes beyond the buffer are lost.
    pub gro: bool,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions { buffer_size: 8 * 1024 * 1024, marking: QosMarking::default(), gro: false }
    }
}
