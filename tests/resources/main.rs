//! Resources that a handle uses: descriptors, threads, wake-ups and processor time. The tests count
//! them for the whole process, so only one runs at a time, and nothing else does.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod descriptors;
mod lifecycle;
mod removal;
mod work;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Waits until no other test runs; none does until the guard is dropped.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed has reported that itself.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
