//! The queue of messages that this host sends to itself.
//!
//! They go from the sending threads to knet-rx, which writes them to the datafds as it does with messages of
//! other hosts. So they stay in order, and no two threads write to the same datafd.

use std::collections::VecDeque;

use knet_channel::Channel;
use parking_lot::Mutex;

/// Messages over the loopback link that are not delivered yet. The queue is bounded: a message that finds
/// no room is dropped, as it would be in a socket.
#[derive(Debug, Default)]
pub(crate) struct Loopback {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<OwnMessage>,
    /// Buffers of delivered messages, to be used again.
    spare: Vec<Vec<u8>>,
    bytes: usize,
}

/// A message that this host sends to itself.
#[derive(Debug)]
pub(crate) struct OwnMessage {
    pub(crate) channel: Channel,
    pub(crate) bytes: Vec<u8>,
}

/// The outcome of queueing a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Queued {
    /// The message is queued, and knet-rx has to be woken.
    First,
    /// The message is queued behind others, for which knet-rx was woken.
    Behind,
    /// There is no room for the message.
    NoRoom,
}

impl Loopback {
    /// Queues a copy of a message. Waits only for the lock, which is held no longer than copying a message
    /// or moving a batch of buffers takes.
    pub(crate) fn push(&self, channel: Channel, message: &[u8]) -> Queued {
        let mut queue = self.queue.lock();
        let cost = message.len() + OVERHEAD;
        if queue.bytes + cost > MAX_BYTES {
            return Queued::NoRoom;
        }
        queue.bytes += cost;
        let mut bytes = queue.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(message);
        let first = queue.messages.is_empty();
        queue.messages.push_back(OwnMessage { channel, bytes });
        if first { Queued::First } else { Queued::Behind }
    }

    /// Moves the oldest messages, at most `at_most`, into `into`.
    pub(crate) fn take(&self, at_most: usize, into: &mut Vec<OwnMessage>) {
        let mut queue = self.queue.lock();
        for _ in 0..at_most {
            let Some(message) = queue.messages.pop_front() else { break };
            queue.bytes -= message.bytes.len() + OVERHEAD;
            into.push(message);
        }
    }

    /// Takes back the buffers of delivered messages.
    pub(crate) fn recycle(&self, messages: impl Iterator<Item = OwnMessage>) {
        let mut queue = self.queue.lock();
        let room = MAX_SPARE.saturating_sub(queue.spare.len());
        queue.spare.extend(messages.take(room).map(|message| message.bytes));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.lock().messages.is_empty()
    }
}

/// How many bytes may be queued: as many as a datafd that the handle created holds.
const MAX_BYTES: usize = 8 << 20;
/// How much a message counts besides its bytes, so that many short messages are bounded too.
const OVERHEAD: usize = 256;
/// How many buffers are kept for reuse.
const MAX_SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_in_order_and_wake_the_thread_once() {
        let loopback = Loopback::default();
        let channel = Channel::ALL[3];
        for (number, queued) in [Queued::First, Queued::Behind, Queued::Behind].iter().enumerate() {
            assert_eq!(loopback.push(channel, &[number as u8]), *queued);
        }
        let mut taken = Vec::new();
        loopback.take(2, &mut taken);
        assert_eq!(taken.iter().map(|m| m.bytes[0]).collect::<Vec<_>>(), [0, 1]);
        assert!(!loopback.is_empty());
        loopback.recycle(taken.drain(..));
        loopback.take(2, &mut taken);
        assert_eq!((taken[0].channel, &taken[0].bytes[..]), (channel, &[2][..]));
        assert!(loopback.is_empty());
        assert_eq!(loopback.push(channel, b"next"), Queued::First);
    }

    #[test]
    fn the_queue_is_bounded_and_has_room_again_once_messages_are_taken() {
        let loopback = Loopback::default();
        for message in [&vec![0; 65_536][..], &[0]] {
            let room = MAX_BYTES / (message.len() + OVERHEAD);
            for _ in 0..room {
                assert_ne!(loopback.push(Channel::ALL[0], message), Queued::NoRoom);
            }
            assert_eq!(loopback.push(Channel::ALL[0], message), Queued::NoRoom);
            let mut taken = Vec::new();
            loopback.take(usize::MAX, &mut taken);
            assert_eq!(taken.len(), room);
            assert_eq!(loopback.queue.lock().bytes, 0);
            loopback.recycle(taken.into_iter());
            assert!(loopback.queue.lock().spare.len() <= MAX_SPARE);
        }
    }
}
