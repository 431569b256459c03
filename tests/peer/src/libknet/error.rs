//! Errors of opening libknet and of its calls.

use std::io;

/// libknet cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The library is missing, or lacks a function.
    #[error("cannot open libknet.so.1: install libknet1 (Debian) or an equivalent package")]
    Load(#[from] libloading::Error),
    /// The file that was opened is not listed in `/proc`.
    #[error("cannot determine which libknet was opened")]
    Version(#[source] io::Error),
}

/// A call of libknet failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{call} failed: {}", io::Error::from_raw_os_error(*.errno))]
pub struct CallError {
    /// The function.
    pub call: &'static str,
    /// Its `errno`.
    pub errno: i32,
}

impl CallError {
    /// Returns the error of a call that has just returned.
    pub(super) fn last(call: &'static str) -> Self {
        Self { call, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }
}
