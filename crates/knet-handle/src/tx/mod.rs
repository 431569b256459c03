//! The path of a message: from a datafd, or from a call of `send`, through the filter to the links' sockets.
//!
//! It runs on the thread knet-tx, and in the threads that call [`Handle::send`](crate::Handle::send).

pub(crate) mod parked;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod thread;
pub(crate) mod transmitter;
