//! The handle's threads, from their start to their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::core::shared::Shared;
use crate::core::thread::Thread;
use crate::error::Error;
use crate::log::log;
use crate::operation::Operation;
use crate::panics;

/// Threads that are stopped when this is dropped, unless they are kept.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    started: Vec<Thread>,
}

impl Threads {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, started: Vec::new() }
    }

    /// Starts a thread: [`spawn`].
    pub(crate) fn start(
        &mut self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), Error> {
        self.started.push(spawn(&self.shared, name, work)?);
        Ok(())
    }

    pub(crate) fn keep(mut self) -> Vec<Thread> {
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

/// Starts a thread of the handle. If it panics, the handle reports that and its calls fail.
pub(crate) fn spawn(
    shared: &Arc<Shared>,
    name: &'static str,
    work: impl FnOnce() + Send + 'static,
) -> Result<Thread, Error> {
    let shared = shared.clone();
    let thread = Thread::spawn(name, move || {
        if let Err(panic) = panics::catch(work) {
            // Whatever it left behind, this thread ends in order.
            let _ = panics::catch(|| shared.record_thread_end(name, &panic));
        }
    });
    thread.map_err(|error| {
        let errno = error.raw_os_error().unwrap_or_default();
        Error::os(Operation::StartThread, errno, error)
    })
}

/// Stops the threads and waits for them, except for the current one: the last clone of a handle may be
/// dropped in a callback.
pub(crate) fn stop(shared: &Shared, threads: &mut Vec<Thread>) {
    shared.stopping.store(true, Ordering::Release);
    // A slow filter is not called with the rest of a batch either.
    shared.forwarding.store(false, Ordering::Release);
    let woken = [shared.tx.wake_again(), shared.rx.wake_again()] == [true; 2];
    shared.notices.wake();
    if let Some((thread, woken)) = shared.zoned_links.take_thread() {
        join(shared, thread, woken);
    }
    for thread in threads.drain(..) {
        join(shared, thread, woken);
    }
}

/// Waits for the end of a thread, for a moment only if it could not be woken: a timer may wake it.
fn join(shared: &Shared, thread: Thread, woken: bool) {
    if thread.is_current() {
        return;
    }
    if woken || thread.ends_within(END_TIMEOUT) {
        thread.join();
    } else {
        let name = thread.name();
        log!(error, shared.log, Handle, name, "a thread that cannot be woken is left behind");
    }
}

/// How long the end of a thread is waited for that cannot be woken.
const END_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};
    use std::time::{Duration, Instant};

    use knet_channel::{Channel, ChannelRequest};
    use knet_engine::{DownReason, LinkState};
    use knet_wire::{HostId, LinkId};

    use super::Threads;
    use crate::core::notices::Notice;
    use crate::{DatafdProblem, DatafdSource, Error, Handle, Verdict, fixtures};

    const DEADLINE: Duration = Duration::from_secs(60);

    #[test]
    fn the_panic_of_a_thread_is_the_reason_of_every_link_and_the_error_of_every_call() {
        let (handle, _) = fixtures::to_itself();
        let channel = ChannelRequest::Exact(Channel::ALL[0]);
        let datafd = handle.add_datafd(DatafdSource::Create, channel).unwrap();
        let itself = handle.host(handle.host_id()).unwrap();
        let link = itself.link(LinkId::ALL[0]).unwrap();
        let mut threads = Threads::new(handle.shared().clone());
        threads.start("knet-tx", || panic!("a bug")).unwrap();
        let mut notices = Vec::new();
        while !notices.iter().any(|notice| matches!(notice, Notice::Datafd(_))) {
            handle.shared().notices.wait();
            notices.extend(std::iter::from_fn(|| handle.shared().notices.pop()).map(|one| one.0));
        }
        let ended = LinkState::Down(DownReason::ThreadEnded);
        let is_ended =
            |notice: &Notice| matches!(notice, Notice::Link(event) if event.state == ended);
        assert!(notices.iter().any(is_ended), "{notices:?}");
        let is_lost = |notice: &Notice| matches!(notice, Notice::Host(event) if !event.reachable);
        assert!(notices.iter().any(is_lost), "{notices:?}");
        let is_failed = |notice: &Notice| {
            matches!(notice, Notice::Datafd(event)
            if matches!(event.problem, DatafdProblem::ReadFailed { passing: false, .. }))
        };
        assert!(notices.iter().any(is_failed), "{notices:?}");
        let entry = handle.shared().datafds.get(datafd.channel()).unwrap();
        assert!(entry.is_disabled());

        assert_eq!(link.status().unwrap().state, ended);
        for error in [
            datafd.send(b"into the void").unwrap_err(),
            handle.add_host(HostId::new(9)).unwrap_err(),
            link.enable().unwrap_err(),
            handle.set_forwarding(false).unwrap_err(),
            itself.wait_until_reachable(DEADLINE).unwrap_err(),
        ] {
            assert!(matches!(error, Error::ThreadEnded { thread: "knet-tx" }), "{error}");
        }
    }

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
