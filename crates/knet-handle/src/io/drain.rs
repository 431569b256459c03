//! Closing what a data thread may be using this very moment, and waiting for it to leave a filter.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until nobody else holds `shared` and gives it out, so that dropping it closes it at once.
///
/// The data threads hold sockets and datafds for the length of one non-blocking system call and
/// take no lock for it. The caller has made sure that nobody can look the thing up any more, so
/// this is a matter of microseconds, or of the 2 ms for which somebody sends waits for a full socket.
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

/// Waits until nobody else holds `shared`, which nobody can look up any more. A call of a filter may
/// take as long as it likes, and may wait for the caller: then it is waited for no longer than
/// [`PATIENCE`].
pub(crate) fn wait_until_alone<T: ?Sized>(shared: &Arc<T>) {
    let give_up = Instant::now() + PATIENCE;
    while Arc::strong_count(shared) > 1 && Instant::now() < give_up {
        // PAUSE: nobody tells when a data thread lets go of it.
        thread::sleep(Duration::from_micros(100));
    }
}

/// A thread that is stopped in a debugger must not hang the others: the descriptor is then closed
/// when that thread goes on.
const PATIENCE: Duration = Duration::from_secs(1);
