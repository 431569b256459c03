//! The way in behind the engine: filter, channel, datafd.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use knet_channel::{Channel, ChannelSet};
use knet_engine::{Delivery, DeliveryToken};
use knet_fd::SendBatch;
use knet_transport::ReceiveBatch;
use knet_wire::HostId;

use crate::core::shared::Shared;
use crate::datafds::counters::count;
use crate::datafds::stream::{self, Written};
use crate::datafds::table::{Entry, Traffic};
use crate::event::{DatafdEvent, DatafdProblem, Direction};
use crate::filter::{self, Verdict};
use crate::io::loopback::OwnMessage;
use crate::rx::backlog::{Backlog, Body, Incoming};
use crate::tx::transmitter::BATCH;

/// Writes messages to the datafds, and tells of those that do not fit.
#[derive(Debug)]
pub(crate) struct Deliverer {
    batch: SendBatch,
    destinations: Vec<HostId>,
    failed: Vec<DeliveryToken>,
    /// What waits for a slow filter, and what of it is being handled.
    backlog: Backlog,
    working: Vec<Incoming>,
    reports: [Report; Channel::COUNT],
}

/// What the datafd of a channel lost since the application was last told.
#[derive(Clone, Debug, Default)]
struct Report {
    /// The datafd: what another one lost that was there before is not held against it.
    datafd: Weak<Entry>,
    full: u64,
    failed: u64,
    errno: i32,
    /// Before then nothing is told, so that a stuck reader is not flooded with events.
    not_before: Option<Instant>,
}

impl Deliverer {
    pub(crate) fn new() -> Self {
        Self {
            batch: SendBatch::new(BATCH),
            destinations: Vec::new(),
            failed: Vec::new(),
            backlog: Backlog::default(),
            working: Vec::new(),
            reports: std::array::from_fn(|_| Report::default()),
        }
    }

    /// Delivers the messages of one batch of datagrams, those of each channel in their order. What a
    /// slow filter has no time for now waits for [`Deliverer::work_off`]. Whether all of it was
    /// delivered or waits.
    pub(crate) fn deliver(
        &mut self,
        shared: &Shared,
        datagrams: &ReceiveBatch,
        incoming: &mut Vec<Incoming>,
    ) -> bool {
        if incoming.is_empty() {
            return true;
        }
        let handled =
            if self.has_backlog() { 0 } else { self.deliver_some(shared, datagrams, incoming) };
        for message in incoming.drain(handled..) {
            if let Err(message) = self.backlog.push(message, datagrams) {
                let counters = shared.datafds.counters(message.delivery.channel);
                count(&counters.rx_dropped_full, 1);
                self.failed.push(message.delivery.token);
            }
        }
        self.settle(shared, incoming)
    }

    /// Delivers messages that we sent to ourselves, at most [`BATCH`]. The filter has seen them when
    /// they were sent.
    pub(crate) fn deliver_own(&mut self, shared: &Shared, own: &[OwnMessage]) {
        let channels: ChannelSet = own.iter().map(|message| message.channel).collect();
        for channel in channels.iter() {
            let mut messages: ArrayVec<Outgoing<'_>, BATCH> = ArrayVec::new();
            for message in own.iter().filter(|message| message.channel == channel) {
                let _ = messages.try_push((None, message.bytes.as_slice()));
            }
            self.write(shared, channel, &messages);
        }
    }

    /// Whether messages wait for a slow filter.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Handles some of those that wait for a slow filter.
    pub(crate) fn work_off(&mut self, shared: &Shared, datagrams: &ReceiveBatch) {
        if !self.has_backlog() {
            return;
        }
        let mut working = std::mem::take(&mut self.working);
        self.backlog.take(BATCH, &mut working);
        let handled = self.deliver_some(shared, datagrams, &mut working);
        self.backlog.put_back(working.drain(handled..));
        self.settle(shared, &mut working);
        self.working = working;
    }

    /// Delivers messages until the filter has taken too long, at least one; how many that were.
    fn deliver_some(
        &mut self,
        shared: &Shared,
        datagrams: &ReceiveBatch,
        incoming: &mut [Incoming],
    ) -> usize {
        let mut channels = ChannelSet::default();
        let started = shared.has_filter().then(Instant::now);
        let mut handled = 0;
        for message in incoming.iter_mut() {
            let bytes = message.bytes(datagrams);
            match self.choose(shared, &message.delivery, bytes) {
                Ok(channel) => {
                    channels.insert(channel);
                    message.channel = Some(channel);
                }
                Err(NotOurs) => self.failed.push(message.delivery.token),
            }
            handled += 1;
            if started.is_some_and(|started| started.elapsed() > SLICE) {
                break;
            }
        }
        let incoming = incoming.get(..handled).unwrap_or_default();
        for channel in channels.iter() {
            let mut messages: ArrayVec<Outgoing<'_>, BATCH> = ArrayVec::new();
            for message in incoming.iter().filter(|message| message.channel == Some(channel)) {
                // A batch has at most BATCH datagrams, and each completes at most one message.
                let _ = messages.try_push((Some(message.delivery.token), message.bytes(datagrams)));
            }
            self.write(shared, channel, &messages);
        }
        handled
    }

