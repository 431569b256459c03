//! Assembles the fragments of one host's messages (`docs/protocol.md`, "Reassembly").
//!
//! Fragments come in any order, more than once, mixed with those of other messages, or not at all,
//! and their sender may be hostile. So every bound is checked before a byte is copied, and all
//! state is bounded: 32 messages per host, 65536 bytes per message, 128 KiB for each host and one
//! budget of bytes that all hosts share ([`BufferPool`]), and [`REASSEMBLY_TIMEOUT`] for a message
//! that never becomes complete.

use std::time::{Duration, Instant};

use knet_wire::{DataHeader, FragmentPart};

use super::dedup::{DuplicateWindow, SPAN};

mod pool;
use pool::Buffer;
pub(crate) use pool::BufferPool;

mod slot;
use slot::Slot;

#[cfg(test)]
mod tests;

/// How long an incomplete message is kept after its latest new fragment.
///
/// The fragments of a message leave together, so they arrive as far apart as the slowest and the
/// fastest link are, plus the time for which the sender waits when its socket is full. Ten seconds
/// is more than a link that is up can take, and short enough that what a lossy link leaves behind
/// does not pile up. libknet keeps incomplete messages until 32 newer ones begin, which may be
/// never.
pub(crate) const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The incomplete messages of one host.
///
/// Before it is dropped, [`Reassembler::clear`] must return its buffers: the pool counts them.
#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    /// At most [`SLOTS`], all of different messages, none complete and none without a fragment.
    slots: Vec<Slot>,
    /// Bytes of the buffers that they hold.
    held: usize,
    /// How many messages were discarded before they were complete, since
    /// [`Reassembler::take_incomplete`].
    incomplete: u64,
}

/// What became of a fragment.
#[derive(Debug)]
#[must_use]
pub(crate) enum Outcome {
    /// Accepted; the message needs more.
    Incomplete,
    /// Accepted, and it was the last one missing.
    Complete(ReassembledMessage),
    /// Not accepted.
    Dropped(DropReason),
}

/// Why a fragment was not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DropReason {
    /// Reassembly of its message ended before: completed, evicted or expired.
    AlreadyDone,
    /// This fragment was accepted before.
    Duplicate,
    /// It has no payload.
    Empty,
    /// Its header or its length does not fit the other fragments of the message.
    Inconsistent,
    /// There is no memory for it. The message is discarded.
    OverBudget,
    /// The message would be longer than 65536 bytes.
    TooLong,
}

/// A message assembled from its fragments. Returned by
/// [`Engine::handle_datagram`](crate::Engine::handle_datagram).
///
/// Return it to the engine with [`Engine::recycle`](crate::Engine::recycle), so that its memory is
/// used for a later message, or drop it.
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{DatagramMeta, Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{Body, DataHeader, Fragment, FragmentPart, HostId, LinkId, Packet};
/// # use knet_wire::SequenceNumber;
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// # engine.add_link(now, peer, link, path)?;
/// # engine.set_pong_count(peer, link, 1)?;
/// # engine.set_link_enabled(now, peer, link, true)?;
/// # let meta = DatagramMeta { socket: path.socket, source: path.remote, local: None };
/// # let ping = engine.poll_transmit().expect("the first ping");
/// # let Body::Ping(ping) = Packet::decode(ping.packet())?.body else { panic!() };
/// # let _ = engine.handle_datagram(now, meta, &ping.encode_pong(peer));
/// # use knet_engine::Received;
/// # let fragment = |index, bytes: &[u8]| -> Result<Vec<u8>, knet_wire::InvalidFragment> {
/// #     let header = DataHeader {
/// #         sequence: SequenceNumber::new(1),
/// #         compression: 0,
/// #         broadcast: true,
/// #         fragment: Fragment::Part(FragmentPart::new(index, 2)?),
/// #         channel: 3,
/// #     };
/// #     Ok([&header.encode(peer)[..], bytes].concat())
/// # };
/// // The second fragment of two arrives first.
/// let first = engine.handle_datagram(now, meta, &fragment(2, b"lo")?);
/// assert!(matches!(first, Received::Consumed));
/// match engine.handle_datagram(now, meta, &fragment(1, b"hel")?) {
///     Received::Reassembled(_, message) => {
///         assert_eq!(message.bytes(), b"hello");
///         engine.recycle(message);
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReassembledMessage {
    header: DataHeader,
    buffer: Buffer,
    len: usize,
}

impl ReassembledMessage {
    /// Returns the header of the packet that completed the message. All packets of a message have
    /// the same header except for the fragment number.
    #[must_use]
    pub fn header(&self) -> &DataHeader {
        &self.header
    }

    /// Returns the message, 2 to 65536 bytes; compressed if the method in its header is not 0.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.first(self.len)
    }
}

