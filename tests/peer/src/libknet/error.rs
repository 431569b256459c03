//! The errors.

use std::io;

/// libknet cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is missing or invalid.
    #[error("cannot open libknet.so.1, which is part of Debian's package libknet1")]
    Load(#[from] libloading::Error),
    /// `/proc` does not name the file that was opened.
    #[error("cannot find out which libknet was opened")]
    Version(#[source] io::Error),
}

/// A call of libknet failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{call} failed: {}", io::Error::from_raw_os_error(*.errno))]
pub struct CallError {
    /// The function.
    pub call: &'static str,
    /// The `errno` that it left.
    pub errno: i32,
}

impl CallError {
    /// Returns the failure of a call that has just returned.
    pub(super) fn last(call: &'static str) -> Self {
        Self { call, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }
}
