//! The path of a message: from a datafd, or from a call of `send`, through the filter to the links' sockets.
//!
//! It runs on the thread knet-tx, and in the threads that call [`Handle::send`](crate::Handle::send).
//!
//! [`plan`] decides where a message goes and cuts it, [`send`] gives the packets to the kernel, [`retry`]
//! retries those that find no room, and [`settle`] counts what became of it. knet-tx parks what is blocked
//! ([`parked`]) and goes on with the other channels; a thread that calls `send` blocks.

pub(crate) mod message;
pub(crate) mod outgoing;
pub(crate) mod parked;
mod pauses;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod settle;
pub(crate) mod thread;
pub(crate) mod transmitter;
