//! UDP sockets for kronosnet links, in batches, with the kernel's error queue as values.
//!
//! - [`UdpSocket`] is a socket as links need it: non-blocking, bound to an address that may not exist
//!   yet, with large buffers, and never fragmenting.
//! - [`UdpSocket::send`] and [`UdpSocket::receive`] transfer many datagrams per system call, with a
//!   reusable [`SendBatch`] and [`ReceiveBatch`]. Nothing is allocated per datagram.
//! - Errors are returned, not logged or ignored: [`SendProgress`] reports which datagram was refused and
//!   why, and [`UdpSocket::receive_error`] returns entries of the kernel's error queue (ICMP messages,
//!   path MTU) as [`SocketError`].
//!
//! # Out of scope
//!
//! The crate does not know hosts, links or packet formats. It does not queue datagrams or retry later.
//! Only [`UdpSocket::wait_writable`] waits; use a poller for everything else.
//!
//! # References
//!
//! The socket options are those of `docs/protocol.md`, "Sockets", the classification of errors that of
//! "Send errors" and "Kernel errors". The manual pages are
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
//!         Datagram { header: b"1:", payload: b"hello", destination, source: None, marking: None },
//!         Datagram { header: b"2:", payload: b"world", destination, source: None, marking: None },
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

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod address;

mod bind_error;
pub use bind_error::BindError;

mod control;
pub use control::supports_datagram_priority;

mod datagram;
pub use datagram::Datagram;

mod errno;
pub use errno::{ReceiveError, SendError, SendErrorKind, SocketErrorKind};

mod error_queue;
pub use error_queue::{ErrorOrigin, ErrorQueue, SocketError};

mod interface_watch;
pub use interface_watch::InterfaceWatch;

mod marking;
pub use marking::{Dscp, DscpOutOfRange, MarkError, QosMarking};

mod offload;

mod options;
pub use options::SocketOptions;

mod queued;

mod receive;
mod receive_batch;
pub use receive_batch::ReceiveBatch;

mod own_address;
pub use own_address::is_own_address;
mod received;
pub use received::{Received, ReceivedMut};

mod received_control;

mod send;
pub use send::{SendBatch, SendProgress};

mod setup;

mod socket;
pub use socket::UdpSocket;

mod writable;

mod zone;
pub use zone::{InterfaceName, ZoneError, ZonedAddr};

pub use knet_fd::BufferReport;
