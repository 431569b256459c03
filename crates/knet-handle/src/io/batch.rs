//! The batch size of system calls.

/// The most messages or datagrams per system call.
pub(crate) const BATCH: usize = 64;
