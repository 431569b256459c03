//! The path of a datagram: from the links' sockets through the engine and the filter to the datafds.
//!
//! Everything here runs on the thread knet-rx, which also serves the engine's timers.

pub(crate) mod backlog;
pub(crate) mod deliver;
pub(crate) mod thread;