    /// Where a message goes; if nowhere, the reason is counted.
    fn choose(
        &mut self,
        shared: &Shared,
        delivery: &Delivery,
        bytes: &[u8],
    ) -> Result<Channel, NotOurs> {
        let counters = shared.datafds.counters(delivery.channel);
        if !shared.is_forwarding() {
            count(&counters.rx_forwarding_off, 1);
            return Err(NotOurs);
        }
        // Looked up for each message: the one before is not asked any more once it is replaced.
        let filter = shared.filter();
        let filtered = filter::run(
            filter.as_ref(),
            bytes,
            Direction::Rx,
            shared.own,
            delivery.source,
            delivery.channel,
            &mut self.destinations,
        );
        let ours = match filtered.verdict {
            Verdict::Broadcast => true,
            Verdict::Listed => self.destinations.contains(&shared.own),
            Verdict::Reject => false,
        };
        if !ours {
            count(&counters.rx_filter_rejected, 1);
            return Err(NotOurs);
        }
        Channel::try_from(filtered.channel).map_err(|_| {
            count(&counters.rx_filter_error, 1);
            NotOurs
        })
    }

    /// Writes messages to the datafd of their channel.
    fn write(&mut self, shared: &Shared, channel: Channel, messages: &[Outgoing<'_>]) {
        let counters = shared.datafds.counters(channel);
        let mut rest = messages;
        while !rest.is_empty() {
            let Some(entry) = shared.datafds.get(channel) else {
                count(&counters.rx_no_datafd, rest.len() as u64);
                self.failed.extend(rest.iter().filter_map(|&(token, _)| token));
                return;
            };
            let (written, problem) = match entry.traffic {
                Traffic::Messages => self.write_batch(&entry, rest),
                Traffic::Stream | Traffic::Device => stream::write(shared, &entry, rest),
            };
            let (done, left) = rest.split_at(written.min(rest.len()));
            let bytes: usize = done.iter().map(|(_, message)| message.len()).sum();
            count(&counters.rx_messages, done.len() as u64);
            count(&counters.rx_bytes, bytes as u64);
            rest = left;
            let (Some(problem), Some((&(token, _), left))) = (problem, rest.split_first()) else {
                continue;
            };
            self.failed.extend(token);
            rest = left;
            self.lost(shared, &entry, problem);
        }
    }

    /// How many of the messages were written, and why the next was not.
    fn write_batch(&mut self, entry: &Entry, messages: &[Outgoing<'_>]) -> Written {
        let bytes = messages.iter().map(|&(_, bytes)| bytes);
        match self.batch.send(entry, bytes) {
            Ok(written) if written < messages.len() => (written, Some(EAGAIN)),
            Ok(written) => (written, None),
            Err(error) => (error.sent, Some(error.errno())),
        }
    }

    /// A message could not be written.
    fn lost(&mut self, shared: &Shared, entry: &Arc<Entry>, errno: i32) {
        let counters = shared.datafds.counters(entry.channel);
        let full = errno == EAGAIN;
        count(if full { &counters.rx_dropped_full } else { &counters.rx_write_failed }, 1);
        let Some(report) = self.reports.get_mut(entry.channel.index()) else { return };
        report.add(entry, errno);
        report.tell(shared, entry, Instant::now());
    }

    /// Tells of losses that were not told at once. Call it when [`Deliverer::next_timeout`] has
    /// come.
    pub(crate) fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        for (channel, report) in Channel::ALL.into_iter().zip(&mut self.reports) {
            if report.not_before.is_some_and(|at| at <= now) {
                match shared.datafds.get(channel).filter(|entry| report.is_about(entry)) {
                    Some(entry) => report.tell(shared, &entry, now),
                    None => *report = Report::default(),
                }
            }
        }
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let waiting = |report: &&Report| report.full + report.failed > 0;
        self.reports.iter().filter(waiting).filter_map(|report| report.not_before).min()
    }

    /// Gives the engine its buffers back, and names what was not delivered; whether there was none.
    fn settle(&mut self, shared: &Shared, incoming: &mut Vec<Incoming>) -> bool {
        let assembled = incoming.iter().any(|message| matches!(message.body, Body::Reassembled(_)));
        let all = self.failed.is_empty();
        if !assembled && all {
            incoming.clear();
            return true;
        }
        shared.engine(|engine, _| {
            for token in self.failed.drain(..) {
                engine.undelivered(token);
            }
            for message in incoming.drain(..) {
                if let Body::Reassembled(message) = message.body {
                    engine.recycle(message);
                }
            }
        });
        all
    }
}

impl Report {
    fn is_about(&self, entry: &Arc<Entry>) -> bool {
        std::ptr::eq(self.datafd.as_ptr(), Arc::as_ptr(entry))
    }

