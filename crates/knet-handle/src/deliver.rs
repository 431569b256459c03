//! The way in behind the engine: filter, channel, datafd.

use std::ops::Range;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use knet_channel::{Channel, ChannelSet};
use knet_engine::{Assembled, Delivery, Receipt};
use knet_fd::SendBatch;
use knet_transport::ReceiveBatch;
use knet_wire::HostId;

use crate::channels::{Entry, Traffic, count};
use crate::event::{DatafdEvent, DatafdProblem, Direction};
use crate::filter::{self, Filter, Verdict};
use crate::shared::Shared;
use crate::stream::{self, Written};
use crate::transmit::BATCH;

/// A message on its way to a datafd.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: Delivery,
    pub(crate) body: Body,
    /// Where it goes; `None` when it was thrown away.
    channel: Option<Channel>,
}

/// Where a message's bytes are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In a datagram of the batch.
    Datagram(usize, Range<usize>),
    /// In a buffer of the engine's.
    Assembled(Assembled),
}

impl Incoming {
    pub(crate) fn new(delivery: Delivery, body: Body) -> Self {
        Self { delivery, body, channel: None }
    }

    fn bytes<'a>(&'a self, datagrams: &'a ReceiveBatch) -> &'a [u8] {
        match &self.body {
            Body::Datagram(index, range) => {
                let datagram = datagrams.get(*index).map(|datagram| datagram.bytes);
                datagram.and_then(|bytes| bytes.get(range.clone())).unwrap_or_default()
            }
            Body::Assembled(message) => message.bytes(),
        }
    }
}

/// Writes messages to the datafds, and tells of those that do not fit.
#[derive(Debug)]
pub(crate) struct Deliverer {
    batch: SendBatch,
    destinations: Vec<HostId>,
    failed: Vec<Receipt>,
    reports: [Report; Channel::COUNT],
}

/// What a channel lost since the application was last told.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
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
            reports: [Report::default(); Channel::COUNT],
        }
    }

    /// Delivers the messages of one batch of datagrams, those of each channel in their order.
    pub(crate) fn deliver(
        &mut self,
        shared: &Shared,
        datagrams: &ReceiveBatch,
        incoming: &mut Vec<Incoming>,
    ) {
        if incoming.is_empty() {
            return;
        }
        let filter = shared.filter();
        let mut channels = ChannelSet::default();
        for message in incoming.iter_mut() {
            let bytes = message.bytes(datagrams);
            let channel = self.choose(shared, filter.as_ref(), &message.delivery, bytes);
            match channel {
                Some(channel) => {
                    channels.insert(channel);
                }
                None => self.failed.push(message.delivery.receipt),
            }
            message.channel = channel;
        }
        for channel in channels.iter() {
            let mut messages: ArrayVec<(Receipt, &[u8]), BATCH> = ArrayVec::new();
            for message in incoming.iter().filter(|message| message.channel == Some(channel)) {
                // A batch has at most BATCH datagrams, and each completes at most one message.
                let _ = messages.try_push((message.delivery.receipt, message.bytes(datagrams)));
            }
            self.write(shared, channel, &messages);
        }
        self.settle(shared, incoming);
    }

    /// Where a message goes, or `None` with the reason counted.
    fn choose(
        &mut self,
        shared: &Shared,
        filter: Option<&Filter>,
        delivery: &Delivery,
        bytes: &[u8],
    ) -> Option<Channel> {
        let counters = shared.channels.counters(delivery.channel);
        if !shared.is_forwarding() {
            count(&counters.rx_forwarding_off, 1);
            return None;
        }
        let filtered = filter::run(
            filter,
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
            return None;
        }
        let channel = Channel::try_from(filtered.channel).ok();
        if channel.is_none() {
            count(&counters.rx_filter_error, 1);
        }
        channel
    }

    /// Writes messages to the datafd of their channel.
    fn write(&mut self, shared: &Shared, channel: Channel, messages: &[(Receipt, &[u8])]) {
        let counters = shared.channels.counters(channel);
        let mut rest = messages;
        while !rest.is_empty() {
            let Some(entry) = shared.channels.get(channel) else {
                count(&counters.rx_no_datafd, rest.len() as u64);
                self.failed.extend(rest.iter().map(|&(receipt, _)| receipt));
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
            let (Some(problem), Some((&(receipt, _), left))) = (problem, rest.split_first()) else {
                continue;
            };
            self.failed.push(receipt);
            rest = left;
            self.lost(shared, &entry, problem);
        }
    }

    /// How many of the messages were written, and why the next was not.
    fn write_batch(&mut self, entry: &Entry, messages: &[(Receipt, &[u8])]) -> Written {
        let bytes = messages.iter().map(|&(_, bytes)| bytes);
        match self.batch.send(entry, bytes) {
            Ok(written) if written < messages.len() => (written, Some(EAGAIN)),
            Ok(written) => (written, None),
            Err(error) => (error.sent, Some(error.errno())),
        }
    }

    /// A message could not be written.
    fn lost(&mut self, shared: &Shared, entry: &Entry, errno: i32) {
        let counters = shared.channels.counters(entry.channel);
        let Some(report) = self.reports.get_mut(entry.channel.index()) else { return };
        if errno == EAGAIN {
            count(&counters.rx_dropped_full, 1);
            report.full += 1;
        } else {
            count(&counters.rx_write_failed, 1);
            report.failed += 1;
            report.errno = errno;
        }
        report.tell(shared, entry, Instant::now());
    }

    /// Tells of losses that were not told at once. Call it when [`Deliverer::next_timeout`] has
    /// come.
    pub(crate) fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        for (channel, report) in Channel::ALL.into_iter().zip(&mut self.reports) {
            if report.not_before.is_some_and(|at| at <= now) {
                match shared.channels.get(channel) {
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

    /// Gives the engine its buffers back, and names what was not delivered.
    fn settle(&mut self, shared: &Shared, incoming: &mut Vec<Incoming>) {
        let assembled = incoming.iter().any(|message| matches!(message.body, Body::Assembled(_)));
        if !assembled && self.failed.is_empty() {
            incoming.clear();
            return;
        }
        shared.engine(|engine, _| {
            for receipt in self.failed.drain(..) {
                engine.delivery_failed(receipt);
            }
            for message in incoming.drain(..) {
                if let Body::Assembled(message) = message.body {
                    engine.recycle(message);
                }
            }
        });
    }
}

impl Report {
    /// Tells what was lost, unless something was told a moment ago.
    fn tell(&mut self, shared: &Shared, entry: &Entry, now: Instant) {
        if self.not_before.is_some_and(|at| now < at) {
            return;
        }
        let lost = [
            (self.full > 0).then_some(DatafdProblem::Full { messages: self.full }),
            (self.failed > 0)
                .then_some(DatafdProblem::WriteFailed { errno: self.errno, messages: self.failed }),
        ];
        *self = Self::default();
        for problem in lost.into_iter().flatten() {
            self.not_before = Some(now + REPORT_INTERVAL);
            shared.notifier.tell_datafd(DatafdEvent {
                datafd: entry.number,
                channel: entry.channel,
                direction: Direction::Rx,
                problem,
            });
        }
    }
}

/// At most one event of each kind in this time for a channel (`spec/datafd.md`).
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

const EAGAIN: i32 = crate::errno::EAGAIN;
