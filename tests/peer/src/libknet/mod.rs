//! Safe calls of the `libknet.so.1` that this machine has, opened at run time.
//!
//! The declarations follow the manual pages of the functions that are named below, for example
//! `knet_send(3)`. They hold for 1.25 to 1.35; only calls that both have are used.
//! [`Library::open`] is the entry point. A [`Handle`] and the objects that it makes share one
//! handle of libknet, which is freed with the last of them.

mod callbacks;
pub use callbacks::FilterMessage;
mod datafd;
pub use datafd::Datafd;
mod error;
pub use error::{CallError, OpenError};
mod handle;
pub use handle::Handle;
mod host;
pub use host::{Host, HostTimeout};
mod library;
pub use library::Library;
mod link;
pub use link::{Link, LinkStatus};
mod raw;
mod structs;
pub use structs::LinkStats;
mod symbols;
