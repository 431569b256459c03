//! Batches of knet-tx that are blocked because a link's socket has no room, or that wait for their next turn
//! because a filter is slow. Their channels are not read meanwhile; all others go on.

use std::mem;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::SocketId;

use crate::core::shared::Shared;
use crate::datafds::table::Entry;
use crate::io::batch::BATCH;
use crate::io::writable_watch::{PollerUse, WritableWatch};
use crate::tx::message::{Message, OwnedMessages};
use crate::tx::outgoing::Blocked;
use crate::tx::transmitter::{Batch, Transmitter};

/// The parked batches, at most one per channel.
#[derive(Debug)]
pub(crate) struct Parked {
    batches: Vec<ParkedBatch>,
    /// Transmitters for the next batches.
    spare: Vec<Transmitter>,
    watch: WritableWatch,
}

#[derive(Debug)]
struct ParkedBatch {
    batch: Batch,
    /// It has the packets that are blocked.
    transmitter: Transmitter,
    messages: OwnedMessages,
    /// The datafds that are read again when it is done: that of the channel, and those that took its
    /// place meanwhile.
    paused: Vec<Weak<Entry>>,
}

impl Default for Parked {
    fn default() -> Self {
        let watch = WritableWatch::new(PollerUse::Writing { first_token: FIRST_SOCKET });
        Self { batches: Vec::new(), spare: Vec::new(), watch }
    }
}

impl Parked {
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Returns `true` if a batch waits for room.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked().next().is_some()
    }

    /// Parks a batch, whose blocked packets are in `transmitter`, which is replaced by another.
    pub(crate) fn park(
        &mut self,
        shared: &Shared,
        entry: &Weak<Entry>,
        batch: Batch,
        transmitter: &mut Transmitter,
        messages: &[Message<'_>],
    ) {
        let spare = self.spare.pop().unwrap_or_default();
        let transmitter = mem::replace(transmitter, spare);
        let mut parked = ParkedBatch {
            batch,
            transmitter,
            messages: OwnedMessages::of(messages),
            paused: Vec::new(),
        };
        if let Some(entry) = entry.upgrade() {
            parked.pause(shared, &entry);
        }
        self.batches.push(parked);
        self.watch(shared);
    }

    /// Returns `true` if a batch of the datafd's channel is parked already: then the datafd is not read
    /// either.
    pub(crate) fn pauses(&mut self, shared: &Shared, entry: &Arc<Entry>) -> bool {
        let same = |parked: &&mut ParkedBatch| parked.batch.channel == entry.channel;
        let Some(parked) = self.batches.iter_mut().find(same) else { return false };
        parked.pause(shared, entry);
        true
    }

    /// Retries the batches, and has the datafds of those that are done read again. Returns the channels of
    /// which the datafd can no longer be read, with the errno.
    pub(crate) fn retry(&mut self, shared: &Shared) -> ArrayVec<(Channel, i32), BATCH> {
        let mut failed = ArrayVec::new();
        let spare = &mut self.spare;
        for mut parked in mem::take(&mut self.batches) {
            let ParkedBatch { batch, transmitter, messages, paused } = &mut parked;
            if !transmitter.send_batch(shared, batch, &messages.messages()) {
                self.batches.push(parked);
                continue;
            }
            for entry in paused.drain(..).filter_map(|entry| entry.upgrade()) {
                if let Err(errno) = entry.unpause(&shared.tx.poller) {
                    let _ = failed.try_push((entry.channel, errno));
                }
            }
            if spare.len() < MAX_SPARE {
                spare.push(parked.transmitter);
            }
        }
        self.watch(shared);
        failed
    }

    /// Stops watching a socket until the next retry.
    pub(crate) fn unwatch(&mut self, shared: &Shared, socket: SocketId) {
        self.watch.remove(&shared.sockets, &shared.tx.poller, socket);
    }

    /// Returns when to retry although no socket reports room.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let is_ready = |parked: &ParkedBatch| parked.transmitter.plan.has_left();
        if self.batches.iter().any(is_ready) {
            return Some(Instant::now());
        }
        self.blocked().map(|blocked| blocked.retry_at.latest).min()
    }

    fn blocked(&self) -> impl Iterator<Item = &Blocked> {
        self.batches.iter().flat_map(|parked| &parked.transmitter.plan.blocked)
    }

    /// Watches the sockets that report when they have room.
    fn watch(&mut self, shared: &Shared) {
        let blocked = self.batches.iter().flat_map(|parked| &parked.transmitter.plan.blocked);
        let watched = blocked.filter(|blocked| blocked.retry_at.when_writable);
        let watched = watched.map(|blocked| blocked.socket);
        self.watch.set(&shared.sockets, &shared.tx.poller, watched);
    }
}

impl ParkedBatch {
    fn pause(&mut self, shared: &Shared, entry: &Arc<Entry>) {
        entry.pause(&shared.tx.poller);
        self.paused.push(Arc::downgrade(entry));
    }
}

/// How many transmitters are kept for the next time.
const MAX_SPARE: usize = 4;

/// Tokens of the tx poller from here on are sockets; those below are datafds.
pub(crate) const FIRST_SOCKET: u64 = 1 << 63;
