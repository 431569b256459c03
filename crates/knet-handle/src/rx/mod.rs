//! The path of a datagram: from the links' sockets through the engine and the filter to the datafds.
//!
//! Everything here runs on the thread knet-rx, which also serves the engine's timers.

mod backlog;
mod deliver;
mod inbox;
mod incoming;
mod loss_report;
mod pauses;
pub(crate) mod thread;
