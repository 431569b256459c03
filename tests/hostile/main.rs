//! A network in which somebody means harm: packets that no host sends, from places where no host is, and
//! more of them than anybody can read (`spec/wire.md`, negative vectors; `spec/engine.md` 21).
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
