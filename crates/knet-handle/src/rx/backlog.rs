//! Messages on their way to the datafds, and those that have to wait for a slow filter.

use std::collections::VecDeque;
use std::ops::Range;

use knet_channel::Channel;
use knet_engine::{Delivery, ReassembledMessage};
use knet_transport::ReceiveBatch;

/// A message on its way to a datafd.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: Delivery,
    pub(crate) body: Body,
    /// Where it goes; `None` when it was thrown away.
    pub(crate) channel: Option<Channel>,
}

/// Where a message's bytes are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In a datagram of the batch.
    Datagram(usize, Range<usize>),
    /// In a buffer of the engine's.
    Reassembled(ReassembledMessage),
    /// In a copy, because the batch is needed for the next datagrams.
    Kept(Vec<u8>),
}

impl Incoming {
    pub(crate) fn new(delivery: Delivery, body: Body) -> Self {
        Self { delivery, body, channel: None }
    }

    pub(crate) fn bytes<'a>(&'a self, datagrams: &'a ReceiveBatch) -> &'a [u8] {
        match &self.body {
            Body::Datagram(index, range) => {
                let datagram = datagrams.get(*index).map(|datagram| datagram.bytes);
                datagram.and_then(|bytes| bytes.get(range.clone())).unwrap_or_default()
            }
            Body::Reassembled(message) => message.bytes(),
            Body::Kept(bytes) => bytes,
        }
    }

    /// The same, independent of the batch.
    fn keep(self, datagrams: &ReceiveBatch) -> Self {
        match self.body {
            Body::Datagram(..) => {
                let bytes = self.bytes(datagrams).to_vec();
                Self { body: Body::Kept(bytes), ..self }
            }
            Body::Reassembled(_) | Body::Kept(_) => self,
        }
    }
}

/// Messages that the filter has not been asked about yet, in the order in which they came.
///
/// It takes copies, which is all right: it is empty unless a filter is too slow for what comes in.
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

    /// Keeps a message behind the others, or gives it back if there are too many.
    pub(crate) fn push(
        &mut self,
        message: Incoming,
        datagrams: &ReceiveBatch,
    ) -> Result<(), Incoming> {
        let length = message.bytes(datagrams).len();
        if self.messages.len() >= MAX_MESSAGES || self.bytes + length > MAX_BYTES {
            return Err(message);
        }
        self.bytes += length;
        self.messages.push_back(message.keep(datagrams));
        Ok(())
    }

    /// Moves up to `count` of the oldest into `messages`.
    pub(crate) fn take(&mut self, count: usize, messages: &mut Vec<Incoming>) {
        let count = count.min(self.messages.len());
        messages.extend(self.messages.drain(..count));
        self.recount();
    }

    /// Takes back what was not handled of those that were taken last.
    pub(crate) fn put_back(&mut self, messages: impl DoubleEndedIterator<Item = Incoming>) {
        messages.rev().for_each(|message| self.messages.push_front(message));
        self.recount();
    }

    fn recount(&mut self) {
        let length = |message: &Incoming| match &message.body {
            Body::Datagram(..) => 0,
            Body::Reassembled(message) => message.bytes().len(),
            Body::Kept(bytes) => bytes.len(),
        };
        self.bytes = self.messages.iter().map(length).sum();
    }
}

/// How many messages wait for the filter at most.
const MAX_MESSAGES: usize = 4096;
/// And how many bytes: as much as a socket's buffer.
const MAX_BYTES: usize = 8 * 1024 * 1024;
