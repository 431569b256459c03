//! A safe interface to the `libknet.so.1` of this machine, which is opened at run time.
//!
//! The declarations follow the manual pages of the functions that are named below, for example
//! `knet_send(3)`. They are valid for 1.25 to 1.35, and limited to what all of these have.
//!
//! [`Library::open`] is the entry point. A [`Handle`] and the objects created from it share one handle of
//! libknet, which is freed when the last of them is dropped.

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
mod shared;
mod structs;
pub use structs::LinkStats;
mod symbols;
