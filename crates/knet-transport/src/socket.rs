//! The UDP socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use knet_fd::BufferReport;
use socket2::Socket;

use crate::error_queue::receive_error;
use crate::offload::Segmentation;
use crate::receive::receive;
use crate::send::send;
use crate::setup::{self, BoundSocket};
use crate::{
    BindError, Datagram, ErrorQueue, MarkError, QosMarking, ReceiveBatch, ReceiveError, SendBatch,
    SendProgress, SocketError, SocketOptions,
};

/// A UDP socket as links need it.
///
/// It is bound but not connected, so that several links can share it. All methods take `&self` and may be
/// called from any thread at any time, with a batch per thread. Only
/// [`wait_writable`](Self::wait_writable) blocks. Register the socket with a poller for reading, and for
/// writing while a send ends with [`WouldBlock`](crate::SendErrorKind::WouldBlock). When the poller reports
/// an error, call [`receive_error`](Self::receive_error) until it returns `None`.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let local = (Ipv4Addr::LOCALHOST, 0).into();
/// let near = UdpSocket::bind(local, &SocketOptions::default())?;
/// let far = UdpSocket::bind(local, &SocketOptions::default())?;
/// let destination = far.local_addr();
/// let datagram = Datagram { header: b"", payload: b"hello", destination, source: None, marking: None };
/// assert_eq!(near.send(&mut SendBatch::new(64), &[datagram]).sent, 1);
///
/// let mut batch = ReceiveBatch::new(64, 1500);
/// assert_eq!(far.receive(&mut batch)?, 1);
/// assert_eq!(batch.get(0).map(|datagram| datagram.source), Some(near.local_addr()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    buffers: BufferReport,
    gro_error: Option<io::Error>,
    segmentation: Segmentation,
}

impl UdpSocket {
    /// Creates a socket, sets its options and binds it to `local`. With port 0, the kernel selects a port.
    ///
    /// The socket is close-on-exec and non-blocking. It can be bound to an address that this machine does
    /// not have yet (`IP_FREEBIND`). Packets are never fragmented on this machine and have the "don't
    /// fragment" flag, regardless of the kernel's own path MTU (`IP_PMTUDISC_PROBE`, `IPV6_DONTFRAG`). An
    /// IPv6 socket excludes IPv4 (`IPV6_V6ONLY`). Errors are queued (`IP_RECVERR`). The port is not shared
    /// (no `SO_REUSEADDR`).
    ///
    /// No privileges are required. [`buffers`](Self::buffers) and [`gro_error`](Self::gro_error) report
    /// optional settings that the kernel did not grant.
    ///
    /// # Errors
    ///
    /// Nothing stays open after an error.
    ///
    /// - [`BindError::Create`] if the kernel refuses to create a socket.
    /// - [`BindError::Option`] if the kernel refuses an option.
    /// - [`BindError::AddressInUse`] if another socket is bound to the port.
    /// - [`BindError::Bind`] if the address cannot be bound for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// assert_ne!(socket.local_addr().port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(local: SocketAddr, options: &SocketOptions) -> Result<UdpSocket, BindError> {
        let BoundSocket { socket, buffers, gro_error } = setup::bound_socket(local, options)?;
        let bound = socket
            .local_addr()
            .and_then(|address| address.as_socket().ok_or(io::ErrorKind::Unsupported.into()))
            .map_err(|source| BindError::Bind { address: local, source })?;
        let segmentation = Segmentation::default();
        Ok(UdpSocket { socket, local: bound, buffers, gro_error, segmentation })
    }

    /// Returns the local address of the socket, with the actual port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Returns the requested and the actual size of the buffers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{SocketOptions, UdpSocket};
    ///
    /// let options = SocketOptions { buffer_size: 16_384, ..SocketOptions::default() };
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &options)?;
    /// assert_eq!(socket.buffers().wanted, 16_384);
    /// assert!(socket.buffers().is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn buffers(&self) -> BufferReport {
        self.buffers
    }

    /// Returns why the kernel refused [`SocketOptions::gro`], or `None` if it did not, or if GRO was not
    /// requested. Without GRO, each datagram is received on its own.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// assert!(socket.gro_error().is_none(), "not requested");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn gro_error(&self) -> Option<&io::Error> {
        self.gro_error.as_ref()
    }

    /// Changes the marking of later datagrams without a [`Datagram::marking`] of their own.
    ///
    /// # Errors
    ///
    /// [`MarkError`] if the kernel refuses, for which no cause is known.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Dscp, QosMarking, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let marking = QosMarking { priority: false, dscp: Some(Dscp::try_from(10)?) };
    /// assert!(socket.mark(marking).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark(&self, marking: QosMarking) -> Result<(), MarkError> {
        setup::mark(self.as_fd(), self.local, marking)
    }

    /// Sends `datagrams` in order until the kernel has accepted all or refuses one. The progress reports
    /// which one and why.
    ///
    /// Costs one system call per [`SendBatch::capacity`] datagrams, and one or two more for a refused one.
    /// Errors of earlier datagrams, which ICMP messages report, do not fail a later one: it is retried
    /// once before it counts as refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Datagram, SendBatch, SendErrorKind, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let destination = socket.local_addr();
    /// let datagram = |payload| Datagram { header: b"", payload, destination, source: None, marking: None };
    /// let datagrams = [datagram(b"one"), datagram(&[0; 70_000]), datagram(b"three")];
    /// let mut batch = SendBatch::new(64);
    ///
    /// let progress = socket.send(&mut batch, &datagrams);
    /// assert_eq!(progress.sent, 1);
    /// assert_eq!(progress.error.map(|error| error.kind()), Some(SendErrorKind::TooBig));
    /// // Skip the datagram that is too long.
    /// assert_eq!(socket.send(&mut batch, &datagrams[2..]).sent, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, batch: &mut SendBatch, datagrams: &[Datagram<'_>]) -> SendProgress {
        send(self.as_fd(), &self.segmentation, batch, datagrams)
    }

    /// Receives available datagrams with one system call, up to the capacity of `batch`, and replaces its
    /// contents. Returns their number, 0 if there are none.
    ///
    /// # Errors
    ///
    /// - [`ReceiveError::Pending`] if an ICMP message reported the error of an earlier datagram. Nothing is
    ///   lost; receive again.
    /// - [`ReceiveError::Os`] if the kernel refuses for another reason.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{ReceiveBatch, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let mut batch = ReceiveBatch::new(64, 1500);
    /// assert_eq!(socket.receive(&mut batch)?, 0);
    /// assert!(batch.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receive(&self, batch: &mut ReceiveBatch) -> Result<usize, ReceiveError> {
        receive(self.as_fd(), batch)
    }

    /// Removes one error from the error queue and returns it, or `None` if the queue has none. Pollers
    /// report an error for this socket until the queue is empty.
    ///
    /// Entries that are no errors are removed too, at most 64 of them per call.
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
