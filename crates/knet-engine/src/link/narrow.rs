//! When to look whether a path that is too narrow for data has become wide enough.

use std::time::{Duration, Instant};

/// The look-outs of one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct NarrowCheck {
    next: Instant,
    pause: Duration,
}

impl NarrowCheck {
    /// Starts looking, because the path was found too narrow now.
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now + FIRST_PAUSE, pause: FIRST_PAUSE }
    }

    /// Returns when [`NarrowCheck::poll`] has to be called next.
    pub(super) fn next_timeout(&self) -> Instant {
        self.next
    }

    /// Returns `true` if the least size has to be probed now.
    pub(super) fn poll(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.next = now + self.pause;
        true
    }
}

/// The time until the first probe.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time between two probes.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_to_a_limit() {
        let start = Instant::now();
        let mut check = NarrowCheck::new(start);
        assert!(!check.poll(start));
        let mut times = Vec::new();
        for _ in 0..6 {
            let now = check.next_timeout();
            assert!(check.poll(now) && !check.poll(now));
            times.push((now - start).as_secs());
        }
        assert_eq!(times, [1, 3, 7, 15, 23, 31]);
    }
}
