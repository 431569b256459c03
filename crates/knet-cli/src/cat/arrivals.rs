//! What has arrived from each sender, and what credit that gives.
//!
//! The filter sees the source of each message, in the order in which the datafd holds them; the thread
//! that reads the datafd does not. So the filter queues the sources, and the reader takes one per
//! message.

use std::collections::{BTreeMap, VecDeque};

use kronosnet::HostId;
use parking_lot::{Condvar, Mutex};

use crate::cat::flow_control::datafd_cost;
use crate::cat::notice::{Body, Credit, Notice};

/// The messages that have arrived, by sender.
#[derive(Debug)]
pub(crate) struct Arrivals {
    state: Mutex<State>,
    /// Notified when a notice is due.
    due: Condvar,
    /// The random number of this process.
    own: u64,
    /// How much each sender may have in flight.
    window: u32,
}

#[derive(Debug, Default)]
struct State {
    senders: BTreeMap<HostId, Sender>,
    /// The source of each message that is in the datafd, or about to be.
    sources: VecDeque<HostId>,
    /// How many messages did not fit into the datafd, and were taken out of `sources`.
    dropped: u64,
    /// `true` once no more messages are wanted.
    done: bool,
    closed: bool,
}

#[derive(Debug, Default)]
struct Sender {
    /// The random number of its process. Without one, it has not asked for credit.
    number: Option<u64>,
    arrived: u64,
    /// How many of its messages are in `sources`.
    queued: u64,
    /// What was taken since the last credit, in bytes of memory.
    uncredited: usize,
    /// `true` if a credit has to be sent.
    due: bool,
}

impl Arrivals {
    /// Creates an account for messages of this many senders, which share buffers of `room` bytes of
    /// memory.
    pub(crate) fn new(own: u64, senders: usize, room: usize) -> Self {
        // Some of it is left for pings, and for what the kernel counts differently.
        let window = (room / 4 * 3).min(MAX_WINDOW) / senders.max(1);
        let window = u32::try_from(window).unwrap_or(u32::MAX);
        Self { state: Mutex::default(), due: Condvar::new(), own, window }
    }

    /// Records that a message arrived, before it is written to the datafd.
    pub(crate) fn arrived(&self, source: HostId) {
        let mut state = self.state.lock();
        state.sources.push_back(source);
        let sender = state.senders.entry(source).or_default();
        sender.arrived += 1;
        sender.queued += 1;
    }

    /// Records that a message was read from the datafd.
    pub(crate) fn taken(&self, length: usize) {
        let mut state = self.state.lock();
        let Some(source) = state.sources.pop_front() else { return };
        let Some(sender) = state.senders.get_mut(&source) else { return };
        sender.queued = sender.queued.saturating_sub(1);
        sender.uncredited += datafd_cost(length);
        // Often enough that the sender never has to wait for credit, whatever its cost of a message.
        if sender.number.is_some() && sender.uncredited >= self.window as usize / 4 {
            sender.due = true;
            self.due.notify_one();
        }
    }

    /// Records that the datafd is empty, and how many messages did not fit into it so far: these will
    /// not be read.
    pub(crate) fn empty(&self, dropped: u64) {
        let mut state = self.state.lock();
        // Otherwise a message is on its way into the datafd.
        if state.sources.len() as u64 == dropped.saturating_sub(state.dropped) {
            state.dropped = dropped;
            state.sources.clear();
            state.senders.values_mut().for_each(|sender| sender.queued = 0);
        }
    }

    /// Handles a probe. A process that was not known is assumed to have sent what arrived.
    pub(crate) fn probed(&self, source: HostId, number: u64, sent: u64) {
        let mut state = self.state.lock();
        let sender = state.senders.entry(source).or_default();
        if sender.number != Some(number) {
            sender.number = Some(number);
            sender.arrived = sent.max(sender.queued);
        }
        sender.due = true;
        self.due.notify_one();
    }

    /// Reports to all senders that no more messages are wanted.
    pub(crate) fn done(&self) {
        let mut state = self.state.lock();
        state.done = true;
        state.senders.values_mut().for_each(|sender| sender.due = true);
        self.due.notify_one();
    }