    /// A message for this datafd was lost.
    fn add(&mut self, entry: &Arc<Entry>, errno: i32) {
        if !self.is_about(entry) {
            *self = Self { datafd: Arc::downgrade(entry), ..Self::default() };
        }
        if errno == EAGAIN {
            self.full += 1;
        } else {
            self.failed += 1;
            self.errno = errno;
        }
    }

    /// Tells what was lost, unless something was told a moment ago.
    fn tell(&mut self, shared: &Shared, entry: &Entry, now: Instant) {
        for problem in self.take(now).into_iter().flatten() {
            shared.notices.push_datafd(DatafdEvent {
                datafd: entry.number,
                channel: entry.channel,
                direction: Direction::Rx,
                problem,
            });
        }
    }

    /// What is to be told now.
    fn take(&mut self, now: Instant) -> [Option<DatafdProblem>; 2] {
        if self.not_before.is_some_and(|at| now < at) {
            return [None; 2];
        }
        let Self { full, failed, errno, .. } = *self;
        let told = full + failed > 0;
        self.not_before = told.then(|| now + REPORT_INTERVAL);
        (self.full, self.failed) = (0, 0);
        [
            (full > 0).then_some(DatafdProblem::Full { messages: full }),
            (failed > 0).then_some(DatafdProblem::WriteFailed { errno, messages: failed }),
        ]
    }
}

/// A message for a datafd, with its name if it came from another host.
type Outgoing<'a> = (Option<DeliveryToken>, &'a [u8]);

/// A message that is not delivered here.
#[derive(Debug)]
struct NotOurs;

/// How long messages are delivered before sockets and timers are looked at again: a filter that takes
/// its time must not starve the heartbeat.
const SLICE: Duration = Duration::from_millis(10);

/// A channel reports at most one event of each kind in this time (`docs/datafd.md`, "Slow readers").
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

const EAGAIN: i32 = crate::errno::EAGAIN;

#[cfg(test)]
mod tests {
    use knet_fd::{PairType, SocketPair};
    use knet_poller::Token;

    use super::*;

    fn datafd() -> Arc<Entry> {
        let pair = SocketPair::new(PairType::SeqPacket, 4096).unwrap();
        Arc::new(Entry::new(Token(0), Channel::ALL[0], 5, Traffic::Messages, pair.left, None))
    }

    #[test]
    fn losses_are_told_at_once_and_then_every_100_ms() {
        let (entry, start) = (datafd(), Instant::now());
        let mut report = Report::default();
        report.add(&entry, EAGAIN);
        assert_eq!(report.take(start), [Some(DatafdProblem::Full { messages: 1 }), None]);
        report.add(&entry, EAGAIN);
        report.add(&entry, 32);
        report.add(&entry, EAGAIN);
        assert_eq!(report.take(start + REPORT_INTERVAL / 2), [None; 2]);
        let both = [
            Some(DatafdProblem::Full { messages: 2 }),
            Some(DatafdProblem::WriteFailed { errno: 32, messages: 1 }),
        ];
        assert_eq!(report.take(start + REPORT_INTERVAL), both);
        assert_eq!(report.take(start + 2 * REPORT_INTERVAL), [None; 2]);
        assert_eq!(report.not_before, None, "nothing to wait for");
    }

    #[test]
    fn a_datafd_is_not_told_what_the_one_before_it_lost() {
        let (first, now) = (datafd(), Instant::now());
        let mut report = Report::default();
        report.add(&first, EAGAIN);
        assert!(report.take(now)[0].is_some());
        report.add(&first, EAGAIN);
        // It is removed, and another one added to its channel, by the same number.
        drop(first);
        let second = datafd();
        assert!(!report.is_about(&second));
        report.add(&second, EAGAIN);
        assert_eq!(report.take(now), [Some(DatafdProblem::Full { messages: 1 }), None]);
    }
}
