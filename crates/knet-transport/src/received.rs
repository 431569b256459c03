//! Received datagrams.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// A received datagram.
///
/// # Examples
///
/// ```
/// use std::net::Ipv4Addr;
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// let datagram = Datagram { header: b"", payload: b"too long", destination, source: None, marking: None };
/// assert_eq!(socket.send(&mut SendBatch::new(1), &[datagram]).sent, 1);
///
/// let mut batch = ReceiveBatch::new(64, 3);
/// socket.receive(&mut batch)?;
/// let received = batch.get(0).ok_or("nothing received")?;
/// assert_eq!((received.bytes, received.truncated), (&b"too"[..], true));
/// assert_eq!(received.source, destination);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received<'a> {
    /// The payload. May be empty.
    pub bytes: &'a [u8],
    /// The address of the sender.
    pub source: SocketAddr,
    /// The own address that it was sent to, if the socket is bound to all of them (`0.0.0.0` or `::`);
    /// otherwise `None`. An answer leaves from there with [`Datagram::source`](crate::Datagram::source).
    pub local: Option<IpAddr>,
    /// Whether the datagram was longer than its buffer. `bytes` is its beginning in this case.
    pub truncated: bool,
}

/// A received datagram whose bytes can be changed in place, as decryption does.
///
/// # Examples
///
/// ```
/// use std::net::{Ipv4Addr, SocketAddr};
///
/// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
///
/// let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
/// let socket = UdpSocket::bind(local, &SocketOptions::default())?;
/// let destination = socket.local_addr();
/// // A salt of two bytes, three encrypted bytes, and a checksum.
/// let sealed = Datagram { header: b"#9", payload: b"\x11\x10\x58!", destination, source: None, marking: None };
/// assert_eq!(socket.send(&mut SendBatch::new(1), &[sealed]).sent, 1);
///
/// let mut batch = ReceiveBatch::new(64, 1500);
/// assert_eq!(socket.receive(&mut batch)?, 1);
/// let mut datagram = batch.get_mut(0).ok_or("nothing received")?;
/// assert_eq!(datagram.source, destination);
/// datagram.bytes[2..5].iter_mut().for_each(|byte| *byte ^= b'y');
/// datagram.narrow_to(2..5);
/// assert_eq!(batch.get(0).map(|datagram| datagram.bytes), Some(&b"hi!"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ReceivedMut<'a> {
    /// The payload. May be empty.
    pub bytes: &'a mut [u8],
    /// The address of the sender.
    pub source: SocketAddr,
    /// Whether the datagram was longer than its buffer. `bytes` is its beginning in this case.
    pub truncated: bool,
    found: &'a mut Found,
}

impl ReceivedMut<'_> {
    /// Shortens the datagram to `range` of [`bytes`](Self::bytes). From then on, the batch returns only
    /// this part of it.
    ///
    /// Positions beyond the end of the datagram are limited to its end.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
    ///
    /// let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default())?;
    /// let destination = socket.local_addr();
    /// let datagram = Datagram { header: b"salt", payload: b"data", destination, source: None, marking: None };
    /// assert_eq!(socket.send(&mut SendBatch::new(1), &[datagram]).sent, 1);
    ///
    /// let mut batch = ReceiveBatch::new(64, 1500);
    /// socket.receive(&mut batch)?;
    /// batch.get_mut(0).ok_or("nothing received")?.narrow_to(4..8);
    /// assert_eq!(batch.get(0).map(|datagram| datagram.bytes), Some(&b"data"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn narrow_to(self, range: Range<usize>) {
        let end = range.end.min(self.found.len);
        let start = range.start.min(end);
        self.found.start += start;
        self.found.len = end - start;
    }
}

/// The position of a datagram in the memory of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) len: usize,
    pub(crate) arrival: Arrival,
}

/// How a datagram arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) source: SocketAddr,
    pub(crate) local: Option<IpAddr>,
    pub(crate) truncated: bool,
}

impl Found {
    #[inline]
    pub(crate) fn in_arena<'a>(&self, arena: &'a [u8]) -> Received<'a> {
        let bytes = &arena[self.start..self.start + self.len];
        let Arrival { source, local, truncated } = self.arrival;
        Received { bytes, source, local, truncated }
    }

    pub(crate) fn in_arena_mut<'a>(&'a mut self, arena: &'a mut [u8]) -> ReceivedMut<'a> {
        let bytes = &mut arena[self.start..self.start + self.len];
        let Arrival { source, truncated, .. } = self.arrival;
        ReceivedMut { bytes, source, truncated, found: self }
    }
}
