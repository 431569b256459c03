//! Kronosnet channel numbers: a checked type, sets, maps and an allocator.
//!
//! A handle has 32 channels, numbered 0 to 31. What is written to the datafd of a channel on one
//! host comes out of the datafd of the same channel on the others. This crate makes a channel
//! number that does not exist impossible to write down, and gives the four things one does with
//! channels:
//!
//! - [`Channel`] is one number, [`ChannelRequest`] says "any free one" or "exactly this one".
//! - [`ChannelSet`] is a set of them in 32 bits.
//! - [`ChannelAllocator`] hands out the lowest free one and takes it back.
//! - [`ChannelMap`] keeps a value for each.
//!
//! It does no I/O, knows no file descriptors and no hosts, needs neither `std` nor an allocator,
//! and contains no unsafe code. Every operation takes constant time and none panics.
//!
//! ```
//! use knet_channel::{Channel, ChannelAllocator, ChannelMap, ChannelRequest};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut free = ChannelAllocator::new();
//! let mut names = ChannelMap::new();
//!
//! let control = free.allocate(ChannelRequest::Exact(Channel::new(7)?))?;
//! let data = free.allocate(ChannelRequest::Any)?;
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

mod allocator;
pub use allocator::{AllocateError, ChannelAllocator};

mod channel;
pub use channel::{Channel, InvalidChannel, ParseChannelError};

mod errno;

mod map;
pub use map::ChannelMap;

mod request;
pub use request::ChannelRequest;

mod set;
pub use set::{ChannelSet, ChannelSetIter};
