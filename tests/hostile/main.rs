//! A hostile network: packets that no host sends, from addresses where no host is, and more of them than
//! a host can read (`docs/wire-format.md`, "Malformed packets"; `docs/protocol.md`, "Hostile input").
//!
//! All goes to the one socket on which the traffic of two hosts goes on, and is counted by what was wrong
//! with it.

#![forbid(unsafe_code)]
// Clippy knows tests, but not the functions that they call.
#![allow(clippy::unwrap_used)]

mod attacker;
mod flood;
mod fragments;
mod refused;
mod victim;
