//! Waiting until the data threads have released a socket, a datafd or a filter.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Waits until no other thread holds `shared`, and returns the value, so that dropping it closes it at once.
/// Returns `None` after a second.
///
/// The caller has removed it from its table, so that no thread gets hold of it later. The data threads hold
/// sockets and datafds for one non-blocking system call, and a thread that sends holds a full socket for 2 ms
/// at most, so this usually takes microseconds.
pub(crate) fn wait_until_unused<T>(mut shared: Arc<T>) -> Option<T> {
    let deadline = Instant::now() + MAX_WAIT;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(alone) => return Some(alone),
            Err(_) if Instant::now() >= deadline => return None,
            Err(again) => shared = again,
        }
        // PAUSE: yielding is not enough. A caller with a real-time priority would not let the thread run
        // that it waits for.
        thread::sleep(PAUSE);
    }
}

/// Waits until no other thread holds `shared`, but no longer than a second: a filter that is being called
/// may take any time, and may itself wait for the caller. The caller has replaced it, so that no thread gets
/// hold of it later.
pub(crate) fn wait_until_alone<T: ?Sized>(shared: &Arc<T>) {
    let deadline = Instant::now() + MAX_WAIT;
    while Arc::strong_count(shared) > 1 && Instant::now() < deadline {
        // PAUSE: no event reports that a data thread has released it.
        thread::sleep(PAUSE);
    }
}

/// How long another thread is waited for. A thread that is stopped in a debugger must not block the others:
/// the descriptor is then closed when that thread continues.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// How often it is checked whether a data thread has released what it held.
const PAUSE: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn cpu_time() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
    }

    #[test]
    fn a_wait_leaves_the_processor_to_the_thread_that_it_waits_for() {
        let value = Arc::new(1);
        let (held, (release, released)) = (value.clone(), mpsc::channel::<()>());
        let holder = thread::spawn(move || {
            let _ = released.recv_timeout(MAX_WAIT / 4);
            drop(held);
        });
        let (start, used) = (Instant::now(), cpu_time());
        assert_eq!(wait_until_unused(value), Some(1));
        let (time, used) = (start.elapsed(), cpu_time() - used);
        assert!(used < time / 2, "{used:?} of {time:?}");
        drop(release);
        holder.join().unwrap();
    }
}
