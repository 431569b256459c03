//! The check that the path still takes packets of the size in use (`docs/protocol.md`, "Black hole
//! check").
//!
//! A path can become narrower and drop long packets silently while pings still get through: a black
//! hole. Between two searches a probe of the size in use detects that, as long as data is sent that
//! could be lost.

use std::time::{Duration, Instant};

/// The checks between two searches of one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlackHoleCheck {
    next: Instant,
    /// How many data packets had been sent on the link at the last check.
    data_packets: u64,
}

impl BlackHoleCheck {
    /// Starts checking after a search, by which `data_packets` had been sent.
    pub(super) fn new(now: Instant, data_packets: u64) -> Self {
        Self { next: now + INTERVAL, data_packets }
    }

    /// Returns when [`BlackHoleCheck::poll`] has to be called next.
    pub(super) fn next_timeout(&self) -> Instant {
        self.next
    }

    /// Returns `true` if the size in use has to be probed now.
    pub(super) fn poll(&mut self, now: Instant, data_packets: u64) -> bool {
        if now < self.next {
            return false;
        }
        let before = std::mem::replace(self, Self::new(now, data_packets));
        // Without data since then nothing can have been lost.
        before.data_packets != data_packets
    }
}

/// The time between two checks.
const INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_due_once_per_interval_if_data_was_sent() {
        let start = Instant::now();
        let mut check = BlackHoleCheck::new(start, 7);
        assert!(!check.poll(start + INTERVAL / 2, 8), "not yet");
        assert_eq!(check.next_timeout(), start + INTERVAL);
        assert!(check.poll(start + INTERVAL, 8));
        assert_eq!(check.next_timeout(), start + 2 * INTERVAL);
        assert!(!check.poll(start + INTERVAL, 9), "once");
        assert!(check.poll(start + 3 * INTERVAL, 9));
    }

    #[test]
    fn a_link_without_data_is_not_checked() {
        let start = Instant::now();
        let mut check = BlackHoleCheck::new(start, 7);
        assert!(!check.poll(start + INTERVAL, 7));
        assert_eq!(check.next_timeout(), start + 2 * INTERVAL, "but looked at again");
        assert!(check.poll(start + 2 * INTERVAL, 8));
    }
}
