//! The thread knet-rx: receives batches of datagrams, delivers their messages and serves the timers.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use knet_engine::{Engine, Received, SocketId};
use knet_poller::{BusyWait, Event, Events};
use knet_transport::ReceiveError;

use crate::control::retry::ControlRetry;
use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::datafds::stream;
use crate::errno::EAGAIN;
use crate::io::backpressure::FLUSH_TIMEOUT;
use crate::io::batch::BATCH;
use crate::io::loopback::OwnMessage;
use crate::log::{Causes, log};
use crate::rx::deliver::Deliverer;
use crate::rx::inbox::{ClearDatagram, Inbox};
use crate::rx::incoming::{Body, Incoming};
use crate::rx::pauses::Pauses;

/// Runs until the handle stops.
pub(crate) fn run(shared: &Shared) {
    let mut thread = RxThread::new(shared);
    let _running = shared.rx.running();
    while !shared.is_stopping() {
        let flush = shared.rx.flush_requests();
        if !flush.is_empty() {
            // This may consume a wake-up that was for the next requests, or for stopping: check both
            // before waiting.
            thread.receive_until(Instant::now() + FLUSH_TIMEOUT);
            thread.serve_timers();
            continue;
        }
        let next = thread.serve_timers();
        let timeout = if thread.deliverer.has_backlog() || !shared.loopback.is_empty() {
            Some(Duration::ZERO)
        } else {
            next.map(|at| at.saturating_duration_since(Instant::now()))
        };
        thread.turn(timeout);
    }
}

struct RxThread<'a> {
    shared: &'a Shared,
    events: Events,
    busy_wait: BusyWait,
    inbox: Inbox,
    incoming: Vec<Incoming>,
    own: Vec<OwnMessage>,
    deliverer: Deliverer,
    sender: ControlSender,
    retry: ControlRetry,
    pauses: Pauses,
    /// When the timers were served last.
    timers_served: Instant,
    /// How long sockets are received from before the timers are served again.
    slice: Duration,
    /// Whether the last wait led to a message.
    found_message: bool,
}

