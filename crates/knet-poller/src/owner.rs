//! The process that a poller belongs to.

use std::process;

/// The process that created this value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Owner(u32);

impl Owner {
    pub(crate) fn new() -> Owner {
        Owner(process::id())
    }

    /// Returns `false` in a process that was forked later.
    pub(crate) fn is_current(self) -> bool {
        self == Owner::new()
    }
}
