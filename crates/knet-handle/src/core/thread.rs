//! A thread of a handle, as those see it that wait for its end.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

/// A thread that runs or has ended.
#[derive(Debug)]
pub(crate) struct Thread {
    thread: JoinHandle<()>,
    /// Disconnected when its work is done, because joining a thread has no timeout.
    ended: Receiver<Infallible>,
}

impl Thread {
    /// Starts a thread, whose work does not panic.
    pub(crate) fn spawn(
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let (end, ended) = bounded(0);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            work();
            drop(end);
        })?;
        Ok(Self { thread, ended })
    }

    /// Returns `true` if it is the calling thread.
    pub(crate) fn is_current(&self) -> bool {
        self.thread.thread().id() == thread::current().id()
    }

    pub(crate) fn name(&self) -> &str {
        self.thread.thread().name().unwrap_or_default()
    }

    /// Waits until its work is done, for a time at most. Returns `true` if it is.
    pub(crate) fn ends_within(&self, timeout: Duration) -> bool {
        // Nothing is ever sent.
        self.ended.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        // Its panic, if it ended by one, was reported.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thread_is_waited_for_with_a_timeout() {
        let (order, orders) = bounded::<()>(0);
        let thread = Thread::spawn("a-thread", move || _ = orders.recv()).unwrap();
        assert!(!thread.ends_within(Duration::ZERO) && !thread.is_current());
        assert_eq!(thread.name(), "a-thread");
        drop(order);
        assert!(thread.ends_within(Duration::from_secs(60)));
        thread.join();
    }
}
