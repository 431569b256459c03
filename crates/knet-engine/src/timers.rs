//! All deadlines of the engine in one queue.

use std::collections::BTreeSet;
use std::time::Instant;

use knet_wire::{HostId, LinkId};

/// The owner of a deadline.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum TimerKey {
    /// The next ping, probe or pong timeout of a link.
    Link(HostId, LinkId),
    /// The expiry of a host's oldest incomplete message.
    Reassembly(HostId),
}

/// Deadlines in order, at most one per key. Its owner keeps it in a [`Deadline`] as well.
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
    /// Replaces the deadline of `key`. `None` removes it.
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

    /// Drops the earliest deadline, whose owner is gone.
    pub(crate) fn drop_first(&mut self) {
        self.queue.pop_first();
    }

    /// Returns the earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Returns the key of the earliest deadline if it has come. The deadline stays queued until its
    /// owner sets the next one.
    pub(crate) fn due(&self, now: Instant) -> Option<TimerKey> {
        self.queue.first().filter(|&&(at, _)| at <= now).map(|&(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn deadlines_come_in_order_and_can_be_moved_and_removed() {
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

    #[test]
    fn a_deadline_without_an_owner_can_be_dropped() {
        let now = Instant::now();
        let key = TimerKey::Reassembly(HostId::new(1));
        let (mut queue, mut deadline) = (TimerQueue::default(), Deadline::default());
        queue.set(key, &mut deadline, Some(now));
        queue.drop_first();
        assert_eq!((queue.due(now), queue.next()), (None, None));
    }
}
