//! Everything of a handle except its datafds: errors, lifecycles, callbacks and events, forwarding,
//! links and policies, reachability, on real sockets (`docs/protocol.md`, `docs/porting.md`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access_lists;
mod clones;
mod destinations;
mod dynamic_links;
mod events;
mod filters;
mod forwarding;
mod hosts;
mod link_config;
mod links;
mod loopback;
mod losing_links;
mod marking;
mod mtu;
mod observer;
mod policies;
mod restarts;
mod send_sync;
mod slow_filters;
mod sockets;
mod statistics;
mod versions;
