//! Kronosnet 1.x packets: parsing from and writing to byte slices.
//!
//! For a protocol engine, a packet dissector or a simulator. [`Packet::decode`] validates a datagram
//! strictly and returns typed values. [`DataHeader::encode`], [`Ping::encode_ping`],
//! [`Ping::encode_pong`], [`Pmtu::encode_probe`] and [`Pmtu::encode_reply`] write packets.
//! [`CryptoSizes`] and [`path_overhead`] compute how much payload fits in a packet. The format is
//! described in `docs/wire-format.md`. No input panics.
//!
//! # Out of scope
//!
//! The crate has no sockets, no clock and no state, and allocates nothing. It does not decrypt or
//! decompress: packets are decoded after decryption, payloads before decompression. Whether a host or a
//! link is configured, whether a sequence number is a duplicate, and which fragments belong together is
//! up to its user.
//!
//! # Example
//!
//! ```
//! use knet_wire::{Body, DataHeader, Fragment, HostId, Packet, SequenceNumber};
//!
//! let header = DataHeader {
//!     sequence: SequenceNumber::ZERO.next(),
//!     compression: 0,
//!     broadcast: true,
//!     fragment: Fragment::Whole,
//!     channel: 0,
//! };
//! let mut datagram = header.encode(HostId::new(1)).to_vec();
//! datagram.extend_from_slice(b"hello");
//!
//! let packet = Packet::decode(&datagram)?;
//! assert_eq!(packet.source, HostId::new(1));
//! let Body::Data(data) = packet.body else { panic!("not data") };
//! assert_eq!((data.header, data.payload), (header, &b"hello"[..]));
//! # Ok::<(), knet_wire::DecodeError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod data;
pub use data::{DATA_HEADER_LEN, Data, DataHeader, MAX_MESSAGE};

mod error;
pub use error::DecodeError;

mod fragment;
pub use fragment::{Fragment, FragmentPart, InvalidFragment, MAX_FRAGMENTS};

#[doc(hidden)]
pub mod fuzzing;

mod header;
pub use header::COMMON_HEADER_LEN;

mod host;
pub use host::{HostId, InvalidHostId};

mod length;
pub use length::{CryptoSizes, IpVersion, MAX_ONWIRE, MTU_HEADER_LEN, UDP_OVERHEAD, path_overhead};

mod link;
pub use link::{InvalidLinkId, LinkId, ParseLinkIdError};

mod packet;
pub use packet::{Body, Packet};

mod ping;
pub use ping::{PING_LEN, Ping};

mod pmtu;
pub use pmtu::{PMTU_HEADER_LEN, Pmtu, ProbeTooShort};

mod sequence;
pub use sequence::SequenceNumber;

/// `EINVAL`, which libknet sets for an argument outside its range. The same number on every Linux.
const EINVAL: i32 = 22;
