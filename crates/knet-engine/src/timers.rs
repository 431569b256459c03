//! When the engine next has something to do of its own accord.

use std::collections::BTreeSet;
use std::time::Instant;

use knet_wire::{HostId, LinkId};

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum TimerKey {
    /// The next ping of a link, or the moment at which its last pong is too old.
    Link(HostId, LinkId),
    /// Incomplete messages of a host that nobody will complete any more.
    Reassembly(HostId),
}

/// Deadlines in order. At most one for each key, which the owner keeps in a [`Deadline`].
#[derive(Debug, Default)]
pub(crate) struct TimerQueue {
    queue: BTreeSet<(Instant, TimerKey)>,
}

/// The owner's half of a queued deadline.
#[derive(Debug, Default)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

impl TimerQueue {
    /// Replaces the deadline of `key`; `None` takes it away.
    pub(crate) fn set(&mut self, key: TimerKey, deadline: &mut Deadline, at: Option<Instant>) {
        if deadline.0 == at {
            return;
        }
        if let Some(old) = deadline.0 {
            self.queue.remove(&(old, key));
        }
        if let Some(new) = at {
            self.queue.insert((new, key));
        }
        deadline.0 = at;
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// The key of the earliest deadline, if it has come. It stays queued: its owner sets the next.
    pub(crate) fn due(&self, now: Instant) -> Option<TimerKey> {
        self.queue.first().filter(|&&(at, _)| at <= now).map(|&(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_order_and_can_be_moved_and_taken_away() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (a, b) = (TimerKey::Reassembly(HostId::new(1)), TimerKey::Reassembly(HostId::new(2)));
        let (mut queue, mut da, mut db) =
            (TimerQueue::default(), Deadline::default(), Deadline::default());
        queue.set(a, &mut da, Some(at(10)));
        queue.set(b, &mut db, Some(at(20)));
        assert_eq!(queue.next(), Some(at(10)));
        assert_eq!(queue.due(at(9)), None);
        assert_eq!(queue.due(at(10)), Some(a));
        queue.set(a, &mut da, Some(at(30)));
        assert_eq!(queue.due(at(30)), Some(b));
        queue.set(b, &mut db, None);
        assert_eq!(queue.next(), Some(at(30)));
        queue.set(a, &mut da, None);
        assert_eq!(queue.next(), None);
        assert!(!da.is_set());
    }
}