    /// Ends [`Arrivals::wait_until_due`] once everything that is due has been returned.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.due.notify_one();
    }

    /// Waits until credit is due, and returns the notices to send. Returns `None` once closed.
    pub(crate) fn wait_until_due(&self) -> Option<Vec<Notice>> {
        let mut state = self.state.lock();
        loop {
            let done = state.done;
            let notices: Vec<Notice> = state
                .senders
                .iter_mut()
                .filter_map(|(&host, sender)| sender.take_due(host, self.own, self.window, done))
                .collect();
            if !notices.is_empty() {
                return Some(notices);
            }
            if state.closed {
                return None;
            }
            self.due.wait(&mut state);
        }
    }
}

impl Sender {
    /// Returns the credit that is due, if it is.
    fn take_due(&mut self, host: HostId, own: u64, window: u32, done: bool) -> Option<Notice> {
        let number = self.number?;
        if !std::mem::take(&mut self.due) {
            return None;
        }
        self.uncredited = 0;
        let credit = Credit {
            receiver: own,
            arrived: self.arrived,
            taken: self.arrived.saturating_sub(self.queued),
            window,
            done,
        };
        Some(Notice { to: host, sender: number, body: Body::Credit(credit) })
    }
}

/// How much all senders together may have in flight, however large the buffers are. More makes nothing
/// faster.
const MAX_WINDOW: usize = 2 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId::new(2);
    /// The smallest buffer in practice: 208 KiB, doubled by the kernel.
    const ROOM: usize = 416 * 1024;

    fn credit(arrivals: &Arrivals) -> Credit {
        match arrivals.wait_until_due().unwrap()[..] {
            [Notice { to: HOST, sender: 7, body: Body::Credit(credit) }] => credit,
            ref others => panic!("{others:?}"),
        }
    }

    #[test]
    fn a_probe_is_answered_with_what_arrived_and_what_was_taken() {
        let arrivals = Arrivals::new(1, 1, ROOM);
        arrivals.probed(HOST, 7, 0);
        let first = credit(&arrivals);
        assert_eq!((first.receiver, first.arrived, first.taken), (1, 0, 0));
        for _ in 0..3 {
            arrivals.arrived(HOST);
        }
        arrivals.taken(10);
        arrivals.probed(HOST, 7, 3);
        let credit = credit(&arrivals);
        assert_eq!((credit.arrived, credit.taken, credit.done), (3, 1, false));
    }

    #[test]
    fn credit_is_due_before_the_window_is_used_up() {
        let arrivals = Arrivals::new(1, 1, ROOM);
        arrivals.probed(HOST, 7, 0);
        credit(&arrivals);
        let mut in_flight = 0;
        let step = loop {
            arrivals.arrived(HOST);
            in_flight += datafd_cost(8192);
            arrivals.taken(8192);
            if arrivals.state.lock().senders[&HOST].due {
                break in_flight;
            }
        };
        let window = arrivals.window as usize;
        assert!((window / 4..window / 2).contains(&step), "{step}");
    }

    #[test]
    fn messages_that_did_not_fit_into_the_datafd_take_no_room() {
        let arrivals = Arrivals::new(1, 1, ROOM);
        arrivals.probed(HOST, 7, 0);
        credit(&arrivals);
        for _ in 0..5 {
            arrivals.arrived(HOST);
        }
        arrivals.taken(1);
        arrivals.empty(3);
        arrivals.probed(HOST, 7, 5);
        assert_eq!(credit(&arrivals).taken, 1, "one is on its way into the datafd");
        arrivals.taken(1);
        arrivals.empty(3);
        arrivals.probed(HOST, 7, 5);
        assert_eq!(credit(&arrivals).taken, 5);
    }

    #[test]
    fn a_restarted_sender_begins_with_what_it_sent() {
        let arrivals = Arrivals::new(1, 1, ROOM);
        arrivals.probed(HOST, 3, 0);
        arrivals.arrived(HOST);
        arrivals.taken(1);
        arrivals.probed(HOST, 7, 40);
        assert_eq!(credit(&arrivals).arrived, 40);
    }

    #[test]
    fn several_senders_share_the_window() {
        assert_eq!(Arrivals::new(1, 4, ROOM).window as usize, ROOM / 4 * 3 / 4);
    }

    #[test]
    fn closing_ends_the_wait_after_the_last_notice() {
        let arrivals = Arrivals::new(1, 1, ROOM);
        arrivals.probed(HOST, 7, 0);
        arrivals.done();
        arrivals.close();
        assert!(credit(&arrivals).done);
        assert_eq!(arrivals.wait_until_due(), None);
    }
}
