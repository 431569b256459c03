//! The knet-tx thread: reads batches of messages from the datafds and sends them.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::SocketId;
use knet_fd::{ReceiveBatch, Received};
use knet_poller::{BusyWait, Event, Events};
use knet_wire::MAX_MESSAGE;

use crate::core::shared::Shared;
use crate::datafds::counters::count;
use crate::datafds::read_error::is_passing;
use crate::datafds::table::{Entry, Traffic};
use crate::event::{DatafdEvent, DatafdProblem, Direction};
use crate::io::backpressure::FLUSH_TIMEOUT;
use crate::io::batch::BATCH;
use crate::io::read_limit::ReadLimit;
use crate::tx::message::Message;
use crate::tx::parked::{FIRST_SOCKET, Parked};
use crate::tx::pauses::Pauses;
use crate::tx::transmitter::{Batch, Transmitter};

/// Runs until the handle stops.
pub(crate) fn run(shared: &Shared) {
    let mut thread = TxThread::new(shared);
    let _running = shared.tx.running();
    while !shared.is_stopping() {
        let flush = shared.tx.flush_requests();
        if flush.is_empty() {
            thread.turn(None);
        } else {
            // It may consume a wake-up that was for the next order, or for stopping, so the loop checks
            // for both before it waits.
            thread.flush(Instant::now() + FLUSH_TIMEOUT);
        }
    }
}

struct TxThread<'a> {
    shared: &'a Shared,
    events: Events,
    busy_wait: BusyWait,
    messages: ReceiveBatch,
    read_limit: ReadLimit,
    /// The message of a stream or a device, which are read one at a time.
    single: Vec<u8>,
    transmitter: Transmitter,
    parked: Parked,
    pauses: Pauses,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// There may be more.
    More,
    /// Everything that was there is read.
    Empty,
    /// The other end is closed.
    Closed,
    /// It failed with this errno.
    Failed(i32),
}

