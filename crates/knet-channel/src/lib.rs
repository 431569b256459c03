//! Kronosnet channel numbers: a checked type, sets, maps and an allocator.
//!
//! A handle has 32 channels, numbered 0 to 31. A message written to the datafd of a channel on one host
//! can be read from the datafd of the same channel on the others. The types of this crate cannot express
//! a channel number that does not exist:
//!
//! - [`Channel`] is one number, [`ChannelRequest`] is a request for a specific channel or for any.
//! - [`ChannelSet`] is a set of channels in 32 bits.
//! - [`ChannelAllocator`] allocates the lowest free channel, or a specific one.
//! - [`ChannelMap`] stores a value per channel.
//!
//! The crate performs no I/O and knows no file descriptors or hosts. It needs neither `std` nor an
//! allocator and contains no unsafe code. Every operation takes constant time, and none panics.
//!
//! # Example
//!
//! ```
//! use knet_channel::{Channel, ChannelAllocator, ChannelMap, ChannelRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut allocator = ChannelAllocator::new();
//! let mut names = ChannelMap::new();
//!
//! let control = allocator.allocate(ChannelRequest::Exact(Channel::new(7)?))?;
//! let data = allocator.allocate(ChannelRequest::Any)?;
//! names.insert(control, "control");
//! names.insert(data, "data");
//!
//! let listed: Vec<String> = names.iter().map(|(channel, name)| format!("{channel}={name}")).collect();
//! assert_eq!(listed, ["0=data", "7=control"]);
//! # Ok(())
//! # }
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod allocator;
pub use allocator::{AllocateError, ChannelAllocator};

mod channel;
pub use channel::{Channel, InvalidChannel, ParseChannelError};

mod errno;

pub mod map;
pub use map::ChannelMap;

mod request;
pub use request::ChannelRequest;

mod set;
pub use set::{ChannelSet, ChannelSetIter};
