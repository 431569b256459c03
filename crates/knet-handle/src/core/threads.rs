//! The handle's threads, from their start to their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use crate::core::shared::Shared;
use crate::error::Error;
use crate::log::log;
use crate::operation::Operation;

/// Threads that are stopped when this is dropped, unless they are kept.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    started: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, started: Vec::new() }
    }

    pub(crate) fn start(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or_default();
            Error::os(Operation::StartThread, errno, error)
        })?;
        self.started.push(thread);
        Ok(())
    }

    pub(crate) fn keep(mut self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.started)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Kept threads have another owner.
        if !self.started.is_empty() {
            stop(&self.shared, &mut self.started);
        }
    }
}

/// Stops the threads and waits for them, except for the current one: the last clone of a handle may be
/// dropped in a callback.
pub(crate) fn stop(shared: &Shared, threads: &mut Vec<JoinHandle<()>>) {
    shared.stopping.store(true, Ordering::Release);
    // A slow filter is not called with the rest of a batch either.
    shared.forwarding.store(false, Ordering::Release);
    shared.tx.wake();
    shared.rx.wake();
    shared.notices.wake();
    shared.zoned_links.join();
    for thread in threads.drain(..) {
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            log!(error, shared.log, Handle, "a thread of the handle panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::{Duration, Instant};

    use knet_channel::{Channel, ChannelRequest};
    use knet_wire::HostId;

    use crate::{DatafdSource, Handle, Verdict};

    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn closing_does_not_wait_for_a_slow_filter_to_see_the_whole_batch() {
        let handle = Handle::new(HostId::new(1)).unwrap();
        handle.set_forwarding(true).unwrap();
        let _ = handle.datafd_events();
        let datafd = handle
            .add_datafd(DatafdSource::Create, ChannelRequest::Exact(Channel::ALL[0]))
            .unwrap();
        let (arrived, arrivals) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        handle
            .set_filter(move |message| {
                arrived.send(message.payload().to_vec()).unwrap();
                let _ = gate.lock().unwrap().recv_timeout(DEADLINE);
                Verdict::Broadcast
            })
            .unwrap();
        let next = || arrivals.recv_timeout(DEADLINE).unwrap();
        let _ = knet_fd::send(&datafd, b"so that the next two are one batch").unwrap();
        next();
        let _ = knet_fd::send(&datafd, b"one").unwrap();
        let _ = knet_fd::send(&datafd, b"two").unwrap();
        open.send(()).unwrap();
        assert_eq!(next(), b"one");

        drop(datafd);
        let shared = handle.shared().clone();
        let closing = std::thread::spawn(move || handle.close());
        let deadline = Instant::now() + DEADLINE;
        while shared.is_forwarding() {
            assert!(Instant::now() < deadline, "forwarding stays on");
            std::thread::yield_now();
        }
        drop(open);
        closing.join().unwrap().unwrap();
        assert!(arrivals.try_recv().is_err(), "the filter was called once more");
        let stats = shared.datafds.counters(Channel::ALL[0]).read();
        assert_eq!((stats.tx_no_destination, stats.tx_forwarding_off), (2, 1));
    }
}