impl Reassembler {
    /// Adds fragment `part` of the message that `header` belongs to. `header.fragment` is ignored.
    ///
    /// Moves `window` to the fragment's number and marks its message as started there, so that late
    /// fragments of a message that is done do not start it again.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        header: &DataHeader,
        part: FragmentPart,
        payload: &[u8],
        window: &mut DuplicateWindow,
        pool: &mut BufferPool,
    ) -> Outcome {
        let sequence = header.sequence;
        let verdict = window.check_started(sequence);
        self.forget_older(window, pool);
        let position = window.position_of(sequence);
        // Taken out of the table meanwhile, so that it cannot be evicted to make room.
        let mut slot = match self.take(position) {
            Some(slot) => slot,
            None if verdict.is_seen() => return Outcome::Dropped(DropReason::AlreadyDone),
            None => Slot::new(now, position, header, part),
        };

        let mut added = slot.add(now, header, part, payload, &mut pool.of_host(&mut self.held));
        while matches!(added, Err(DropReason::OverBudget)) && self.evict(pool) {
            added = slot.add(now, header, part, payload, &mut pool.of_host(&mut self.held));
        }
        match added {
            Ok(Some(message)) => Outcome::Complete(message),
            Ok(None) => {
                window.mark_started(sequence);
                if self.slots.len() == SLOTS {
                    self.evict(pool);
                }
                self.slots.push(slot);
                Outcome::Incomplete
            }
            Err(reason) => {
                if reason == DropReason::OverBudget || slot.is_empty() {
                    self.incomplete += u64::from(!slot.is_empty());
                    slot.free(&mut pool.of_host(&mut self.held));
                } else {
                    self.slots.push(slot);
                }
                Outcome::Dropped(reason)
            }
        }
    }

    /// Returns when the next message expires.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.slots.iter().map(Slot::updated).min()?.checked_add(REASSEMBLY_TIMEOUT)
    }

    /// Discards the messages that have expired.
    pub(crate) fn handle_timeout(&mut self, now: Instant, pool: &mut BufferPool) {
        self.free_where(pool, |slot| {
            now.saturating_duration_since(slot.updated()) >= REASSEMBLY_TIMEOUT
        });
    }

    /// Returns how many messages were discarded before they were complete since the last call: they
    /// expired, made room for others, or their host was restarted.
    pub(crate) fn take_incomplete(&mut self) -> u64 {
        std::mem::take(&mut self.incomplete)
    }

    /// Discards the messages whose numbers the window has forgotten.
    ///
    /// Must be called whenever the window was reset or rewound, and before a number is used that
    /// may be of the next round.
    pub(crate) fn forget_older(&mut self, window: &DuplicateWindow, pool: &mut BufferPool) {
        let newest = window.position();
        self.free_where(pool, |slot| {
            newest.checked_sub(slot.position()).is_none_or(|behind| behind >= u64::from(SPAN))
        });
    }

    /// Discards all messages.
    pub(crate) fn clear(&mut self, pool: &mut BufferPool) {
        self.free_where(pool, |_| true);
    }

    /// Returns how many bytes of buffer the incomplete messages hold: the part of this host in
    /// [`BufferPool::in_use`].
    #[cfg(test)]
    fn memory(&self) -> usize {
        let memory = self.slots.iter().map(Slot::memory).sum();
        assert_eq!(memory, self.held);
        memory
    }

    fn take(&mut self, position: u64) -> Option<Slot> {
        let at = self.slots.iter().position(|slot| slot.position() == position)?;
        Some(self.slots.swap_remove(at))
    }

    /// Discards the message that has waited longest for a new fragment; of several, the one with
    /// the oldest number. Returns `true` if there was one.
    fn evict(&mut self, pool: &mut BufferPool) -> bool {
        let oldest = (0..self.slots.len())
            .min_by_key(|&at| (self.slots[at].updated(), self.slots[at].position()));
        let Some(at) = oldest else { return false };
        self.slots.swap_remove(at).free(&mut pool.of_host(&mut self.held));
        self.incomplete += 1;
        true
    }

    /// Discards the messages for which `unwanted` returns `true`.
    fn free_where(&mut self, pool: &mut BufferPool, unwanted: impl Fn(&Slot) -> bool) {
        let before = self.slots.len();
        let mut at = 0;
        while at < self.slots.len() {
            if unwanted(&self.slots[at]) {
                self.slots.swap_remove(at).free(&mut pool.of_host(&mut self.held));
            } else {
                at += 1;
            }
        }
        self.incomplete += (before - self.slots.len()) as u64;
    }
}

/// How many messages of one host may be incomplete at the same time.
const SLOTS: usize = 32;
