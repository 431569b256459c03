//! Closing what a data thread may be using this very moment.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until nobody else holds `shared` and gives it out, so that dropping it closes it at once.
///
/// The data threads hold sockets and datafds for the length of one non-blocking system call and
/// take no lock for it. The caller has made sure that nobody can look the thing up any more, so
/// this is a matter of microseconds, or of the 50 ms that a full socket is waited for.
pub(crate) fn wait_until_unused<T>(mut shared: Arc<T>) -> Option<T> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(alone) => return Some(alone),
            Err(_) if Instant::now() >= give_up => return None,
            Err(again) => shared = again,
        }
        thread::yield_now();
    }
}

/// A thread that is stopped in a debugger must not hang the others: the descriptor is then closed
/// when that thread goes on.
const PATIENCE: Duration = Duration::from_secs(1);
