//! Control packets: pings, pongs, path MTU probes and their replies, and the sockets' error queues.
//!
//! Both data threads send them; the ones that find no room in a socket are retried on knet-rx.

pub(crate) mod error_queue;
pub(crate) mod retry;
pub(crate) mod send;
pub(crate) mod zones;
