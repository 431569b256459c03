//! The knet-rx thread: receives batches of datagrams, delivers their messages, serves the timers.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::{DatagramMeta, Engine, Received, SocketId};
use knet_poller::{BusyWait, Event, Events};
use knet_transport::{ErrorQueue, ReceiveBatch, ReceiveError};

use crate::control::error_queue;
use crate::control::retry::Holding;
use crate::core::shared::Shared;
use crate::datafds::stream;
use crate::io::loopback::OwnMessage;
use crate::io::read_limit::ReadLimit;
use crate::rx::backlog::{Body, Incoming};
use crate::rx::deliver::Deliverer;
use crate::tx::transmitter::{BATCH, Transmitter};

/// Works until the handle stops.
pub(crate) fn run(shared: &Shared) {
    let mut thread = RxThread::new(shared);
    let _running = shared.rx.running();
    while !shared.is_stopping() {
        let flush = shared.rx.flush_orders();
        if !flush.is_empty() {
            // May take a wake-up that was for the next orders, or for stopping: look before waiting.
            thread.receive_what_is_there();
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
    datagrams: ReceiveBatch,
    read_limit: ReadLimit,
    errors: ErrorQueue,
    incoming: Vec<Incoming>,
    own: Vec<OwnMessage>,
    deliverer: Deliverer,
    transmitter: Transmitter,
    holding: Holding,
}

impl<'a> RxThread<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            busy_wait: BusyWait::new(shared.busy_poll),
            events: Events::with_capacity(MAX_EVENTS),
            datagrams: ReceiveBatch::new(BATCH, MAX_DATAGRAM),
            read_limit: ReadLimit::new(),
            errors: ErrorQueue::new(),
            incoming: Vec::with_capacity(BATCH),
            own: Vec::with_capacity(BATCH),
            deliverer: Deliverer::new(),
            transmitter: Transmitter::default(),
            holding: Holding::default(),
        }
    }

    /// Does what is due, and says when something will be due again.
    fn serve_timers(&mut self) -> Option<Instant> {
        let engine = self.shared.engine(|engine, now| {
            engine.handle_timeout(now);
            engine.poll_timeout()
        });
        self.transmitter.send_control(self.shared);
        self.holding.work(self.shared, &mut self.transmitter);
        self.deliverer.handle_timeout(self.shared, Instant::now());
        let others = [self.holding.next_try(), self.deliverer.next_timeout()];
        engine.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Waits for sockets and handles one batch of each, with the timers served in between, then one of
    /// what we sent to ourselves, and some of what waits for a slow filter; whether there was anything
    /// to do.
    fn turn(&mut self, timeout: Option<Duration>) -> bool {
        if let Err(error) = self.busy_wait.wait(&self.shared.rx.poller, &mut self.events, timeout) {
            tracing::error!(%error, "waiting for sockets failed");
            return false;
        }
        let mut ready: ArrayVec<Event, MAX_EVENTS> = ArrayVec::new();
        ready.extend(self.events.iter().take(MAX_EVENTS));
        let backlog = self.deliverer.has_backlog();
        for (index, event) in ready.iter().enumerate() {
            if index > 0 {
                self.serve_timers();
            }
            match event.token.0.checked_sub(stream::WRITING) {
                Some(channel) => self.write_rest(channel),
                None => {
                    if event.writable {
                        self.holding.has_room();
                    }
                    self.receive(SocketId(event.token.0), event.error);
                }
            }
        }
        let own = self.deliver_own();
        // Not what has only just begun to wait: the sockets come first.
        if backlog {
            self.deliverer.work_off(self.shared, &self.datagrams);
        }
        backlog || own || !ready.is_empty()
    }

    /// Delivers a batch of messages that we sent to ourselves; whether there was any.
    fn deliver_own(&mut self) -> bool {
        self.shared.loopback.take(BATCH, &mut self.own);
        if self.own.is_empty() {
            return false;
        }
        self.deliverer.deliver_own(self.shared, &self.own);
        self.shared.loopback.recycle(self.own.drain(..));
        true
    }

    /// Handles everything that arrived before now, within limits (`docs/protocol.md`, "Forwarding").
    fn receive_what_is_there(&mut self) {
        for _ in 0..MAX_FLUSH_TURNS {
            if self.shared.is_stopping() || !self.turn(Some(Duration::ZERO)) {
                return;
            }
            self.serve_timers();
        }
    }

    /// Handles a batch of a socket. If it has errors too, what arrived before them is handled first:
    /// a peer that sent its last messages and went away is not unreachable before they are delivered.
    fn receive(&mut self, id: SocketId, has_errors: bool) {
        if !has_errors {
            self.receive_batch(id);
            return;
        }
        for _ in 0..MAX_BATCHES_BEFORE_ERRORS {
            if !self.receive_batch(id) {
                break;
            }
        }
        error_queue::read(self.shared, id, &mut self.errors);
    }

    /// Handles a batch of a socket; whether there may be more.
    fn receive_batch(&mut self, id: SocketId) -> bool {
        let Some(socket) = self.shared.sockets.get(id) else { return false };
        // Room for each costs a little even if it stays empty.
        let expected = FEW_RUNS.max(4 * self.datagrams.buffers_used());
        self.datagrams.set_limit(self.read_limit.get().min(expected));
        let received = socket.receive(&mut self.datagrams);
        // Let go of before the filter runs, so that clearing a link never waits for a filter.
        drop(socket);
        match received {
            Ok(0) => false,
            Ok(_) => {
                let bytes = self.datagrams.iter().map(|datagram| datagram.bytes.len()).sum();
                self.read_limit.update(self.datagrams.buffers_used(), bytes);
                self.handle_datagrams(id);
                true
            }
            // What made it fail is in the error queue; the datagrams are still there.
            Err(error) => {
                tracing::debug!(socket = id.0, %error, "receiving failed");
                matches!(error, ReceiveError::Pending { .. })
            }
        }
    }

    /// Handles what was received, a batch at a time: the kernel may have put many datagrams together.
    fn handle_datagrams(&mut self, socket: SocketId) {
        for start in (0..self.datagrams.len()).step_by(BATCH) {
            self.handle_batch(socket, start);
        }
    }

    fn handle_batch(&mut self, socket: SocketId, start: usize) {
        let copies = self.show(start, u64::MAX, |engine, now, datagram| {
            let arrival = DatagramMeta { socket, source: datagram.source };
            engine.handle_datagram(now, arrival, datagram.bytes)
        });
        // Pongs first: the peer measures how long they take.
        self.transmitter.send_control(self.shared);
        let all = self.deliverer.deliver(self.shared, &self.datagrams, &mut self.incoming);
        if !all && copies != 0 {
            // A message that could not be delivered has a second chance if a copy of it came, even
            // within the same batch.
            self.show(start, copies, |engine, now, copy| engine.handle_duplicate(now, copy.bytes));
            self.deliverer.deliver(self.shared, &self.datagrams, &mut self.incoming);
        }
    }

    /// Shows the engine the datagrams of the batch from `start` on whose bits are set; which of them
    /// were copies.
    fn show(
        &mut self,
        start: usize,
        which: u64,
        handle: impl Fn(&mut Engine, Instant, knet_transport::Received<'_>) -> Received,
    ) -> u64 {
        let (datagrams, incoming) = (&self.datagrams, &mut self.incoming);
        let mut copies = 0;
        self.shared.engine(|engine, now| {
            let batch = (0..BATCH).map_while(|bit| Some((bit, datagrams.get(start + bit)?)));
            for (bit, datagram) in batch {
                if datagram.truncated || which & 1 << bit == 0 {
                    continue;
                }
                match handle(engine, now, datagram) {
                    Received::Message(delivery, range) => {
                        incoming.push(Incoming::new(delivery, Body::Datagram(start + bit, range)));
                    }
                    Received::Reassembled(delivery, message) => {
                        incoming.push(Incoming::new(delivery, Body::Reassembled(message)));
                    }
                    Received::Duplicate => copies |= 1 << bit,
                    _ => {}
                }
            }
        });
        copies
    }

    /// The datafd of a stream takes more.
    fn write_rest(&mut self, channel: u64) {
        let channel = u8::try_from(channel).ok().and_then(|n| Channel::try_from(n).ok());
        let Some(entry) = channel.and_then(|channel| self.shared.datafds.get(channel)) else {
            return;
        };
        if let Err(errno) = stream::write_rest(self.shared, &entry) {
            tracing::debug!(channel = %entry.channel, errno, "the rest of a message waits");
        }
    }
}

/// No UDP datagram is larger.
const MAX_DATAGRAM: usize = 65_535;
/// How many datagrams, or runs of them, there is room for at least.
const FEW_RUNS: usize = 8;
/// How many batches of a socket are handled before its errors are, however much comes in.
const MAX_BATCHES_BEFORE_ERRORS: usize = 16;
/// How many sockets are looked at in one turn.
const MAX_EVENTS: usize = 64;
/// How many batches of each socket a flush handles at most. A buffer of 8 MiB, which the kernel doubles,
/// holds a third of that if every message is a byte.
const MAX_FLUSH_TURNS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::retry::tests::Scene;

    #[test]
    fn the_thread_does_not_sleep_through_the_next_try_of_a_control_packet() {
        let scene = Scene::new();
        let shared = &scene.shared;
        shared.held.push(scene.ping(Instant::now() + Duration::from_millis(100)));
        let mut thread = RxThread::new(shared);
        let wakes = thread.serve_timers().expect("pings are due again and again");
        assert!(thread.holding.next_try().is_none_or(|next| wakes <= next));
    }
}
