//! What can go wrong.

use std::io;

/// libknet cannot be used on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is not there, or is not what it should be.
    #[error("cannot open libknet.so.1, which Debian's package libknet1 brings")]
    Load(#[from] libloading::Error),
    /// `/proc` does not say which file was opened.
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
    /// The failure of a call that has just returned.
    pub(super) fn last(call: &'static str) -> Self {
        Self { call, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
    }
}
