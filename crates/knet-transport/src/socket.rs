//! The socket itself.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use knet_fd::BufferReport;
use socket2::Socket;

use crate::error_queue::receive_error;
use crate::receive::receive;
use crate::segments::Segmentation;
use crate::send::send;
use crate::setup::{self, BoundSocket};
use crate::{
    BindError, Datagram, ErrorQueue, MarkError, QosMarking, ReceiveBatch, ReceiveError, SendBatch,
    SendProgress, SocketError, SocketOptions,
};

/// A UDP socket as links need it.
///
/// It is bound but not connected, so that several links can share it. All methods take `&self` and may
/// be called from any thread at any time; the batches they are given are what each thread has of its
/// own. None of them waits but [`wait_writable`](Self::wait_writable): register the socket with a
/// poller, for reading, and for writing while a send ends in
/// [`WouldBlock`](crate::SendErrorKind::WouldBlock). When the poller reports an error, call
/// [`receive_error`](Self::receive_error) until it returns none.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    buffers: BufferReport,
    gro_error: Option<io::Error>,
    segmentation: Segmentation,
}

impl UdpSocket {
    /// Creates a socket, sets it up and binds it to `local`; port 0 lets the kernel choose one.
    ///
    /// The socket is close-on-exec and non-blocking. It may be bound to an address that this machine
    /// does not have yet (`IP_FREEBIND`). Packets are never fragmented on this machine, and go out
    /// with the "don't fragment" flag, whatever the kernel believes about the path MTU
    /// (`IP_PMTUDISC_PROBE`, `IPV6_DONTFRAG`). An IPv6 socket does not see IPv4 (`IPV6_V6ONLY`).
    /// Errors are queued (`IP_RECVERR`). The port is not shared (no `SO_REUSEADDR`).
    ///
    /// Nothing here needs privileges. What the kernel did not grant, though the socket works without
    /// it, is reported by [`buffers`](Self::buffers) and [`gro_error`](Self::gro_error).
    ///
    /// # Errors
    ///
    /// - [`BindError::Create`] if there is no socket to be had.
    /// - [`BindError::Option`] if the kernel refuses an option.
    /// - [`BindError::AddressInUse`] if another socket has the port.
    /// - [`BindError::Bind`] if the address can't be bound for another reason.
    pub fn bind(local: SocketAddr, options: &SocketOptions) -> Result<UdpSocket, BindError> {
        let BoundSocket { socket, buffers, gro_error } = setup::bound_socket(local, options)?;
        let bound = socket
            .local_addr()
            .and_then(|address| address.as_socket().ok_or(io::ErrorKind::Unsupported.into()))
            .map_err(|source| BindError::Bind { address: local, source })?;
        let segmentation = Segmentation::new();
        Ok(UdpSocket { socket, local: bound, buffers, gro_error, segmentation })
    }

    /// Returns the address the socket is bound to, with the port that the kernel chose if it was
    /// asked to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the sizes that the buffers have.
    #[must_use]
    pub fn buffers(&self) -> BufferReport {
        self.buffers
    }

    /// Returns why the kernel refused [`SocketOptions::gro`], or `None` if it did not refuse it or was
    /// not asked. Without GRO, each datagram is received on its own.
    #[must_use]
    pub fn gro_error(&self) -> Option<&io::Error> {
        self.gro_error.as_ref()
    }

    /// Marks packets in another way, from the next on that is sent: all that have no
    /// [`Datagram::marking`] of their own.
    ///
    /// # Errors
    ///
    /// [`MarkError`] if the kernel refuses, for which no cause is known.
    pub fn mark(&self, marking: QosMarking) -> Result<(), MarkError> {
        setup::mark(self.as_fd(), self.local, marking)
    }

    /// Sends `datagrams` in order, until all are taken by the kernel or one is refused. The progress
    /// says which one and why; what to do about it is up to the caller.
    ///
    /// Costs a system call for as many datagrams as the batch has room for, and one or two more for
    /// one that is refused. Errors left behind by ICMP messages about earlier datagrams do not cost
    /// the datagram at hand: it is tried a second time before it counts as refused.
    pub fn send(&self, batch: &mut SendBatch, datagrams: &[Datagram<'_>]) -> SendProgress {
        send(self.as_fd(), &self.segmentation, batch, datagrams)
    }

    /// Receives what is waiting, as much as `batch` has room for, with one system call. Returns how
    /// many datagrams that is; 0 means that there was none. What `batch` had before is gone.
    ///
    /// # Errors
    ///
    /// - [`ReceiveError::Pending`] if an ICMP message about an earlier datagram came in. Nothing is
    ///   lost; receive again.
    /// - [`ReceiveError::Os`] if the kernel refuses for another reason.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> Result<usize, ReceiveError> {
        receive(self.as_fd(), batch)
    }

    /// Takes one entry from the error queue, or returns none if it is empty. The poller reports an
    /// error for this socket until then.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Os`] if the kernel refuses, for which no cause is known.
    pub fn receive_error(
        &self,
        scratch: &mut ErrorQueue,
    ) -> Result<Option<SocketError>, ReceiveError> {
        receive_error(self.as_fd(), scratch)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