impl<'a> TxThread<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            busy_wait: BusyWait::new(shared.busy_poll),
            events: Events::with_capacity(MAX_EVENTS),
            messages: ReceiveBatch::new(BATCH, 0, MAX_MESSAGE),
            read_limit: ReadLimit::new(),
            // One byte more than a message may have, which shows that it is too long.
            single: vec![0; MAX_MESSAGE + 1],
            transmitter: Transmitter::default(),
            parked: Parked::default(),
            pauses: Pauses::default(),
        }
    }

    /// Waits for datafds, sends one batch of each, and retries the parked batches. Returns `true` if there
    /// was anything to do.
    fn turn(&mut self, timeout: Option<Duration>) -> bool {
        let next = self.parked.next_timeout();
        let timeouts = [next, self.pauses.next_timeout()].into_iter().flatten();
        let timeouts = timeouts.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = timeouts.chain(timeout).min();
        if let Err(error) = self.busy_wait.wait(&self.shared.tx.poller, &mut self.events, timeout) {
            self.pauses.record_unusable_poller(self.shared, &error);
            return false;
        }
        self.pauses.record_usable_poller(self.shared);
        let mut ready: ArrayVec<Event, MAX_EVENTS> = ArrayVec::new();
        ready.extend(self.events.iter().take(MAX_EVENTS));
        let retry = self.handle_sockets(&ready) || next.is_some_and(|at| at <= Instant::now());
        if retry {
            self.retry_parked();
        }
        for event in &ready {
            self.read(event);
        }
        self.unpause();
        // Datafds that are read again may have messages that the poller has not reported yet.
        retry || !ready.is_empty()
    }

    /// Handles the events of full sockets. Returns `true` if one of them has room.
    fn handle_sockets(&mut self, ready: &[Event]) -> bool {
        let mut room = false;
        for event in ready {
            let Some(socket) = event.token.0.checked_sub(FIRST_SOCKET) else { continue };
            room |= event.writable;
            if event.error {
                // The poller reports it until it is read.
                let socket = SocketId(socket);
                if self.transmitter.sender.read_errors(self.shared, socket).is_err() {
                    self.parked.unwatch(self.shared, socket);
                }
            }
        }
        room
    }

    fn retry_parked(&mut self) {
        let failed = self.parked.retry(self.shared);
        self.report_unwatched(&failed);
    }

    /// Has the datafds read again whose pause has ended.
    fn unpause(&mut self) {
        let failed = self.pauses.unpause(self.shared);
        self.report_unwatched(&failed);
    }

    /// Reports datafds that the poller does not accept again.
    fn report_unwatched(&self, failed: &[(Channel, i32)]) {
        for &(channel, errno) in failed {
            if let Some(entry) = self.shared.datafds.get(channel) {
                // The poller did not accept it, for want of memory or of watches.
                self.report(&entry, DatafdProblem::ReadFailed { errno, passing: true });
            }
        }
    }

    /// Sends everything that was written before now (`docs/protocol.md`, "Forwarding"). Bounded even
    /// if a writer never stops or a link takes nothing, for which it waits until the deadline.
    fn flush(&mut self, deadline: Instant) {
        let mut turns = 0;
        while turns < MAX_FLUSH_TURNS {
            let is_blocked = self.parked.is_blocked();
            if self.shared.is_stopping() || is_blocked && Instant::now() >= deadline {
                return;
            }
            // While messages are blocked the deadline ends it, however many others are written.
            turns += usize::from(!is_blocked);
            let timeout = if is_blocked { FLUSH_TIMEOUT } else { Duration::ZERO };
            if !self.turn(Some(timeout)) && self.parked.is_empty() {
                return;
            }
        }
    }

    /// Reads the datafd that an event is about, if it is about one, and sends what was read.
    fn read(&mut self, event: &Event) {
        let Some(entry) = self.shared.datafds.by_token(event.token) else { return };
        if !self.parked.is_empty() && self.parked.pauses(self.shared, &entry) {
            return;
        }
        let traffic = entry.traffic;
        let (end, number) = match traffic {
            Traffic::Messages => self.read_batch(&entry),
            Traffic::Stream | Traffic::Device => self.read_single(&entry),
        };
        let end = match end {
            // A socket's error that is gone when the socket is read was returned to another call.
            End::Empty if event.hangup => End::Closed,
            End::Empty if event.error && traffic == Traffic::Device => End::Closed,
            end => end,
        };
        self.report_too_long(&entry, number);
        match end {
            End::More => {
                self.pauses.record_message(&entry);
                self.busy_wait.record_work();
            }
            End::Empty => self.pauses.record_empty(self.shared, &entry),
            End::Closed => self.disable(&entry, DatafdProblem::EndOfFile),
            End::Failed(errno) => {
                let passing = is_passing(&entry, errno);
                self.disable(&entry, DatafdProblem::ReadFailed { errno, passing });
            }
        }
        // Released before the filter runs, so that removing a datafd never waits for a filter.
        let (channel, read) = (entry.channel, Arc::downgrade(&entry));
        drop(entry);
        self.send(channel, number, traffic, &read);
    }

    fn read_batch(&mut self, entry: &Entry) -> (End, usize) {
        self.messages.set_limit(self.read_limit.get());
        match self.messages.receive(entry) {
            Ok(outcome) => {
                let bytes = self.messages.iter().map(|message| message.bytes.len()).sum();
                self.read_limit.update(outcome.messages, bytes);
                let end = match (outcome.messages, outcome.end_of_file) {
                    (_, true) => End::Closed,
                    (0, false) => End::Empty,
                    (_, false) => End::More,
                };
                (end, outcome.messages)
            }
            Err(error) => (End::Failed(error.errno()), 0),
        }
    }

    /// Reads one message. Its length takes the place of the number of messages.
    fn read_single(&mut self, entry: &Entry) -> (End, usize) {
        // A stream has no messages: what is left after a read is the next message. Neither call blocks, though
        // anybody who shares the open file may have made it blocking.
        let read = if entry.traffic == Traffic::Stream {
            knet_fd::receive(entry, &mut self.single[..MAX_MESSAGE])
        } else {
            entry.calls.read(entry, &mut self.single)
        };
        match read {
            Ok(Received::Message { len, .. }) => (End::More, len),
            Ok(Received::WouldBlock) => (End::Empty, 0),
            Ok(Received::EndOfFile) => (End::Closed, 0),
            Err(error) => (End::Failed(error.errno()), 0),
        }
    }

    /// Sends what was just read.
    fn send(&mut self, channel: Channel, number: usize, traffic: Traffic, read: &Weak<Entry>) {
        let mut messages: ArrayVec<Message<'_>, BATCH> = ArrayVec::new();
        if traffic == Traffic::Messages {
            let whole = self.messages.iter().take(number).filter(|message| !message.truncated);
            let whole = whole.map(|message| message.bytes).filter(|bytes| !bytes.is_empty());
            messages.extend(whole.map(Message::uncompressed));
        } else if (1..=MAX_MESSAGE).contains(&number) {
            messages.push(Message::uncompressed(&self.single[..number]));
        }
        if messages.is_empty() {
            return;
        }
        let mut batch = Batch::new(self.shared, channel);
        if !self.transmitter.send_batch(self.shared, &mut batch, &messages) {
            self.parked.park(self.shared, read, batch, &mut self.transmitter, &messages);
        }
    }

    /// Reports each message that was just read and is too long to be sent.
    fn report_too_long(&self, entry: &Entry, number: usize) {
        let too_long = if entry.traffic == Traffic::Messages {
            self.messages.iter().take(number).filter(|message| message.truncated).count()
        } else {
            usize::from(number > MAX_MESSAGE)
        };
        if too_long > 0 {
            count(&self.shared.datafds.counters(entry.channel).tx_too_long, too_long as u64);
        }
        for _ in 0..too_long {
            self.report(entry, DatafdProblem::MessageTooLong);
        }
    }

    /// Stops reading a datafd that has ended or failed. Its channel stays in use.
    fn disable(&self, entry: &Entry, problem: DatafdProblem) {
        entry.disable(&self.shared.tx.poller);
        self.report(entry, problem);
    }

    fn report(&self, entry: &Entry, problem: DatafdProblem) {
        self.shared.notices.push_datafd(DatafdEvent {
            id: entry.id(),
            datafd: entry.number,
            channel: entry.channel,
            direction: Direction::Tx,
            problem,
        });
    }
}

/// How many events of datafds and sockets are handled per turn.
const MAX_EVENTS: usize = 2 * Channel::COUNT;
/// The most batches per datafd that a flush sends. A buffer of 8 MiB, which the kernel doubles, holds a
/// third of that if every message is one byte.
const MAX_FLUSH_TURNS: usize = 1024;

#[cfg(test)]
mod tests;
