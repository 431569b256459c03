//! Real networks: hosts in network namespaces, with cables that are unplugged, paths that become
//! narrow and lossy, and processes that are killed. Needs root: `cargo xtask netns`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cable;
mod command;
mod faults;
mod full_link;
mod idle;
mod member;
mod mtu;
mod multihomed;
mod peer_process;
mod restart;
mod roaming;
mod slow_link;
mod strangers;
mod traffic;
mod zones;
