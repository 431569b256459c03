//! Waiting until the data threads have released a socket, a datafd or a filter.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

/// The part of a shared value by which one thread waits for its end. The other threads pay nothing for it: they
/// drop the value, and this with it. It is the last field, so that the others are gone when the wait ends.
#[derive(Debug, Default)]
pub(crate) struct Release(OnceLock<Sender<Infallible>>);

impl Release {
    /// Returns a channel that is disconnected once the value is dropped. Call it once.
    fn watch(&self) -> Receiver<Infallible> {
        let (end, ended) = bounded(0);
        // A second channel would be disconnected at once.
        let _ = self.0.set(end);
        ended
    }
}

/// Drops `shared`, and waits until every other thread has, but for a second at most. `release` returns its part
/// for this.
///
/// The caller has removed it from its table, so that no thread gets hold of it later, and keeps what is to end
/// in its own thread, such as a descriptor. The data threads hold sockets and datafds for one non-blocking
/// system call, and a thread that sends holds a full socket for 2 ms at most, so this usually takes
/// microseconds. A filter that is being called may take any time, and may itself wait for the caller.
///
/// Returns `false` if another thread still holds it.
pub(crate) fn wait_until_released<T>(shared: Arc<T>, release: impl Fn(&T) -> &Release) -> bool {
    let ended = release(&shared).watch();
    drop(shared);
    // Nothing is ever sent.
    ended.recv_timeout(MAX_WAIT) == Err(RecvTimeoutError::Disconnected)
}

/// How long another thread is waited for. A thread that is stopped in a debugger must not block the others:
/// the descriptor is then closed when that thread continues.
const MAX_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn cpu_time() -> Duration {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(stat.split_whitespace().next().unwrap().parse().unwrap())
    }

    /// Returns how often this thread has gone to sleep.
    fn times_slept() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_wait_sleeps_until_the_last_of_the_others_has_released_the_value() {
        let value = Arc::new(Release::default());
        let (held, (release, released)) = (value.clone(), mpsc::channel::<()>());
        let holder = thread::spawn(move || {
            let _ = released.recv_timeout(MAX_WAIT / 4);
            drop(held);
        });
        let (start, used) = (Instant::now(), cpu_time());
        let slept = times_slept();
        let weak = Arc::downgrade(&value);
        assert!(wait_until_released(value, |release| release), "its end ends the wait");
        assert_eq!(weak.strong_count(), 0);
        let (time, used) = (start.elapsed(), cpu_time() - used);
        assert!(used < time / 2, "{used:?} of {time:?}");
        assert!(times_slept() - slept < 100, "{}", times_slept() - slept);
        drop(release);
        holder.join().unwrap();
    }
    #[test]
    fn a_wait_ends_although_another_thread_goes_on_holding_the_value() {
        let value = Arc::new(Release::default());
        let held = value.clone();
        assert!(!wait_until_released(value, |release| release));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
