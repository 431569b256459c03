//! Clusters of engines over a pretend network with virtual time: what the protocol promises holds
//! whatever the network does.
//!
//! Every run is judged by the [`invariants`] at each packet. A failure prints its seed;
//! `KNET_SEED=7` runs the scenarios with that seed alone, `KNET_SEED=1..500` with that many.

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod chaos;
mod cluster;
mod day;
mod faults;
mod flapping;
mod fragments;
mod healthy;
mod invariants;
mod message;
mod network;
mod node;
mod overtaken;
mod path_mtu;
mod promises;
mod restart;
mod restarts_and_delays;
mod seeds;
mod stalls;
mod thousand;
mod wrap;
