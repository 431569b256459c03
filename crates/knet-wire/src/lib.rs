//! Kronosnet 1.x packets: parse from and write to byte slices, nothing else.
//!
//! For whoever holds a datagram and wants to know what it says, or wants to send one: the protocol
//! engine, a packet dissector, a simulator. [`Packet::decode`] judges a datagram once, strictly, and
//! hands back typed values; [`DataHeader::encode`], [`Ping::encode_ping`], [`Ping::encode_pong`],
//! [`Pmtu::encode_probe`] and [`Pmtu::encode_reply`] write the bytes. [`CryptoSizes`] and
//! [`path_overhead`] answer how much user payload fits in a packet.
//!
//! It refuses to do anything more: no sockets, no clock, no allocation, no cryptography (frames come
//! in decrypted), no compression, no memory of earlier packets. Whether a host or a link is
//! configured, whether a sequence number was seen before, which fragments belong together: that is
//! decided a layer above. No input makes it panic.
//!
//! "wire.md" in these pages is the description of the on-wire format this crate was written from.
//!
//! # Examples
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
pub use link::{InvalidLinkId, LinkId};

mod packet;
pub use packet::{Body, Packet};

mod ping;
pub use ping::{PING_LEN, Ping};

mod pmtu;
pub use pmtu::{PMTU_HEADER_LEN, Pmtu, ProbeTooShort};

mod sequence;
pub use sequence::SequenceNumber;

/// `EINVAL`: what libknet sets for an argument outside its range. The same number on every Linux.
const EINVAL: i32 = 22;
