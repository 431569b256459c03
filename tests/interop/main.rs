//! kronosnet and libknet, side by side on one network: `cargo xtask interop` runs this.
//!
//! Each case has a network of its own, so that it may use any address and port, and needs root. Our
//! side is the facade, the other the installed libknet behind `libknet_peer`. A case sends both ways
//! and checks that everything arrives, unchanged, once and in order. docs/interoperability.md lists
//! the cases.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod network;
mod node;
mod ours;
mod pair;
mod program;
mod theirs;

mod clusters;
mod dynamic_links;
mod links;
mod losing_links;
mod messages;
mod mtu;
mod numbers;
mod policies;
mod programs;
mod restarts;
mod wire;
