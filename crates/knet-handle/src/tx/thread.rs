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
use crate::datafds::table::{Entry, Traffic};
use crate::event::{DatafdEvent, DatafdProblem, Direction};
use crate::io::batch::BATCH;
use crate::io::read_limit::ReadLimit;
use crate::tx::message::Message;
use crate::tx::parked::{FIRST_SOCKET, Parked};
use crate::tx::transmitter::{Batch, Transmitter};

/// Works until the handle stops.
pub(crate) fn run(shared: &Shared) {
    let mut thread = TxThread::new(shared);
    let _running = shared.tx.running();
    while !shared.is_stopping() {
        let flush = shared.tx.flush_orders();
        if flush.is_empty() {
            thread.turn(None);
        } else {
            // May take a wake-up that was for the next orders, or for stopping: look before waiting.
            thread.read_what_is_there();
        }
    }
}

struct TxThread<'a> {
    shared: &'a Shared,
    events: Events,
    busy_wait: BusyWait,
    messages: ReceiveBatch,
    read_limit: ReadLimit,
    single: Vec<u8>,
    transmitter: Transmitter,
    parked: Parked,
}

/// How a read ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// There may be more.
    More,
    /// There is no more for now.
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
            // One byte more than a message may have, to see that it has more.
            single: vec![0; MAX_MESSAGE + 1],
            transmitter: Transmitter::default(),
            parked: Parked::default(),
        }
    }

    /// Waits for datafds and handles one batch of each, and goes on with those that wait for room;
    /// whether there was anything to do.
    fn turn(&mut self, timeout: Option<Duration>) -> bool {
        let next = self.parked.next_timeout();
        let until_next = next.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = [timeout, until_next].into_iter().flatten().min();
        if let Err(error) = self.busy_wait.wait(&self.shared.tx.poller, &mut self.events, timeout) {
            tracing::error!(%error, "waiting for datafds failed");
            return false;
        }
        let mut ready: ArrayVec<Event, MAX_EVENTS> = ArrayVec::new();
        ready.extend(self.events.iter().take(MAX_EVENTS));
        let room = self.look_at_sockets(&ready) || next.is_some_and(|at| at <= Instant::now());
        if room {
            self.retry_parked();
        }
        for event in &ready {
            self.read(event);
        }
        // Datafds that are read again may have messages, though nobody has told yet.
        room || !ready.is_empty()
    }

    /// Whether one of the sockets that are waited for has room.
    fn look_at_sockets(&mut self, ready: &[Event]) -> bool {
        let mut room = false;
        for event in ready {
            let Some(socket) = event.token.0.checked_sub(FIRST_SOCKET) else { continue };
            room |= event.writable;
            if event.error {
                // It would be reported until somebody has read it.
                self.transmitter.sender.read_errors(self.shared, SocketId(socket));
            }
        }
        room
    }

    /// Goes on with the batches that wait for room.
    fn retry_parked(&mut self) {
        for (channel, errno) in self.parked.retry(self.shared) {
            if let Some(entry) = self.shared.datafds.get(channel) {
                self.tell(&entry, DatafdProblem::ReadFailed { errno });
            }
        }
    }

    /// Handles everything that was written before now (`docs/protocol.md`, "Forwarding"). Neither a
    /// writer that never stops nor a link that takes nothing delays it without limit.
    fn read_what_is_there(&mut self) {
        let give_up = Instant::now() + FLUSH_PATIENCE;
        let mut turns = 0;
        while turns < MAX_FLUSH_TURNS {
            let waits = !self.parked.is_empty();
            if self.shared.is_stopping() || waits && Instant::now() >= give_up {
                return;
            }
            // While messages wait it is the time that ends it, however many others are written.
            turns += usize::from(!waits);
            let timeout = if waits { FLUSH_PATIENCE } else { Duration::ZERO };
            if !self.turn(Some(timeout)) && self.parked.is_empty() {
                return;
            }
        }
    }

    /// Reads the datafd that an event is about, if it is about one, and sends what it gave.
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
            // An error of a socket that is gone when it is read was told to somebody who wrote.
            End::Empty if event.hangup => End::Closed,
            End::Empty if event.error && traffic == Traffic::Device => End::Closed,
            end => end,
        };
        self.tell_too_long(&entry, number);
        match end {
            End::More | End::Empty => {}
            End::Closed => self.disable(&entry, DatafdProblem::EndOfFile),
            End::Failed(errno) => self.disable(&entry, DatafdProblem::ReadFailed { errno }),
        }
        // Let go of before the filter runs, so that removing a datafd never waits for a filter.
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

    /// Reads one message; its length takes the place of the number of messages.
    fn read_single(&mut self, entry: &Entry) -> (End, usize) {
        // A stream has no messages: what is beyond a read is the next message.
        let room = if entry.traffic == Traffic::Stream { MAX_MESSAGE } else { MAX_MESSAGE + 1 };
        match knet_fd::read(entry, &mut self.single[..room]) {
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

    /// Tells of each message that was just read and is too long to be sent.
    fn tell_too_long(&self, entry: &Entry, number: usize) {
        let too_long = if entry.traffic == Traffic::Messages {
            self.messages.iter().take(number).filter(|message| message.truncated).count()
        } else {
            usize::from(number > MAX_MESSAGE)
        };
        if too_long > 0 {
            count(&self.shared.datafds.counters(entry.channel).tx_too_long, too_long as u64);
        }
        for _ in 0..too_long {
            self.tell(entry, DatafdProblem::MessageTooLong);
        }
    }

    /// Stops reading a datafd that will give nothing more. Its channel stays taken.
    fn disable(&self, entry: &Entry, problem: DatafdProblem) {
        entry.disable(&self.shared.tx.poller);
        self.tell(entry, problem);
    }

    fn tell(&self, entry: &Entry, problem: DatafdProblem) {
        self.shared.notices.push_datafd(DatafdEvent {
            datafd: entry.number,
            channel: entry.channel,
            direction: Direction::Tx,
            problem,
        });
    }
}

/// How long a flush waits for links that are full.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);
/// How many datafds and sockets are looked at in one turn.
const MAX_EVENTS: usize = 2 * Channel::COUNT;
/// How many batches of each datafd a flush handles at most. A buffer of 8 MiB, which the kernel doubles,
/// holds a third of that if every message is a byte.
const MAX_FLUSH_TURNS: usize = 1024;

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::net::Ipv4Addr;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use knet_channel::ChannelRequest;
    use knet_poller::Token;
    use knet_wire::LinkId;

    use super::*;
    use crate::{
        Datafd, DatafdSource, DatafdState, FilterMessage, Handle, LinkConfig, PingTimers, Verdict,
    };

    const DEADLINE: Duration = Duration::from_secs(60);
    const CHANNEL: Channel = Channel::ALL[5];

    /// A handle with a link to itself and without knet-tx, and that link's socket.
    pub(crate) fn to_itself() -> (Handle, SocketId) {
        let handle = Handle::without_tx();
        let here = handle.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap().addr();
        let itself = handle.add_host(handle.host_id()).unwrap();
        let link = itself.add_link(LinkId::ALL[0], LinkConfig::udp(here, here)).unwrap();
        let interval = Duration::from_millis(20);
        link.set_ping_timers(PingTimers { interval, ..PingTimers::default() }).unwrap();
        link.set_pong_count(1).unwrap();
        link.enable().unwrap();
        itself.wait_reachable(DEADLINE).unwrap();
        handle.set_forwarding(true).unwrap();
        let _ = handle.datafd_events();
        (handle, link.status().unwrap().socket.unwrap())
    }

    fn add(handle: &Handle) -> Datafd {
        handle.add_datafd(DatafdSource::Create, ChannelRequest::Exact(CHANNEL)).unwrap()
    }

    /// A datafd that is the application's own, and its other end.
    fn bring_stream(handle: &Handle) -> (Datafd, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let channel = ChannelRequest::Exact(CHANNEL);
        (handle.add_datafd(DatafdSource::Fd(near.as_fd()), channel).unwrap(), far)
    }

    fn write(datafd: &Datafd, message: &[u8]) {
        assert_eq!(
            knet_fd::send(datafd, message).unwrap(),
            knet_fd::Sent::Sent { len: message.len() }
        );
    }

    fn sent(handle: &Handle) -> u64 {
        handle.channel_stats(CHANNEL).tx_messages
    }

    /// What the thread would be told of datafds if it looked now.
    fn events(handle: &Handle) -> Vec<Event> {
        let mut events = Events::with_capacity(MAX_EVENTS);
        handle.shared().tx.poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().filter(|event| event.token < Token(FIRST_SOCKET)).collect()
    }

    /// Whoever sends has to wait, until there is room.
    fn fill(handle: &Handle, socket: SocketId) {
        let backpressure = &handle.shared().backpressure;
        backpressure.fill(socket, Instant::now());
        backpressure.let_control_go_first(socket, Instant::now() + DEADLINE);
    }

    fn make_room(handle: &Handle, socket: SocketId) {
        handle.shared().backpressure.make_room(socket);
    }

    #[test]
    fn a_datafd_whose_messages_wait_is_not_looked_at_and_neither_is_its_successor() {
        let (handle, socket) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let mut datafd = add(&handle);
        fill(&handle, socket);
        write(&datafd, b"waits for room");
        thread.turn(Some(DEADLINE));
        write(&datafd, b"waits to be read");
        assert_eq!(events(&handle), [], "the thread would be told of it again and again");

        datafd.remove().unwrap();
        datafd = add(&handle);
        write(&datafd, b"waits to be read too");
        thread.turn(Some(DEADLINE));
        assert_eq!(events(&handle), [], "the thread would be told of it again and again");

        assert_eq!(sent(&handle), 0);
        make_room(&handle, socket);
        while sent(&handle) < 2 {
            assert!(thread.turn(Some(DEADLINE)), "the datafd is not read any more");
        }
    }

    #[test]
    fn a_flush_reads_the_datafds_whose_messages_waited() {
        let (handle, socket) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let datafd = add(&handle);
        fill(&handle, socket);
        write(&datafd, b"waits for room");
        thread.turn(Some(DEADLINE));
        write(&datafd, b"waits to be read");
        make_room(&handle, socket);
        // For a moment, after which nobody tells that there is room.
        handle.shared().backpressure.let_control_go_first(socket, Instant::now());
        thread.read_what_is_there();
        assert_eq!(sent(&handle), 2);
    }

    #[test]
    fn messages_that_come_later_leave_the_room_to_those_that_wait() {
        let (handle, socket) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let datafd = add(&handle);
        let backpressure = &handle.shared().backpressure;
        backpressure.fill(socket, Instant::now());
        write(&datafd, b"waits behind others");
        thread.turn(Some(DEADLINE));
        assert_eq!(sent(&handle), 0);
        backpressure.end(socket);
        assert!(backpressure.has_blocked(socket));
        while sent(&handle) < 1 {
            thread.turn(Some(DEADLINE));
        }
        assert!(!backpressure.has_blocked(socket));
    }

    /// Somebody else may have read it, or the kernel throws away what it told of.
    #[test]
    fn a_datafd_that_has_nothing_when_it_is_read_stays_in_use() {
        let (handle, _) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let (_stream, mut far) = bring_stream(&handle);
        for number in 1..=3 {
            far.write_all(b"hello").unwrap();
            let told = events(&handle);
            for _ in 0..2 {
                thread.read(&told[0]);
                assert_eq!(sent(&handle), number, "the second read finds nothing");
            }
            assert_eq!(handle.datafd_status(CHANNEL).unwrap().state, DatafdState::Active);
        }
    }

    /// What a wait fetched before the application removes a datafd and adds another.
    #[test]
    fn what_was_told_of_a_datafd_is_not_held_against_its_successor() {
        let (handle, _) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let (datafd, far) = bring_stream(&handle);
        drop(far);
        let told = events(&handle);
        assert!(told[0].hangup);
        datafd.remove().unwrap();
        let successor = add(&handle);
        thread.read(&told[0]);
        assert_eq!(handle.datafd_status(CHANNEL).unwrap().state, DatafdState::Active);

        write(&successor, b"it is read");
        assert!(thread.turn(Some(DEADLINE)));
        assert_eq!(sent(&handle), 1);
    }

    #[test]
    fn a_flush_waits_for_room_however_much_other_channels_write() {
        let give_up = Instant::now() + DEADLINE;
        while !waits_though_others_write() {
            assert!(Instant::now() < give_up, "what waited for room is not sent");
        }
    }

    /// Whether a flush waited longer than for so many turns; not if they took longer than it waits at all.
    fn waits_though_others_write() -> bool {
        let (handle, socket) = to_itself();
        let mut thread = TxThread::new(handle.shared());
        let datafd = add(&handle);
        fill(&handle, socket);
        write(&datafd, b"waits for room");
        thread.turn(Some(DEADLINE));

        let busy = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any).unwrap();
        write(&busy, b"x");
        let (shared, far) = (Arc::downgrade(handle.shared()), busy.as_fd().try_clone_to_owned());
        let (far, turns) = (far.unwrap(), AtomicUsize::new(0));
        let write_again = move |_: &mut FilterMessage<'_>| {
            if turns.fetch_add(1, Relaxed) < 2 * MAX_FLUSH_TURNS {
                let _ = knet_fd::send(&far, b"x").unwrap();
            } else if let Some(shared) = shared.upgrade() {
                shared.backpressure.make_room(socket);
            }
            Verdict::Reject
        };
        handle.set_filter(write_again).unwrap();
        thread.read_what_is_there();
        sent(&handle) == 1
    }
}
