//! System calls that fail, once or for good: a thread that cannot do its work neither spins nor ends, the
//! rest of the handle goes on, and the reason is logged once and stands on the links concerned.
//!
//! The calls are made to fail by `knet_faults`. Processor time and log lines are counted for the whole
//! process, so one test runs at a time.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod datafds;
mod fork;
mod receiving;
mod scene;
mod sending;
mod waiting;
mod zones;
