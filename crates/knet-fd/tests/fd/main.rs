//! Every function with real descriptors, of kinds it supports and of kinds it does not.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod batches;
mod batches_model;
mod buffers;
mod closed;
mod duplicates;
mod end_of_file;
mod flags;
mod kinds;
mod messages;
mod open_files;
mod pairs;
mod raw_numbers;
mod refusals;
mod samples;
mod sending;
