//! A queue of events that never loses the last one of a subject.
//!
//! While its reader keeps up, it is a queue. When the reader falls behind, an event of which a later one has the
//! same subject is superfluous: it is the last state of a link or host that counts. Only such events are
//! dropped, the oldest first, so that the length is bounded by the number of subjects. What they counted is
//! added to the next one about the same.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::core::subject::{About, Subject};

#[derive(Debug)]
pub(crate) struct EventQueue<T> {
    events: VecDeque<(Subject, T)>,
    /// How many events it holds before it drops any.
    capacity: usize,
    /// The length beyond which superfluous events are dropped.
    limit: usize,
    dropped: u64,
}

impl<T: About> EventQueue<T> {
    /// Adds an event. Takes constant time on average.
    pub(crate) fn push(&mut self, event: T) {
        self.events.push_back((event.subject(), event));
        if self.events.len() > self.limit {
            self.drop_superfluous();
        }
    }

    /// Drops the oldest events that are followed by another of their subject, until the queue is half empty.
    fn drop_superfluous(&mut self) {
        let mut seen = HashSet::new();
        let newest_first = self.events.iter().rev();
        let mut is_last: Vec<bool> =
            newest_first.map(|&(subject, _)| seen.insert(subject)).collect();
        let mut excess = self.events.len().saturating_sub(self.capacity / 2);
        // Those that were dropped last; each is followed by one of its subject.
        let mut absorbed: HashMap<Subject, T> = HashMap::new();
        for (subject, mut event) in std::mem::take(&mut self.events) {
            if let Some(earlier) = absorbed.remove(&subject) {
                event.absorb(&earlier);
            }
            if is_last.pop().unwrap_or(true) || excess == 0 {
                self.events.push_back((subject, event));
            } else {
                excess -= 1;
                self.dropped += 1;
                absorbed.insert(subject, event);
            }
        }
        // All of them may be needed. Then it grows, and the next look is as far away as this one was costly.
        self.limit = self.capacity.max(2 * self.events.len());
    }
}

impl<T> EventQueue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity, limit: capacity, dropped: 0 }
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.events.front().map(|(_, event)| event)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let (_, event) = self.events.pop_front()?;
        if self.events.is_empty() {
            self.limit = self.capacity;
        }
        Some(event)
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Returns how many events were dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts events that were dropped on their way to this queue.
    pub(crate) fn add_dropped(&mut self, dropped: u64) {
        self.dropped += dropped;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use knet_wire::HostId;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// An event about a host, which stands for some others of it.
    #[derive(Clone, Copy, Debug, Eq, PartialEq)]
    struct Counted {
        host: u16,
        number: usize,
        count: u64,
    }

    impl About for Counted {
        fn subject(&self) -> Subject {
            Subject::Host(HostId::new(self.host))
        }

        fn absorb(&mut self, earlier: &Self) {
            assert_eq!((earlier.host, earlier.number < self.number), (self.host, true));
            self.count += earlier.count;
        }
    }

    fn event(host: u16, number: usize) -> Counted {
        Counted { host, number, count: 1 }
    }

    fn all(queue: &mut EventQueue<Counted>) -> Vec<Counted> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn nothing_is_dropped_within_the_capacity() {
        let mut queue = EventQueue::new(4);
        (0..4).for_each(|n| queue.push(event(1, n)));
        assert_eq!(all(&mut queue), [0, 1, 2, 3].map(|n| event(1, n)));
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn the_oldest_superfluous_events_are_dropped_and_counted_in_the_next() {
        let mut queue = EventQueue::new(4);
        queue.push(event(7, 0));
        (1..=4).for_each(|n| queue.push(event(1, n)));
        assert_eq!(queue.dropped(), 3);
        assert_eq!(all(&mut queue), [event(7, 0), Counted { count: 4, ..event(1, 4) }]);
    }

    #[test]
    fn the_queue_grows_only_with_the_number_of_subjects() {
        let mut queue = EventQueue::new(4);
        for round in 0..1000 {
            (0..10).for_each(|n| queue.push(event(n, round)));
            assert!(queue.len() <= 20, "{}", queue.len());
        }
    }

    proptest! {
        #[test]
        fn the_last_event_of_each_subject_is_delivered(
            capacity in 1_usize..20,
            steps in vec(prop_oneof![3 => (0..12_u16).prop_map(Some), 1 => Just(None)], 0..300),
        ) {
            let mut queue = EventQueue::new(capacity);
            let (mut pushed, mut popped) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Some(host) => {
                        let event = event(host, pushed.len());
                        queue.push(event);
                        pushed.push(event);
                    }
                    None => popped.extend(queue.pop()),
                }
                prop_assert!(queue.len() <= capacity.max(2 * 12));
            }
            popped.extend(std::iter::from_fn(|| queue.pop()));
            prop_assert!(popped.is_sorted_by_key(|event| event.number), "{popped:?}");
            prop_assert_eq!(popped.len() as u64 + queue.dropped(), pushed.len() as u64);
            let last = |events: &[Counted]| {
                events.iter().map(|event| (event.host, event.number)).collect::<HashMap<_, _>>()
            };
            prop_assert_eq!(last(&popped), last(&pushed));
            let mut counts: HashMap<u16, u64> = HashMap::new();
            pushed.iter().for_each(|event| *counts.entry(event.host).or_default() += 1);
            for Counted { host, count, .. } in popped {
                *counts.entry(host).or_default() -= count;
            }
            prop_assert!(counts.values().all(|&missing| missing == 0), "{counts:?}");
        }
    }
}
