//! The state that a handle and its threads share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use knet_engine::{Engine, Event, Routes, SequenceCounter, SocketId, Transmit};
use knet_wire::HostId;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::core::fate::Fate;
use crate::core::notices::{Notice, Notices};
use crate::core::settings::Settings;
use crate::core::worker::Worker;
use crate::core::zoned_links::ZonedLinks;
use crate::datafds::table::Datafds;
use crate::errno::ECANCELED;
use crate::error::Error;
use crate::event::{DatafdEvent, DatafdProblem, Direction};
use crate::filter::{self, Filter, FilterMessage, FilterScope, Filtered};
use crate::io::backpressure::Backpressure;
use crate::io::control_queue::ControlQueue;
use crate::io::loopback::Loopback;
use crate::io::sockets::Sockets;
use crate::log::{Log, log};
use crate::panic_gate::PanicGate;

/// The state of one handle.
pub(crate) struct Shared {
    pub(crate) own: HostId,
    pub(crate) log: Log,
    /// Locked for computation only: never across a system call, a callback or cryptography.
    engine: Mutex<Engine>,
    pub(crate) sequence: Arc<SequenceCounter>,
    routes: RwLock<Arc<Routes>>,
    pub(crate) sockets: Sockets,
    pub(crate) zoned_links: ZonedLinks,
    pub(crate) loopback: Loopback,
    pub(crate) datafds: Datafds,
    filter: RwLock<Option<Filter>>,
    filter_panics: PanicGate,
    filter_scope: FilterScope,
    pub(crate) forwarding: AtomicBool,
    pub(crate) notices: Notices,
    pub(crate) tx: Worker,
    pub(crate) rx: Worker,
    /// How long the data threads busy-poll at most before they sleep.
    pub(crate) busy_poll: Duration,
    pub(crate) backpressure: Backpressure,
    pub(crate) control_queue: ControlQueue,
    /// Whether forced pings are due on knet-rx.
    forced_pings: AtomicBool,
    pub(crate) stopping: AtomicBool,
    pub(crate) fate: Fate,
    /// Counts all changes that may end a wait for a host.
    reach: Mutex<u64>,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn new(engine: Engine, settings: &Settings) -> Result<Self, Error> {
        let own = engine.own_id();
        let log = Log::new(own);
        Ok(Self {
            own,
            log,
            sequence: engine.sequence(),
            engine: Mutex::new(engine),
            routes: RwLock::default(),
            sockets: Sockets::new(log),
            zoned_links: ZonedLinks::new(log),
            loopback: Loopback::default(),
            datafds: Datafds::new(log),
            filter: RwLock::default(),
            filter_panics: PanicGate::default(),
            filter_scope: FilterScope::new(),
            forwarding: AtomicBool::new(false),
            notices: Notices::default(),
            tx: Worker::new(log)?,
            rx: Worker::new(log)?,
            busy_poll: settings.busy_poll,
            backpressure: Backpressure::new(settings.send_timeout),
            control_queue: ControlQueue::default(),
            forced_pings: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            fate: Fate::default(),
            reach: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Changes the engine, publishes what follows from the change, and returns its result. Control packets
    /// that became due are left for knet-rx, or for [`Shared::take_transmits`].
    ///
    /// This is the only way to change it. It wakes knet-rx, which sleeps until the deadlines that it knows
    /// of, unless it is called there.
    pub(crate) fn engine<T>(&self, change: impl FnOnce(&mut Engine, Instant) -> T) -> T {
        let now = Instant::now();
        let mut engine = self.engine.lock();
        let answer = change(&mut engine, now);
        // Before the events: the reader of a host event may send to the host.
        let rerouted = engine.poll_routes();
        let routed = rerouted.is_some();
        if let Some(routes) = rerouted {
            *self.routes.write() = Arc::new(routes);
        }
        let mut reported = false;
        while let Some(event) = engine.poll_event() {
            reported = true;
            match event {
                Event::Link(event) => self.notices.push(Notice::Link(event)),
                Event::Host(event) => self.notices.push(Notice::Host(event)),
                Event::Mtu(event) => self.notices.push(Notice::Mtu(event)),
                Event::Address(event) => self.notices.push(Notice::Address(event)),
                Event::Rejected(rejection) => self.notices.push(Notice::Rejected(rejection)),
                _ => {}
            }
        }
        drop(engine);
        if !self.rx.is_current() {
            self.rx.wake();
        }
        if reported {
            self.notices.wake();
        }
        if reported || routed {
            self.reach_changed();
        }
        answer
    }

    /// Reports that a thread of the handle ended by a panic, which makes the handle useless: no message
    /// passes and no link is watched any longer.
    pub(crate) fn record_thread_end(&self, thread: &'static str, panic: &str) {
        if !self.fate.record_end(thread) {
            return;
        }
        log!(
            error,
            self.log,
            Handle,
            thread,
            panic,
            "a thread of the handle ended: create it again"
        );
        self.engine(Engine::handle_driver_ended);
        for entry in self.datafds.list() {
            entry.disable(&self.tx.poller);
            self.notices.push_datafd(DatafdEvent {
                id: entry.id(),
                datafd: entry.number,
                channel: entry.channel,
                direction: Direction::Tx,
                problem: DatafdProblem::ReadFailed { errno: ECANCELED, passing: false },
            });
        }
        self.reach_changed();
    }

    /// Lets the threads that wait for a host check again.
    fn reach_changed(&self) {
        *self.reach.lock() += 1;
        self.changed.notify_all();
    }

    /// Changes the engine on behalf of the application.
    pub(crate) fn configure<T>(
        &self,
        change: impl FnOnce(&mut Engine, Instant) -> T,
    ) -> Result<T, Error> {
        self.accept_call()?;
        let answer = self.engine(change);
        // The engine reports no event for a host that was removed.
        self.reach_changed();
        Ok(answer)
    }

    /// Reads from the engine.
    pub(crate) fn query<T>(&self, read: impl FnOnce(&Engine, Instant) -> T) -> T {
        let now = Instant::now();
        read(&self.engine.lock(), now)
    }

    /// Returns an error if a call that changes or sends something cannot work: in a forked process, after
    /// a thread ended, and within the handle's filter, where waiting for a data thread would never end. Other
    /// handles do not wait for this filter.
    pub(crate) fn accept_call(&self) -> Result<(), Error> {
        self.fate.check()?;
        if self.filter_scope.is_running_here() { Err(Error::InsideFilter) } else { Ok(()) }
    }

    /// Releases one use of a socket.
    pub(crate) fn release_socket(&self, id: SocketId) {
        if self.sockets.release(id, &self.rx.poller, &self.tx.poller) {
            self.backpressure.forget(id);
        }
    }

    /// Takes the control packets that are due.
    pub(crate) fn take_transmits(&self, into: &mut VecDeque<Transmit>) {
        let mut engine = self.engine.lock();
        while let Some(transmit) = engine.poll_transmit() {
            into.push_back(transmit);
        }
    }

    /// Requests forced pings of knet-rx. Returns `false` if it has not served the last request yet.
    pub(crate) fn request_forced_pings(&self) -> bool {
        let waiting = self.forced_pings.swap(true, Ordering::AcqRel);
        self.rx.wake();
        !waiting
    }

    /// Returns `true` if forced pings were requested since the last call.
    pub(crate) fn take_forced_pings(&self) -> bool {
        self.forced_pings.load(Ordering::Relaxed) && self.forced_pings.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn routes(&self) -> Arc<Routes> {
        self.routes.read().clone()
    }

    pub(crate) fn filter(&self) -> Option<Filter> {
        self.filter.read().clone()
    }

    pub(crate) fn has_filter(&self) -> bool {
        self.filter.read().is_some()
    }

    /// Runs the filter. It is looked up per message: once it is replaced, it is no longer called.
    pub(crate) fn run_filter(&self, message: FilterMessage<'_>) -> Filtered {
        filter::run(self.filter(), message, &self.filter_panics, self.filter_scope, self.log)
    }

    /// Replaces the filter, and waits until no thread is running the previous one.
    pub(crate) fn set_filter(&self, filter: Option<Filter>) {
        let old = std::mem::replace(&mut *self.filter.write(), filter);
        // Dropped without the lock: it may own anything.
        if let Some(old) = old {
            old.wait_until_released(self.log);
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub(crate) fn is_forwarding(&self) -> bool {
        self.forwarding.load(Ordering::Acquire)
    }

    /// Waits until `done` returns `true`, which is called again after each change of a link or a host.
    /// Returns whether it did in time.
    pub(crate) fn wait_for(&self, timeout: Duration, mut done: impl FnMut() -> bool) -> bool {
        // Without a deadline if the timeout is too long for the clock.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let seen = *self.reach.lock();
            if done() {
                return true;
            }
            if self.fate.has_ended() {
                return false;
            }
            let mut changes = self.reach.lock();
            while *changes == seen {
                let late = match deadline {
                    Some(deadline) => self.changed.wait_until(&mut changes, deadline).timed_out(),
                    None => {
                        self.changed.wait(&mut changes);
                        false
                    }
                };
                if late {
                    drop(changes);
                    return done();
                }
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("own", &self.own).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::Scene;

    #[test]
    fn every_change_of_the_engine_wakes_knet_rx_except_its_own() {
        let scene = Scene::new();
        assert!(scene.is_rx_woken() && !scene.is_rx_woken());
        scene.shared.engine(|_, _| ());
        assert!(scene.is_rx_woken());
        let _running = scene.shared.rx.running();
        scene.shared.engine(|_, _| ());
        assert!(!scene.is_rx_woken(), "it looks before it sleeps");
    }
}
