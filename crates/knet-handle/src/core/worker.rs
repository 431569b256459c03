//! How the handle reaches its data threads.

use std::sync::OnceLock;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use knet_poller::{Poller, Waker};
use parking_lot::Mutex;

use crate::error::{Error, Operation};
use crate::filter::Inside;
use crate::log::{Log, log};

/// A data thread, seen from outside: its poller, and orders to flush.
#[derive(Debug)]
pub(crate) struct Worker {
    log: Log,
    pub(crate) poller: Poller,
    waker: Waker,
    /// Whoever waits for the thread to have handled everything that is there. `None` when the
    /// thread has ended.
    flush: Mutex<Option<Vec<Sender<()>>>>,
    /// Whether the thread is in a filter, once it works.
    filter: OnceLock<Inside>,
}

impl Worker {
    pub(crate) fn new(log: Log) -> Result<Self, Error> {
        let poller = Poller::new()
            .map_err(|error| Error::os(Operation::CreatePoller, error.errno(), error))?;
        let waker = poller.waker();
        let (flush, filter) = (Mutex::new(Some(Vec::new())), OnceLock::new());
        Ok(Self { log, poller, waker, flush, filter })
    }

    /// Makes the thread look around.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log!(error, self.log, Handle, %error, "a data thread could not be woken");
        }
    }

    /// Waits until the thread has handled everything that was there when this was called, but no
    /// longer than [`PATIENCE`] for a filter.
    ///
    /// Only the time is counted for which the thread is found inside a filter: messages are not given
    /// up because the machine is busy.
    pub(crate) fn flush(&self) {
        let (done, finished) = crossbeam_channel::bounded(1);
        match self.flush.lock().as_mut() {
            Some(orders) => orders.push(done),
            None => return,
        }
        self.wake();
        let mut patience = PATIENCE;
        // Nothing is ever sent: the thread drops its end when it is done.
        while !patience.is_zero() && finished.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if self.filter.get().is_some_and(Inside::now) {
                patience = patience.saturating_sub(LOOK);
            }
        }
    }

    /// The orders to flush that came in; to be dropped when it is done.
    pub(crate) fn flush_orders(&self) -> Vec<Sender<()>> {
        self.flush.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Held by the thread for as long as it works, so that nobody waits for it afterwards.
    pub(crate) fn running(&self) -> Running<'_> {
        if let Some(inside) = Inside::of_this_thread() {
            // It is called once.
            let _ = self.filter.set(inside);
        }
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

/// How long a filter is waited for in all while a thread flushes.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether the thread is inside a filter.
const LOOK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_flush_waits_until_the_thread_drops_the_order() {
        let worker = Worker::new(Log::default()).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| worker.flush());
            let orders = loop {
                let orders = worker.flush_orders();
                if !orders.is_empty() {
                    break orders;
                }
                thread::yield_now();
            };
            assert!(!waiting.is_finished());
            drop(orders);
            waiting.join().unwrap();
        });
    }

    #[test]
    fn nobody_waits_for_a_thread_that_has_ended() {
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
