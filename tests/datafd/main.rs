//! The contract of a datafd, `docs/datafd.md`: a test for each of its rules, named after the rule,
//! through the facade. Tests that count descriptors or processor time are in the suite `resources`,
//! under the same names.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod boundaries;
mod channels;
mod delivery;
mod devices;
mod identity;
mod notifications;
mod ownership;
mod refusals;
mod resuming;
mod sending;
mod sizes;
mod slow_readers;
mod sources;
mod streams;
