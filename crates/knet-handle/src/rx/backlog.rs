//! Messages that wait for a slow filter.

use std::collections::VecDeque;

use crate::rx::inbox::Inbox;
use crate::rx::incoming::{Body, Incoming};

/// Messages that the filter has not been called for yet, in the order of their arrival.
///
/// Each is copied, which costs nothing in the usual case: the backlog is empty unless the filter is too
/// slow for the messages that arrive.
///
/// A duplicate that arrives while its message waits here is discarded, so it is no second chance
/// (`docs/protocol.md`, "Receiving") if the filter then rejects the message or its datafd is full.
/// Keeping duplicates would halve the room for messages when room is scarce.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    messages: VecDeque<Incoming>,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Adds a message behind the others. Returns it if there is no room.
    pub(crate) fn push(&mut self, message: Incoming, inbox: &Inbox) -> Result<(), Incoming> {
        let length = message.bytes(inbox).len();
        if self.messages.len() >= MAX_MESSAGES || self.bytes + length > MAX_BYTES {
            return Err(message);
        }
        self.bytes += length;
        self.messages.push_back(message.into_owned(inbox));
        Ok(())
    }

    /// Moves up to `count` of the oldest messages into `messages`.
    pub(crate) fn take(&mut self, count: usize, messages: &mut Vec<Incoming>) {
        let count = count.min(self.messages.len());
        messages.extend(self.messages.drain(..count));
        self.recount();
    }

    /// Takes back the messages that were taken last and not handled.
    pub(crate) fn put_back(&mut self, messages: impl DoubleEndedIterator<Item = Incoming>) {
        messages.rev().for_each(|message| self.messages.push_front(message));
        self.recount();
    }

    fn recount(&mut self) {
        let length = |message: &Incoming| match &message.body {
            Body::Datagram(..) => 0,
            Body::Reassembled(message) => message.bytes().len(),
            Body::Copied(bytes) => bytes.len(),
        };
        self.bytes = self.messages.iter().map(length).sum();
    }
}

/// How many messages wait at most.
const MAX_MESSAGES: usize = 4096;
/// How many bytes they have at most: as much as the buffer of a datafd.
const MAX_BYTES: usize = 8 * 1024 * 1024;
