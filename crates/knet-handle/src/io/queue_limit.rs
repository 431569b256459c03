//! How many bytes of a socket may wait in the kernel for their device: about as many as the device takes in
//! [`TARGET`].
//!
//! A socket has room for megabytes, which take a slow link seconds. Pings that wait behind them time out, and
//! the sender takes its own link down. So data waits in this process instead, where it blocks its datafd, and
//! control packets overtake it.
//!
//! The kernel also counts what waits for the hardware addresses of neighbours, which hosts that are gone never
//! give. If a queue without room has hardly moved for [`PATIENCE`], as many bytes of it are set aside as were sent
//! to links that are down, for [`ASIDE_TIME`]: the limit is for what is queued beyond them.
//!
//! The rate of the device is measured by how fast the queue shrinks while nothing is added to it. The kernel is
//! asked once per [`QUANTUM`] bytes as long as a link is fast; a batch of packets then costs two atomic
//! operations.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The limit of one socket. Bytes are those that the kernel charges to it, which includes its own bookkeeping.
#[derive(Debug)]
pub(crate) struct QueueLimit {
    /// How many bytes may still be sent before the kernel is asked how many are queued.
    credit: AtomicI64,
    /// Whether the limit leaves room for no more than the credit.
    tight: AtomicBool,
    pace: Mutex<Pace>,
}

/// The bytes of a socket that are queued at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queued {
    pub(crate) bytes: u64,
    pub(crate) at: Instant,
}

/// What may be sent now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    /// A batch of any length.
    Batch,
    /// Packets of so many bytes, and at least one packet.
    Bytes(u64),
    /// Nothing. The queue is known to shrink if `drains`.
    None { drains: bool },
}

#[derive(Debug)]
struct Pace {
    limit: u64,
    /// The last credit.
    granted: i64,
    last: Option<Queued>,
    /// Since when there has been no room.
    full_since: Option<Instant>,
    /// How many bytes left since then.
    moved: u64,
    unclaimed: Unclaimed,
    /// How many of the queued bytes no device has, and until when this is assumed.
    set_aside: Option<(u64, Instant)>,
    /// How many bytes left the queue in how much time, while it was never empty and nothing was added.
    drained: u64,
    during: Duration,
}

/// What was sent to links that are down, in bytes. The kernel may still have it, or have given it up.
#[derive(Debug, Default)]
struct Unclaimed {
    /// Since when they are counted.
    since: Option<Instant>,
    now: u64,
    /// Those of the time before that.
    before: u64,
}

impl Default for QueueLimit {
    fn default() -> Self {
        let pace = Pace {
            limit: FIRST,
            granted: 0,
            last: None,
            full_since: None,
            moved: 0,
            unclaimed: Unclaimed::default(),
            set_aside: None,
            drained: 0,
            during: Duration::ZERO,
        };
        Self { credit: AtomicI64::new(0), tight: AtomicBool::new(false), pace: Mutex::new(pace) }
    }
}

impl QueueLimit {
    /// Returns what may be sent now. Calls `queued` if that depends on how many bytes are queued.
    pub(crate) fn room(&self, queued: impl FnOnce() -> Option<Queued>) -> Room {
        let credit = self.credit.load(Relaxed);
        match u64::try_from(credit) {
            Ok(credit) if credit > 0 && self.tight.load(Relaxed) => Room::Bytes(credit),
            Ok(credit) if credit > 0 => Room::Batch,
            // A socket that cannot be asked has no limit but its buffer.
            _ => queued().map_or(Room::Batch, |queued| self.refill(queued)),
        }
    }

    /// Records that packets were sent.
    pub(crate) fn record_sent(&self, packets: usize, bytes: usize) {
        let charge = bytes + packets * PACKET_OVERHEAD;
        self.credit.fetch_sub(i64::try_from(charge).unwrap_or(i64::MAX), Relaxed);
    }

    /// Records that packets were sent to links that are down.
    pub(crate) fn record_unclaimed(&self, packets: usize, bytes: usize, now: Instant) {
        // A short packet is charged more than it has to be for.
        let charge = (bytes + 2 * packets * PACKET_OVERHEAD) as u64;
        self.pace.lock().unclaimed.add(charge, now);
    }

    /// Returns how many of these packets, at least one, fit into the room. Lengths are in bytes.
    pub(crate) fn fitting(room: u64, lengths: impl Iterator<Item = usize>) -> usize {
        let mut rest = room;
        let fits = |length: &usize| {
            let fits = rest > 0;
            rest = rest.saturating_sub((length + PACKET_OVERHEAD) as u64);
            fits
        };
        lengths.take_while(fits).count()
    }

    fn refill(&self, queued: Queued) -> Room {
        let mut pace = self.pace.lock();
        let spent = pace.granted.saturating_sub(self.credit.load(Relaxed));
        let drains = pace.observe(u64::try_from(spent).unwrap_or(0), queued);
        let room = pace.room(queued);
        let tight = room < QUANTUM;
        // A run is uncharged as a whole, so one that fills the queue would hide how fast that shrinks.
        let room = if tight { room.min(pace.limit / 4) } else { room };
        let credit = i64::try_from(room.min(QUANTUM)).unwrap_or(i64::MAX);
        pace.granted = credit;
        self.credit.store(credit, Relaxed);
        self.tight.store(tight, Relaxed);
        match (room, tight) {
            (0, _) => Room::None { drains },
            (_, true) => Room::Bytes(room),
            (_, false) => Room::Batch,
        }
    }
}

