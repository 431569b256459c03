//! How much shares a system call.

/// The most messages or datagrams per system call.
pub(crate) const BATCH: usize = 64;
