//! Packets without protocol: UDP sockets for kronosnet links, in batches, with the error queue as
//! values.
//!
//! - [`UdpSocket`] is a socket as links need it: non-blocking, bound to an address that need not exist
//!   yet, with big buffers, and never fragmenting.
//! - [`UdpSocket::send`] and [`UdpSocket::receive`] move many datagrams per system call, through a
//!   [`SendBatch`] and a [`ReceiveBatch`] that are made once; no call allocates.
//! - What went wrong is told, not swallowed: [`SendProgress`] says which datagram was refused and why,
//!   and [`UdpSocket::receive_error`] turns the kernel's error queue (ICMP messages, path MTU) into
//!   [`SocketError`] values.
//!
//! What it refuses to do: it knows neither hosts nor links nor frames, it does not retry later or
//! queue, and nothing waits but [`UdpSocket::wait_writable`], for as long as it is told (bring a poller
//! for the rest).
//!
//! Where the rules come from: sections 4, 6.3, 7.1 and 14.2 of `spec/engine.md`, and the manual pages
//! [`ip(7)`](https://man7.org/linux/man-pages/man7/ip.7.html),
//! [`ipv6(7)`](https://man7.org/linux/man-pages/man7/ipv6.7.html) and
//! [`udp(7)`](https://man7.org/linux/man-pages/man7/udp.7.html).
//!
//! # Example
//!
//! ```
//! use std::net::{Ipv4Addr, SocketAddr};
//!
//! use knet_transport::{Datagram, ReceiveBatch, SendBatch, SocketOptions, UdpSocket};
//!
//! let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
//! let options = SocketOptions { buffer_size: 64 * 1024, ..SocketOptions::default() };
//! let near = UdpSocket::bind(any_port, &options)?;
//! let far = UdpSocket::bind(any_port, &options)?;
//!
//! let destination = far.local_addr();
//! let progress = near.send(
//!     &mut SendBatch::new(64),
//!     &[
//!         Datagram { header: b"1:", payload: b"hello", destination, marking: None },
//!         Datagram { header: b"2:", payload: b"world", destination, marking: None },
//!     ],
//! );
//! assert_eq!((progress.sent, progress.error), (2, None));
//!
//! let mut batch = ReceiveBatch::new(64, 1500);
//! assert_eq!(far.receive(&mut batch)?, 2);
//! let received: Vec<_> = batch.iter().map(|datagram| datagram.bytes).collect();
//! assert_eq!(received, [b"1:hello", b"2:world"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;

mod bind_error;
pub use bind_error::BindError;

mod control;
pub use control::supports_datagram_priority;

mod errno;
pub use errno::{ReceiveError, SendError, SendErrorKind, SocketErrorKind};

mod error_queue;
pub use error_queue::{ErrorOrigin, ErrorQueue, SocketError};

mod marking;
pub use marking::{Dscp, DscpOutOfRange, MarkError, QosMarking};

mod options;
pub use options::SocketOptions;

mod receive;
mod receive_batch;
pub use receive_batch::{ReceiveBatch, Received, ReceivedMut};

mod segments;
mod send;
pub use send::{Datagram, SendBatch, SendProgress};

mod setup;

mod socket;
pub use socket::UdpSocket;

mod wait;

pub use knet_fd::BufferReport;
