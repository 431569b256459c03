//! The path of a message behind the engine: filter, channel, datafd.

use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_channel::{Channel, ChannelSet};
use knet_engine::{Delivery, DeliveryToken};
use knet_fd::SendBatch;
use knet_wire::HostId;

use crate::core::shared::Shared;
use crate::datafds::counters::count;
use crate::datafds::stream::{self, Written};
use crate::datafds::table::{Entry, Traffic};
use crate::errno::EAGAIN;
use crate::event::Direction;
use crate::filter::{self, FilterMessage, Verdict};
use crate::io::batch::BATCH;
use crate::io::loopback::OwnMessage;
use crate::rx::backlog::Backlog;
use crate::rx::inbox::Inbox;
use crate::rx::incoming::{Body, Incoming};
use crate::rx::loss_report::LossReports;

/// Writes messages to the datafds, and reports those that do not fit.
#[derive(Debug)]
pub(crate) struct Deliverer {
    batch: SendBatch,
    destinations: Vec<HostId>,
    /// Messages that were not delivered, for the engine.
    undelivered: Vec<DeliveryToken>,
    /// Messages that wait for a slow filter, and those of them that are being handled.
    backlog: Backlog,
    working: Vec<Incoming>,
    losses: LossReports,
}

/// A message for one datafd.
struct DatafdMessage<'a> {
    /// Names the message to the engine; `None` if this host sent it to itself.
    token: Option<DeliveryToken>,
    bytes: &'a [u8],
}

impl Deliverer {
    pub(crate) fn new() -> Self {
        Self {
            batch: SendBatch::new(BATCH),
            destinations: Vec::new(),
            undelivered: Vec::new(),
            backlog: Backlog::default(),
            working: Vec::new(),
            losses: LossReports::new(),
        }
    }

    /// Delivers the messages of one batch of datagrams, those of each channel in their order. Those for
    /// which a slow filter leaves no time go into the backlog, for [`Deliverer::work_off_backlog`].
    /// Returns `true` if each was delivered or is in the backlog.
    pub(crate) fn deliver(
        &mut self,
        shared: &Shared,
        inbox: &Inbox,
        incoming: &mut Vec<Incoming>,
    ) -> bool {
        if incoming.is_empty() {
            return true;
        }
        // No message overtakes the backlog.
        let handled =
            if self.has_backlog() { 0 } else { self.deliver_some(shared, inbox, incoming) };
        for message in incoming.drain(handled..) {
            if let Err(message) = self.backlog.push(message, inbox) {
                let counters = shared.datafds.counters(message.delivery.channel);
                count(&counters.rx_dropped_full, 1);
                self.undelivered.push(message.delivery.token);
            }
        }
        self.finish(shared, incoming)
    }

    /// Delivers messages that this host sent to itself, at most [`BATCH`]. The filter was called for
    /// them when they were sent.
    pub(crate) fn deliver_own(&mut self, shared: &Shared, own: &[OwnMessage]) {
        let channels: ChannelSet = own.iter().map(|message| message.channel).collect();
        for channel in channels.iter() {
            let mut messages: ArrayVec<DatafdMessage<'_>, BATCH> = ArrayVec::new();
            for message in own.iter().filter(|message| message.channel == channel) {
                let _ = messages.try_push(DatafdMessage { token: None, bytes: &message.bytes });
            }
            self.write(shared, channel, &messages);
        }
    }

    /// Returns `true` if messages wait for a slow filter.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Delivers some messages of the backlog.
    pub(crate) fn work_off_backlog(&mut self, shared: &Shared, inbox: &Inbox) {
        if !self.has_backlog() {
            return;
        }
        let mut working = std::mem::take(&mut self.working);
        self.backlog.take(BATCH, &mut working);
        let handled = self.deliver_some(shared, inbox, &mut working);
        self.backlog.put_back(working.drain(handled..));
        self.finish(shared, &mut working);
        self.working = working;
    }

