//! Batches of knet-tx that wait for room in a link's socket. Their channels are not read meanwhile; all
//! others go on.

use std::mem;
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_engine::SocketId;
use knet_poller::{Interest, Token};

use crate::dispatch::Waiting;
use crate::shared::Shared;
use crate::transmit::{BATCH, Batch, Transmitter};

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
}

impl Suspended {
    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Suspends a batch, of which packets wait in `transmitter`; gives back another transmitter.
    pub(crate) fn add(
        &mut self,
        shared: &Shared,
        batch: Batch,
        transmitter: &mut Transmitter,
        messages: &[&[u8]],
    ) {
        let spare = self.spare.pop().unwrap_or_default();
        let copies = Copies::of(messages);
        if let Some(entry) = shared.channels.get(batch.channel) {
            entry.pause(&shared.tx.poller);
        }
        let transmitter = mem::replace(transmitter, spare);
        self.batches.push(SuspendedBatch { batch, transmitter, messages: copies });
        self.watch(shared);
    }

    /// Tries again; the channels of batches that are done are read again.
    pub(crate) fn go_on(&mut self, shared: &Shared) {
        let spare = &mut self.spare;
        for mut suspended in mem::take(&mut self.batches) {
            let SuspendedBatch { batch, transmitter, messages } = &mut suspended;
            if !transmitter.send_batch(shared, batch, &messages.slices()) {
                self.batches.push(suspended);
                continue;
            }
            if let Some(entry) = shared.channels.get(batch.channel) {
                entry.resume(&shared.tx.poller);
            }
            if spare.len() < MAX_SPARE {
                spare.push(suspended.transmitter);
            }
        }
        self.watch(shared);
    }

    /// When to try again although no socket says that it has room.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.waits().map(|waiting| waiting.wait.again).min()
    }

    fn waits(&self) -> impl Iterator<Item = &Waiting> {
        self.batches.iter().flat_map(|suspended| &suspended.transmitter.waiting)
    }

    /// Watches those sockets for room that say when they have some, and no others.
    fn watch(&mut self, shared: &Shared) {
        let told = self.waits().filter(|waiting| waiting.wait.is_told);
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

/// Tokens of the tx poller from here on are sockets; those below are channels.
pub(crate) const FIRST_SOCKET: u64 = 1 << 32;

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
