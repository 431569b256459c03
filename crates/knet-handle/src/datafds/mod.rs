//! The datafds of a handle: which channel has which, how each is read and written, what was counted.
//!
//! It knows nothing of hosts, links or the protocol.

pub(crate) mod add;
pub(crate) mod counters;
pub(crate) mod source;
pub(crate) mod stream;
pub(crate) mod table;
