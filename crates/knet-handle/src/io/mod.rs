//! What lies between the threads and the kernel: sockets, backpressure, the queue of messages to ourselves.
//!
//! The lowest room. It decides nothing about messages, hosts or datafds.

pub(crate) mod backpressure;
pub(crate) mod batch;
pub(crate) mod control_queue;
pub(crate) mod emit;
pub(crate) mod kernel_limits;
pub(crate) mod loopback;
pub(crate) mod packet;
pub(crate) mod packet_tag;
pub(crate) mod queue_limit;
pub(crate) mod read_limit;
pub(crate) mod sockets;
pub(crate) mod unserved;
pub(crate) mod writable_watch;