    /// Reports the losses that are due. Call it when [`Deliverer::next_timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        self.losses.handle_timeout(shared, now);
    }

    /// Returns when [`Deliverer::handle_timeout`] has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.losses.next_timeout()
    }

    /// Delivers messages, at least one, until the filter has taken too long. Returns how many were
    /// handled.
    fn deliver_some(&mut self, shared: &Shared, inbox: &Inbox, incoming: &mut [Incoming]) -> usize {
        let mut channels = ChannelSet::default();
        let started = shared.has_filter().then(Instant::now);
        let mut handled = 0;
        for message in incoming.iter_mut() {
            message.channel = self.select_channel(shared, &message.delivery, message.bytes(inbox));
            match message.channel {
                Some(channel) => {
                    channels.insert(channel);
                }
                None => self.undelivered.push(message.delivery.token),
            }
            handled += 1;
            if started.is_some_and(|started| started.elapsed() > filter::SLICE) {
                break;
            }
        }
        let incoming = incoming.get(..handled).unwrap_or_default();
        for channel in channels.iter() {
            let mut messages: ArrayVec<DatafdMessage<'_>, BATCH> = ArrayVec::new();
            for message in incoming.iter().filter(|message| message.channel == Some(channel)) {
                let (token, bytes) = (Some(message.delivery.token), message.bytes(inbox));
                // A batch has at most BATCH datagrams, and each completes at most one message.
                let _ = messages.try_push(DatafdMessage { token, bytes });
            }
            self.write(shared, channel, &messages);
        }
        handled
    }

    /// Calls the filter. Returns the channel of the message, or counts why it is discarded.
    fn select_channel(
        &mut self,
        shared: &Shared,
        delivery: &Delivery,
        bytes: &[u8],
    ) -> Option<Channel> {
        let counters = shared.datafds.counters(delivery.channel);
        if !shared.is_forwarding() {
            count(&counters.rx_forwarding_off, 1);
            return None;
        }
        let message = FilterMessage {
            payload: bytes,
            direction: Direction::Rx,
            own: shared.own,
            source: delivery.source,
            channel: delivery.channel.into(),
            destinations: &mut self.destinations,
        };
        let filtered = shared.run_filter(message);
        let is_for_us = match filtered.verdict {
            Verdict::Broadcast => true,
            Verdict::Destinations => self.destinations.contains(&shared.own),
            Verdict::Reject => false,
        };
        if !is_for_us {
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
    fn write(&mut self, shared: &Shared, channel: Channel, messages: &[DatafdMessage<'_>]) {
        let counters = shared.datafds.counters(channel);
        let mut rest = messages;
        while !rest.is_empty() {
            // Looked up for each write: the datafd may be removed meanwhile.
            let Some(entry) = shared.datafds.get(channel) else {
                count(&counters.rx_no_datafd, rest.len() as u64);
                self.undelivered.extend(rest.iter().filter_map(|message| message.token));
                return;
            };
            let bytes = rest.iter().map(|message| message.bytes);
            let written = match entry.traffic {
                Traffic::Messages => self.write_batch(&entry, bytes),
                Traffic::Stream | Traffic::Device => {
                    stream::write(&shared.rx.poller, shared.log, &entry, bytes)
                }
            };
            let (done, left) = rest.split_at(written.messages.min(rest.len()));
            let bytes: usize = done.iter().map(|message| message.bytes.len()).sum();
            count(&counters.rx_messages, done.len() as u64);
            count(&counters.rx_bytes, bytes as u64);
            rest = left;
            // The next one is lost, and those behind it are tried.
            if let (Some(errno), Some((lost, left))) = (written.errno, rest.split_first()) {
                self.undelivered.extend(lost.token);
                self.record_loss(shared, &entry, errno);
                rest = left;
            }
        }
    }

    fn write_batch<'a>(
        &mut self,
        entry: &Entry,
        messages: impl ExactSizeIterator<Item = &'a [u8]>,
    ) -> Written {
        let count = messages.len();
        match self.batch.send(entry, messages) {
            Ok(written) => {
                Written { messages: written, errno: (written < count).then_some(EAGAIN) }
            }
            Err(error) => Written { messages: error.sent, errno: Some(error.errno()) },
        }
    }

    /// Counts and reports a message that could not be written.
    fn record_loss(&mut self, shared: &Shared, entry: &Arc<Entry>, errno: i32) {
        let counters = shared.datafds.counters(entry.channel);
        let is_full = errno == EAGAIN;
        count(if is_full { &counters.rx_dropped_full } else { &counters.rx_write_failed }, 1);
        self.losses.record(shared, entry, errno);
    }

    /// Returns the engine's buffers, and reports the messages that were not delivered. Returns `true` if there
    /// were none.
    fn finish(&mut self, shared: &Shared, incoming: &mut Vec<Incoming>) -> bool {
        let reassembled =
            incoming.iter().any(|message| matches!(message.body, Body::Reassembled(_)));
        let all = self.undelivered.is_empty();
        if !reassembled && all {
            incoming.clear();
            return true;
        }
        shared.engine(|engine, _| {
            for token in self.undelivered.drain(..) {
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
