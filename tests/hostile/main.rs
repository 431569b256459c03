//! A hostile network: packets that no host sends, from addresses where no host is, and more of them than
//! a host can read (`docs/wire-format.md`, "Malformed packets"; `docs/protocol.md`, "Hostile input").
//!
//! Everything is sent to the one socket that carries the traffic of two hosts, and is counted by
//! what is wrong with it.

#![forbid(unsafe_code)]
// Clippy recognises tests, but not the functions that they call.
#![allow(clippy::unwrap_used)]

mod attacker;
mod flood;
mod fragments;
mod refused;
mod victim;
