//! What a caller may choose about a socket.

use crate::QosMarking;

/// How to set up a [`UdpSocket`](crate::UdpSocket). Options that links cannot do without are not among
/// these and always set.
///
/// Take what should stay as it is from the default: `SocketOptions { marking,
/// ..SocketOptions::default() }`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketOptions {
    /// Bytes wanted for each of the receive and the send buffer, as the kernel counts them, its own
    /// bookkeeping included. Default 8 MiB (`KNET_RING_RCVBUFF`, `spec/engine.md` 2). More than the
    /// system allows (`net.core.rmem_max` and `wmem_max`) is forced where the process may do so;
    /// otherwise the socket works with less, which costs datagrams under load.
    pub buffer_size: usize,

    /// How packets without a [`Datagram::marking`](crate::Datagram::marking) of their own are marked,
    /// until [`UdpSocket::mark`](crate::UdpSocket::mark) says otherwise.
    pub marking: QosMarking,

    /// Whether the kernel may hand over several datagrams of one sender as one, which
    /// [`ReceiveBatch`](crate::ReceiveBatch) takes apart again (`UDP_GRO` of `udp(7)`; without it where
    /// the kernel has none). Default false: it asks for room of
    /// [`ReceiveBatch::MAX_SIZE`](crate::ReceiveBatch::MAX_SIZE) bytes, however short the datagrams
    /// are, since what does not fit is lost.
    pub gro: bool,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions { buffer_size: 8 * 1024 * 1024, marking: QosMarking::default(), gro: false }
    }
}