impl<'a> RxThread<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            busy_wait: BusyWait::new(shared.busy_poll),
            events: Events::with_capacity(MAX_EVENTS),
            inbox: Inbox::new(),
            incoming: Vec::with_capacity(BATCH),
            own: Vec::with_capacity(BATCH),
            deliverer: Deliverer::new(),
            sender: ControlSender::default(),
            retry: ControlRetry::default(),
            pauses: Pauses::default(),
            timers_served: Instant::now(),
            slice: SLICE,
            found_message: false,
        }
    }

    /// Does what is due. Returns when something is due next.
    fn serve_timers(&mut self) -> Option<Instant> {
        let engine = self.shared.engine(|engine, now| {
            engine.handle_timeout(now);
            if self.shared.take_forced_pings() {
                engine.force_pings(now);
            }
            engine.poll_timeout()
        });
        self.timers_served = Instant::now();
        self.sender.send_due(self.shared);
        self.retry.work(self.shared, &mut self.sender);
        self.deliverer.handle_timeout(self.shared, Instant::now());
        self.pauses.work(self.shared);
        let others =
            [self.retry.next_timeout(), self.deliverer.next_timeout(), self.pauses.next_timeout()];
        engine.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Does what is due if that was not done a moment ago: however much arrives, and however long it takes
    /// to handle it, timers are late by no more than a few slices.
    fn serve_timers_in_between(&mut self) {
        if self.timers_served.elapsed() >= self.slice {
            self.serve_timers();
        }
    }

    /// Waits for sockets and handles one batch of each, with the timers served in between. Then delivers
    /// one batch of messages that this host sent to itself, and some messages of the backlog. Returns
    /// `true` if there was anything to do.
    fn turn(&mut self, timeout: Option<Duration>) -> bool {
        if let Err(error) = self.busy_wait.wait(&self.shared.rx.poller, &mut self.events, timeout) {
            self.pauses.record_unusable_poller(self.shared, &error);
            return false;
        }
        self.pauses.record_usable_poller(self.shared);
        let mut ready: ArrayVec<Event, MAX_EVENTS> = ArrayVec::new();
        ready.extend(self.events.iter().take(MAX_EVENTS));
        let backlog = self.deliverer.has_backlog();
        for (index, event) in ready.iter().enumerate() {
            if index > 0 {
                self.serve_timers();
            }
            match stream::channel_of_rest(event.token) {
                Some(channel) => self.pauses.write_rest(self.shared, channel),
                None => {
                    if event.writable {
                        self.retry.record_room();
                    }
                    if event.readable || event.error || event.hangup {
                        self.receive(SocketId(event.token.0), event.error);
                    }
                }
            }
        }
        let own = self.deliver_own();
        if own || self.found_message {
            self.found_message = false;
            self.busy_wait.record_work();
        }
        // Messages that have only just joined the backlog wait: the sockets come first.
        if backlog {
            self.deliverer.work_off_backlog(self.shared, &self.inbox);
        }
        backlog || own || !ready.is_empty()
    }

    /// Delivers a batch of messages that this host sent to itself. Returns `true` if there were any.
    fn deliver_own(&mut self) -> bool {
        self.shared.loopback.take(BATCH, &mut self.own);
        if self.own.is_empty() {
            return false;
        }
        self.deliverer.deliver_own(self.shared, &self.own);
        self.shared.loopback.recycle(self.own.drain(..));
        true
    }

    /// Handles everything that arrived before now (`docs/protocol.md`, "Forwarding"), but stops at the
    /// deadline: what arrives meanwhile may be a flood.
    fn receive_until(&mut self, deadline: Instant) {
        while !self.shared.is_stopping() && self.turn(Some(Duration::ZERO)) {
            self.serve_timers();
            if Instant::now() >= deadline {
                return;
            }
        }
    }

    /// Handles a batch of a socket. If the socket has errors too, the datagrams that arrived before them
    /// come first: a peer that sent its last messages and closed its socket does not become unreachable
    /// before they are delivered.
    fn receive(&mut self, id: SocketId, has_errors: bool) {
        let (mut served, mut empty) = (false, EAGAIN);
        let start = Instant::now();
        loop {
            match self.receive_batch(id) {
                Outcome::Batch => served = true,
                Outcome::Pending(errno) => empty = errno,
                Outcome::Nothing => break,
                Outcome::Failed => {
                    served = true;
                    break;
                }
            }
            if !has_errors || start.elapsed() >= ERRORS_WAIT {
                break;
            }
            self.serve_timers_in_between();
        }
        if has_errors {
            served |= self.read_errors(id);
        }
        if !served {
            self.pauses.record_empty(self.shared, id, empty);
        }
    }

    /// Handles a batch of a socket.
    fn receive_batch(&mut self, id: SocketId) -> Outcome {
        let Some(socket) = self.shared.sockets.get(id) else { return Outcome::Failed };
        let received = self.inbox.receive(id, &socket);
        // Released before the filter runs, so that clearing a link never waits for a filter.
        drop(socket);
        match received {
            Ok(false) => Outcome::Nothing,
            Ok(true) => {
                self.pauses.record_datagrams(self.shared, id);
                self.handle_datagrams();
                Outcome::Batch
            }
            // The cause is in the error queue; the datagrams are still there.
            Err(error @ ReceiveError::Pending { .. }) => {
                log!(debug, self.shared.log, Rx, socket = id.0, error = %Causes(&error), "receiving failed");
                Outcome::Pending(error.errno())
            }
            Err(error) => {
                self.pauses.record_failure(self.shared, id, &error);
                Outcome::Failed
            }
        }
    }

    /// Reads the error queue of a socket. Returns `true` if there is nothing more to do about it: it had
    /// entries, or it cannot be read.
    fn read_errors(&mut self, id: SocketId) -> bool {
        match self.sender.read_errors(self.shared, id) {
            Ok(number) => {
                self.pauses.record_errors(id);
                number > 0
            }
            Err(error) => {
                self.pauses.record_unreadable_errors(self.shared, id, &error);
                true
            }
        }
    }

    /// Handles the datagrams that were received, [`BATCH`] at a time: with GRO there may be many more.
    fn handle_datagrams(&mut self) {
        for start in (0..self.inbox.len()).step_by(BATCH) {
            if start > 0 {
                self.serve_timers_in_between();
            }
            self.handle_batch(start);
        }
    }

    fn handle_batch(&mut self, start: usize) {
        let duplicates = self.pass_to_engine(start, u64::MAX, |engine, now, datagram| {
            engine.handle_datagram(now, datagram.meta, datagram.bytes)
        });
        self.found_message |= !self.incoming.is_empty();
        // Pongs first: the peer measures how long they take.
        self.sender.send_due(self.shared);
        let all = self.deliverer.deliver(self.shared, &self.inbox, &mut self.incoming);
        if !all && duplicates != 0 {
            // A message that could not be delivered has a second chance if a duplicate of it came, even
            // within the same batch.
            self.pass_to_engine(start, duplicates, |engine, now, duplicate| {
                engine.handle_duplicate(now, duplicate.bytes)
            });
            self.deliverer.deliver(self.shared, &self.inbox, &mut self.incoming);
        }
    }

    /// Passes those of the [`BATCH`] datagrams from `start` on to the engine whose bits are set in
    /// `selected`, and queues the messages that they complete. Returns the bits of those that were
    /// duplicates.
    fn pass_to_engine(
        &mut self,
        start: usize,
        selected: u64,
        handle: impl Fn(&mut Engine, Instant, ClearDatagram<'_>) -> Received,
    ) -> u64 {
        let (inbox, incoming) = (&self.inbox, &mut self.incoming);
        let mut duplicates = 0;
        self.shared.engine(|engine, now| {
            let bits = 0..inbox.len().saturating_sub(start).min(BATCH);
            for bit in bits.filter(|bit| selected & 1 << bit != 0) {
                let Some(datagram) = inbox.get(start + bit) else {
                    engine.record_truncated();
                    continue;
                };
                match handle(engine, now, datagram) {
                    Received::Message(delivery, range) => {
                        incoming.push(Incoming::new(delivery, Body::Datagram(start + bit, range)));
                    }
                    Received::Reassembled(delivery, message) => {
                        incoming.push(Incoming::new(delivery, Body::Reassembled(message)));
                    }
                    Received::Duplicate => duplicates |= 1 << bit,
                    _ => {}
                }
            }
        });
        duplicates
    }
}

/// What came of receiving from a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// There was nothing to receive.
    Nothing,
    /// Datagrams, and there may be more.
    Batch,
    /// The error of an earlier datagram, with this errno. Datagrams may wait behind it.
    Pending(i32),
    /// The kernel refused, or the socket is closed.
    Failed,
}

/// How long sockets are received from before the timers are served again.
const SLICE: Duration = Duration::from_millis(2);
/// How long the datagrams of a socket are handled before its errors, however much arrives.
const ERRORS_WAIT: Duration = Duration::from_millis(10);
/// How many sockets one turn handles.
const MAX_EVENTS: usize = 64;

#[cfg(test)]
mod tests;
