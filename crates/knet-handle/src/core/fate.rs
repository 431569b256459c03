//! Whether a handle can work: in the process that created it, and while its threads run.

use std::sync::OnceLock;

use knet_fd::Owner;

use crate::error::Error;

/// What a handle can no longer recover from.
#[derive(Debug)]
pub(crate) struct Fate {
    /// The process that has its threads. A forked one has none of them.
    owner: Owner,
    /// The first of its threads that ended by a panic.
    ended: OnceLock<&'static str>,
}

impl Default for Fate {
    fn default() -> Self {
        Self { owner: Owner::new(), ended: OnceLock::new() }
    }
}

impl Fate {
    /// Returns `true` in a process that was forked after the handle was created.
    pub(crate) fn is_forked(&self) -> bool {
        !self.owner.is_current()
    }

    /// Records that a thread ended. Returns `true` if it is the first.
    pub(crate) fn record_end(&self, thread: &'static str) -> bool {
        self.ended.set(thread).is_ok()
    }

    /// Returns `true` if a thread ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get().is_some()
    }

    /// Returns an error if the handle cannot work.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_forked() {
            return Err(Error::Forked { owner: self.owner.process() });
        }
        match self.ended.get() {
            Some(&thread) => Err(Error::ThreadEnded { thread }),
            None => Ok(()),
        }
    }
}