impl Pace {
    /// Returns how many bytes may be added to what is queued now.
    fn room(&mut self, now: Queued) -> u64 {
        let room = self.limit.saturating_sub(self.beyond_aside(now));
        if room > 0 {
            self.full_since = None;
            return room;
        }
        let since = *self.full_since.get_or_insert_with(|| {
            self.moved = 0;
            now.at
        });
        if now.at.saturating_duration_since(since) < PATIENCE {
            return 0;
        }
        self.full_since = None;
        if self.moved >= self.limit / 4 {
            return 0;
        }
        let unclaimed = self.unclaimed.recent(now.at).min(now.bytes);
        self.set_aside = now.at.checked_add(ASIDE_TIME).map(|until| (unclaimed, until));
        self.limit.saturating_sub(self.beyond_aside(now))
    }

    /// Returns how many bytes are queued beyond those that are set aside.
    fn beyond_aside(&self, queued: Queued) -> u64 {
        queued.bytes.saturating_sub(self.set_aside.map_or(0, |(bytes, _)| bytes))
    }

    /// Adapts the limit to what is queued now, after about `spent` bytes were sent. Returns `true` if the queue
    /// has shrunk.
    fn observe(&mut self, spent: u64, now: Queued) -> bool {
        // Another thread asked later and was here first.
        if self.last.is_some_and(|last| now.at < last.at) {
            return false;
        }
        let Some(last) = self.last.replace(now) else { return false };
        let elapsed = now.at.saturating_duration_since(last.at);
        let before = self.beyond_aside(last);
        self.set_aside = self.set_aside.filter(|&(_, until)| now.at < until);
        self.set_aside = self.set_aside.map(|(bytes, until)| (bytes.min(now.bytes), until));
        let queued = self.beyond_aside(now);
        if spent > 0 {
            // What was sent is an estimate, so this shows only whether the device takes about all that it is given.
            let drained = (before + spent).saturating_sub(queued);
            if queued < self.limit / 4 && drained > spent / 2 {
                self.raise(drained, elapsed);
            }
            return false;
        }
        let drained = before.saturating_sub(queued);
        self.moved += drained;
        if queued == 0 {
            self.raise(drained, elapsed);
            (self.drained, self.during) = (0, Duration::ZERO);
            return drained > 0;
        }
        self.drained += drained;
        self.during += elapsed;
        // A long run of packets is uncharged as a whole, when its last packet has left.
        if self.drained > 0 && self.during >= WINDOW {
            let measured = in_target(self.drained, self.during).min(self.limit.saturating_mul(4));
            self.limit = (measured.saturating_add(self.limit) / 2).clamp(LEAST, MOST);
            (self.drained, self.during) = (0, Duration::ZERO);
        }
        drained > 0
    }

    /// Raises the limit, since the device took at least so many bytes in this time and could have taken more.
    fn raise(&mut self, drained: u64, elapsed: Duration) {
        let shown = in_target(drained, elapsed).min(self.limit.saturating_mul(2));
        self.limit = self.limit.max(shown).min(MOST);
    }
}

impl Unclaimed {
    fn add(&mut self, bytes: u64, now: Instant) {
        self.turn(now);
        self.now += bytes;
    }

    /// Returns how many bytes were sent within [`ASIDE_TIME`], or a bit longer.
    fn recent(&mut self, now: Instant) -> u64 {
        self.turn(now);
        self.now + self.before
    }

    fn turn(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= ASIDE_TIME {
            self.before = if elapsed < 2 * ASIDE_TIME { self.now } else { 0 };
            (self.since, self.now) = (Some(now), 0);
        }
    }
}

/// Returns how many bytes leave in [`TARGET`] if so many leave in `elapsed`.
fn in_target(bytes: u64, elapsed: Duration) -> u64 {
    let scaled = u128::from(bytes) * TARGET.as_nanos() / elapsed.as_nanos().max(1);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// How long a packet may take through the queue of its device: a fraction of any useful ping timeout, but longer
/// than the pause of the threads that wait for room.
const TARGET: Duration = Duration::from_millis(50);
/// How long the queue is observed for a measurement.
const WINDOW: Duration = Duration::from_millis(40);
/// How long bytes that do not move hold up others: less than the send timeout by default, and so long
/// that a link of 5 Mbit/s sends the longest message in that time, which may be uncharged as a whole.
const PATIENCE: Duration = Duration::from_millis(150);
/// How long bytes are set aside: as long as the kernel looks for a neighbour by default (`arp(7)`).
const ASIDE_TIME: Duration = Duration::from_secs(3);
/// The limit before anything was measured: 60 ms of a link of 5 Mbit/s.
const FIRST: u64 = 64 * 1024;
/// A few packets, so that a device is busy while the next ones come.
const LEAST: u64 = 8 * 1024;
/// What a link of 16 Gbit/s sends between two retries of blocked packets. A link that becomes slow has this much
/// in its queue before its rate is known: 0.8 s of 20 Mbit/s.
const MOST: u64 = 2 * 1024 * 1024;
/// How many bytes are sent before the kernel is asked again.
const QUANTUM: u64 = 256 * 1024;
/// About what the kernel charges for a packet in addition to its bytes.
const PACKET_OVERHEAD: usize = 512;

#[cfg(test)]
impl QueueLimit {
    pub(crate) fn unclaimed(&self, now: Instant) -> u64 {
        self.pace.lock().unclaimed.recent(now)
    }
}

#[cfg(test)]
mod tests;
