//! The datafds of a handle: the table by channel, adding and removing, writing to streams, and counters.
//!
//! Nothing here knows about hosts, links or the protocol.

pub(crate) mod add;
pub(crate) mod counters;
pub(crate) mod read_error;
pub(crate) mod source;
pub(crate) mod stream;
pub(crate) mod table;
