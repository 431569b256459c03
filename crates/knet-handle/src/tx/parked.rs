//! Batches of knet-tx that wait for room in a link's socket. Their channels are not read meanwhile; all
//! others go on.

use std::mem;
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_channel::Channel;
use knet_engine::SocketId;
use knet_poller::{Interest, Token};

use crate::core::shared::Shared;
use crate::datafds::table::Entry;
use crate::tx::retry::Waiting;
use crate::tx::transmitter::{BATCH, Batch, Transmitter};

/// All of them, at most one of each channel.
#[derive(Debug, Default)]
pub(crate) struct Suspended {
    batches: Vec<SuspendedBatch>,
    /// What has been used and can be used again.
    spare: Vec<Transmitter>,
    /// The sockets that are watched for room.
    watched: Vec<SocketId>,
}

#[derive(Debug)]
struct SuspendedBatch {
    batch: Batch,
    /// With the packets that wait.
    transmitter: Transmitter,
    messages: Copies,
    /// The datafds that are read again when it is done: that of the channel, and those that took its
    /// place meanwhile.
    paused: Vec<Weak<Entry>>,
}

impl Suspended {
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Suspends a batch, of which packets wait in `transmitter`; gives back another transmitter.
    pub(crate) fn add(
        &mut self,
        shared: &Shared,
        entry: &Weak<Entry>,
        batch: Batch,
        transmitter: &mut Transmitter,
        messages: &[&[u8]],
    ) {
        let spare = self.spare.pop().unwrap_or_default();
        let transmitter = mem::replace(transmitter, spare);
        let mut suspended = SuspendedBatch {
            batch,
            transmitter,
            messages: Copies::of(messages),
            paused: Vec::new(),
        };
        if let Some(entry) = entry.upgrade() {
            suspended.pause(shared, &entry);
        }
        self.batches.push(suspended);
        self.watch(shared);
    }

    /// Whether a batch of the datafd's channel waits already: then the datafd is not read either.
    pub(crate) fn holds_up(&mut self, shared: &Shared, entry: &Arc<Entry>) -> bool {
        let same = |suspended: &&mut SuspendedBatch| suspended.batch.channel == entry.channel;
        let Some(suspended) = self.batches.iter_mut().find(same) else { return false };
        suspended.pause(shared, entry);
        true
    }

    /// Tries again; the datafds of batches that are done are read again. Gives back the channels of
    /// which the datafd cannot be read any more, with the errno.
    pub(crate) fn go_on(&mut self, shared: &Shared) -> ArrayVec<(Channel, i32), BATCH> {
        let mut failed = ArrayVec::new();
        let spare = &mut self.spare;
        for mut suspended in mem::take(&mut self.batches) {
            let SuspendedBatch { batch, transmitter, messages, paused } = &mut suspended;
            if !transmitter.send_batch(shared, batch, &messages.slices()) {
                self.batches.push(suspended);
                continue;
            }
            for entry in paused.drain(..).filter_map(|entry| entry.upgrade()) {
                if let Err(errno) = entry.resume(&shared.tx.poller) {
                    let _ = failed.try_push((entry.channel, errno));
                }
            }
            if spare.len() < MAX_SPARE {
                spare.push(suspended.transmitter);
            }
        }
        self.watch(shared);
        failed
    }

    /// When to try again although no socket says that it has room.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.waits().map(|waiting| waiting.pause.until).min()
    }

    fn waits(&self) -> impl Iterator<Item = &Waiting> {
        self.batches.iter().flat_map(|suspended| &suspended.transmitter.waiting)
    }

    /// Watches those sockets for room that say when they have some, and no others.
    fn watch(&mut self, shared: &Shared) {
        let told = self.waits().filter(|waiting| waiting.pause.is_told);
        let mut wanted: Vec<SocketId> = told.map(|waiting| waiting.socket).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let poller = &shared.tx.poller;
        for &id in wanted.iter().filter(|id| !self.watched.contains(id)) {
            if let Some(socket) = shared.sockets.get(id) {
                if let Err(error) =
                    poller.add(&*socket, Token(FIRST_SOCKET + id.0), Interest::WRITE)
                {
                    tracing::debug!(socket = id.0, %error, "not watched for room, but tried again");
                }
            }
        }
        for &id in self.watched.iter().filter(|id| !wanted.contains(id)) {
            // One that is closed is not watched any more.
            if let Some(socket) = shared.sockets.get(id) {
                let _ = poller.remove(&*socket);
            }
        }
        self.watched = wanted;
    }
}

impl SuspendedBatch {
    fn pause(&mut self, shared: &Shared, entry: &Arc<Entry>) {
        entry.pause(&shared.tx.poller);
        self.paused.push(Arc::downgrade(entry));
    }
}

/// Messages that have to outlive the buffer that they were read into.
#[derive(Debug)]
struct Copies {
    bytes: Vec<u8>,
    lengths: ArrayVec<usize, BATCH>,
}

impl Copies {
    fn of(messages: &[&[u8]]) -> Self {
        let lengths = messages.iter().take(BATCH).map(|message| message.len()).collect();
        Self { bytes: messages.concat(), lengths }
    }

    fn slices(&self) -> ArrayVec<&[u8], BATCH> {
        let mut rest = self.bytes.as_slice();
        let mut next = |&length: &usize| {
            let (message, others) = rest.split_at_checked(length)?;
            rest = others;
            Some(message)
        };
        self.lengths.iter().filter_map(&mut next).collect()
    }
}

/// How many transmitters are kept for the next time.
const MAX_SPARE: usize = 4;

/// Tokens of the tx poller from here on are sockets; those below are datafds.
pub(crate) const FIRST_SOCKET: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_what_was_copied() {
        let batches: [&[&[u8]]; 3] = [&[b"one", b"", b"three"], &[], &[b"four"]];
        for batch in batches {
            assert_eq!(Copies::of(batch).slices().as_slice(), batch);
        }
    }
}
