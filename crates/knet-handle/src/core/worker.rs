//! A data thread, as the rest of the handle sees it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender};
use knet_poller::{Poller, PollerError, Waker};
use parking_lot::Mutex;

use crate::error::Error;
use crate::filter::Inside;
use crate::log::{Causes, Log, log};
use crate::operation::Operation;

/// A data thread from outside: its poller, and the requests to flush it.
#[derive(Debug)]
pub(crate) struct Worker {
    log: Log,
    pub(crate) poller: Poller,
    waker: Waker,
    /// Whether it was logged that the thread cannot be woken.
    unwakeable: AtomicBool,
    /// The requests to flush. Each requester waits until its sender is dropped. `None` once the thread has
    /// ended.
    flush: Mutex<Option<Vec<Sender<()>>>>,
    /// Whether the thread is in a filter; set when it starts.
    filter: OnceLock<Inside>,
    /// The thread; set when it starts.
    thread: OnceLock<ThreadId>,
}

impl Worker {
    pub(crate) fn new(log: Log) -> Result<Self, Error> {
        let poller = Poller::new()
            .map_err(|error| Error::os(Operation::CreatePoller, error.errno(), error))?;
        let waker = poller.waker();
        let (flush, filter) = (Mutex::new(Some(Vec::new())), OnceLock::new());
        let (unwakeable, thread) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { log, poller, waker, unwakeable, flush, filter, thread })
    }

    /// Returns `true` if it is called in the thread itself.
    pub(crate) fn is_current(&self) -> bool {
        self.thread.get().is_some_and(|&thread| thread == thread::current().id())
    }

    /// Wakes the thread. Returns `false` if the kernel refuses, as for a descriptor that something else has
    /// closed: the thread may then sleep on.
    pub(crate) fn wake(&self) -> bool {
        self.log_wake(self.waker.wake())
    }

    /// Wakes the thread even if a wake-up is pending. The return value is reliable.
    pub(crate) fn wake_again(&self) -> bool {
        self.log_wake(self.waker.wake_again())
    }

    fn log_wake(&self, woken: Result<(), PollerError>) -> bool {
        if let Err(error) = &woken {
            if !self.unwakeable.swap(true, Ordering::Relaxed) {
                log!(
                    error, self.log, Handle, error = %Causes(error),
                    "a data thread could not be woken: create the handle again"
                );
            }
        }
        woken.is_ok()
    }

    /// Waits until the thread has handled everything that was there when this was called, but at most
    /// [`FLUSH_FILTER_TIMEOUT`] for a filter, and [`FLUSH_TIMEOUT`] in all.
    ///
    /// Of the first, only the time for which the thread is found within a filter counts, so that no message is
    /// dropped because the machine is busy. Does not wait for a thread that cannot be woken.
    pub(crate) fn flush(&self) {
        self.flush_within(FLUSH_TIMEOUT);
    }

    fn flush_within(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let (done, finished) = crossbeam_channel::bounded(1);
        match self.flush.lock().as_mut() {
            Some(requests) => requests.push(done),
            None => return,
        }
        let mut remaining = FLUSH_FILTER_TIMEOUT;
        // No message comes: the thread drops its end once it is done.
        while !remaining.is_zero()
            && Instant::now() < deadline
            && self.wake_again()
            && finished.recv_timeout(FILTER_CHECK_INTERVAL) == Err(RecvTimeoutError::Timeout)
        {
            if self.filter.get().is_some_and(Inside::now) {
                remaining = remaining.saturating_sub(FILTER_CHECK_INTERVAL);
            }
        }
    }

    /// Takes the requests to flush, which the thread drops when it has.
    pub(crate) fn flush_requests(&self) -> Vec<Sender<()>> {
        self.flush.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns how many flushes are requested that the thread has not taken.
    #[cfg(test)]
    pub(crate) fn requested_flushes(&self) -> usize {
        self.flush.lock().as_ref().map_or(0, Vec::len)
    }

    /// Marks the thread as running until the return value is dropped, after which no one waits for it.
    pub(crate) fn running(&self) -> Running<'_> {
        if let Some(inside) = Inside::of_this_thread() {
            // It is called once.
            let _ = self.filter.set(inside);
        }
        let _ = self.thread.set(thread::current().id());
        Running(self)
    }
}

/// See [`Worker::running`].
#[derive(Debug)]
pub(crate) struct Running<'a>(&'a Worker);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.flush.lock() = None;
    }
}

/// How long a flush waits at most: longer than a thread of a busy machine needs for full buffers. A thread that
/// is stopped or stuck must not block others for good.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a flush waits for a filter in total.
const FLUSH_FILTER_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a flush checks whether the thread is within a filter.
const FILTER_CHECK_INTERVAL: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_flush_waits_until_the_thread_drops_the_request() {
        let worker = Worker::new(Log::default()).unwrap();
        for _ in 0..6 {
            thread::scope(|scope| {
                let waiting = scope.spawn(|| worker.flush());
                let requests = loop {
                    assert!(!waiting.is_finished(), "it did not wait");
                    let requests = worker.flush_requests();
                    if !requests.is_empty() {
                        break requests;
                    }
                    thread::yield_now();
                };
                assert!(!waiting.is_finished());
                drop(requests);
                waiting.join().unwrap();
            });
        }
    }

    #[test]
    fn a_flush_ends_although_the_thread_is_stuck() {
        let worker = Worker::new(Log::default()).unwrap();
        worker.flush_within(Duration::from_millis(1));
        assert_eq!(worker.requested_flushes(), 1, "it was requested");
    }

    #[test]
    fn a_flush_does_not_wait_for_a_thread_that_has_ended() {
        let worker = Worker::new(Log::default()).unwrap();
        thread::scope(|scope| {
            let running = worker.running();
            let waiting = scope.spawn(|| worker.flush());
            while worker.flush.lock().as_ref().is_some_and(Vec::is_empty) {
                thread::yield_now();
            }
            drop(running);
            waiting.join().unwrap();
        });
        worker.flush();
    }
}
