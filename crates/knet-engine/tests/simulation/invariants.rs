//! The invariants of every run, whatever the network does. The [`Ledger`] records each message that
//! is sent, each packet that arrives and each delivery, and panics at the first violation:
//!
//! - nothing is delivered that was not sent to that host, nothing is changed on the way;
//! - nothing is delivered twice to one life of a host;
//! - a message of which every packet arrived is delivered, there and then.

use std::collections::BTreeMap;

use knet_engine::Delivery;
use knet_wire::HostId;

use crate::message::{Frame, Life, MessageId};

/// A message that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) len: usize,
    pub(crate) channel: u8,
    pub(crate) broadcast: bool,
    /// The hosts that the sender sent it to.
    pub(crate) targets: Vec<HostId>,
}

/// All that was sent and what became of it.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By sender; message `number` is at `number - 1`.
    sent: BTreeMap<Life, Vec<Sent>>,
    /// By sender and receiver.
    streams: BTreeMap<(Life, Life), Stream>,
}

/// What one receiver got of one sender.
#[derive(Default)]
struct Stream {
    /// Bit `number` for each delivered message.
    delivered: Bits,
    deliveries: u64,
    /// Incomplete messages and which of their packets came; the one that waits longest for a new
    /// packet comes first. Only the last [`INCOMPLETE`] can still be completed.
    partial: Vec<(u64, Bits)>,
    /// Messages that were discarded for newer ones.
    given_up: Bits,
    /// The highest number of which any packet came.
    newest: u64,
}

impl Ledger {
    pub(crate) fn sent(&mut self, id: MessageId, sent: Sent) {
        let all = self.sent.entry(id.sender).or_default();
        all.push(sent);
        assert_eq!(all.len() as u64, id.number);
    }

    /// A message was handed out for delivery.
    pub(crate) fn delivered(&mut self, receiver: Life, delivery: &Delivery, bytes: &[u8]) {
        let id = MessageId::of(bytes).unwrap_or_else(|| panic!("invented: {bytes:02x?}"));
        let Some(sent) = self.find(id) else { panic!("invented: {id:?}") };
        assert!(bytes == id.payload(sent.len), "corrupted: {id:?} at {receiver:?}");
        assert_eq!(delivery.source, id.sender.host, "{id:?}");
        assert_eq!(delivery.channel.get(), sent.channel, "{id:?}");
        assert_eq!(delivery.broadcast, sent.broadcast, "{id:?}");
        assert!(sent.targets.contains(&receiver.host), "{id:?} was not for {receiver:?}");
        let stream = self.streams.entry((id.sender, receiver)).or_default();
        assert!(stream.delivered.insert(id.number), "delivered twice: {id:?} to {receiver:?}");
        stream.deliveries += 1;
    }

    /// A packet came in that the receiver had no reason to refuse, and what it led to is noted.
    /// `sender` is who the sender is by now.
    pub(crate) fn arrived(&mut self, receiver: Life, sender: Life, frame: Frame) {
        let id = frame.message;
        let stream = self.streams.entry((id.sender, receiver)).or_default();
        stream.newest = stream.newest.max(id.number);
        if sender != id.sender || stream.newest - id.number > WINDOW {
            return;
        }
        assert!(
            stream.delivered.contains(id.number) || !stream.completes(frame),
            "lost: all {} packets of {id:?} reached {receiver:?}",
            frame.count
        );
    }

    /// A host's clock jumps: what is incomplete by then may be too old for it to wait for the rest.
    pub(crate) fn clock_jumps(&mut self, receiver: Life) {
        for (_, stream) in self.streams.iter_mut().filter(|((_, to), _)| *to == receiver) {
            for (number, _) in stream.partial.drain(..) {
                stream.given_up.insert(number);
            }
        }
    }

    /// Whether one message was delivered to a host.
    pub(crate) fn has(&self, receiver: Life, id: MessageId) -> bool {
        self.streams.get(&(id.sender, receiver)).is_some_and(|s| s.delivered.contains(id.number))
    }

    /// How many messages one host has delivered of another.
    pub(crate) fn deliveries(&self, sender: Life, receiver: Life) -> u64 {
        self.streams.get(&(sender, receiver)).map_or(0, |stream| stream.deliveries)
    }

    /// How many messages were delivered to anybody.
    pub(crate) fn all_deliveries(&self) -> u64 {
        self.streams.values().map(|stream| stream.deliveries).sum()
    }

    fn find(&self, id: MessageId) -> Option<&Sent> {
        let at = usize::try_from(id.number.checked_sub(1)?).ok()?;
        self.sent.get(&id.sender)?.get(at)
    }
}

impl Stream {
    /// Notes a packet. Returns `true` if it is the last one missing of a message.
    fn completes(
        &mut self,
        Frame { message: MessageId { number, .. }, index, count }: Frame,
    ) -> bool {
        if count == 1 {
            return true;
        }
        let at = self.partial.iter().position(|&(other, _)| other == number);
        let (_, mut came) = at.map(|at| self.partial.remove(at)).unwrap_or_default();
        let new = came.insert(index as u64);
        let complete = came.len() == count;
        if !complete {
            let place = if new { self.partial.len() } else { at.unwrap_or_default() };
            self.partial.insert(place, (number, came));
        }
        if self.partial.len() > INCOMPLETE {
            let (oldest, _) = self.partial.remove(0);
            self.given_up.insert(oldest);
        }
        complete && !self.given_up.contains(number)
    }
}

/// A set of small numbers.
#[derive(Default)]
struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Adds a number. Returns `true` if it is new.
    fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(new);
        new
    }

    fn contains(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.words.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn len(&self) -> usize {
        self.len
    }

    fn place(number: u64) -> (usize, u64) {
        ((number / 64) as usize, 1 << (number % 64))
    }
}

/// Messages this far behind the newest are still known to the duplicate window: it spans
/// 32768 sequence numbers, of which one, 0, may belong to no message.
const WINDOW: u64 = 32_766;

/// How many messages of one sender may be incomplete at once.
const INCOMPLETE: usize = 32;
