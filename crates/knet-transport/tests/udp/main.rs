//! UDP sockets on loopback, over IPv4 and IPv6, on ports that the kernel picks.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

mod binding;
mod datagrams;
mod error_queue;
mod loopback;
mod markings;
mod multihomed;
mod refusals;
mod runs;
