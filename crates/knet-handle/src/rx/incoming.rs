//! A message between the engine and its datafd.

use std::ops::Range;

use knet_channel::Channel;
use knet_engine::{Delivery, ReassembledMessage};

use crate::rx::inbox::Inbox;

/// A message on its way to a datafd.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) delivery: Delivery,
    pub(crate) body: Body,
    /// The channel whose datafd it goes to; `None` until the filter has decided, and if it is discarded.
    pub(crate) channel: Option<Channel>,
}

/// Where the bytes of a message are.
#[derive(Debug)]
pub(crate) enum Body {
    /// In a datagram of the inbox.
    Datagram(usize, Range<usize>),
    /// In a buffer of the engine.
    Reassembled(ReassembledMessage),
    /// In a copy, because the inbox is needed for the next datagrams.
    Copied(Vec<u8>),
}

impl Incoming {
    pub(crate) fn new(delivery: Delivery, body: Body) -> Self {
        Self { delivery, body, channel: None }
    }

    pub(crate) fn bytes<'a>(&'a self, inbox: &'a Inbox) -> &'a [u8] {
        match &self.body {
            Body::Datagram(index, range) => {
                let datagram = inbox.get(*index).map(|datagram| datagram.bytes);
                datagram.and_then(|bytes| bytes.get(range.clone())).unwrap_or_default()
            }
            Body::Reassembled(message) => message.bytes(),
            Body::Copied(bytes) => bytes,
        }
    }

    /// Makes the message independent of the inbox.
    pub(crate) fn into_owned(self, inbox: &Inbox) -> Self {
        match self.body {
            Body::Datagram(..) => {
                let bytes = self.bytes(inbox).to_vec();
                Self { body: Body::Copied(bytes), ..self }
            }
            Body::Reassembled(_) | Body::Copied(_) => self,
        }
    }
}
