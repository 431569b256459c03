//! Deadlines of waits, and the remaining time in the kernel's milliseconds.

use std::time::{Duration, Instant};

use nix::sys::epoll::EpollTimeout;

/// The latest time at which a wait returns, fixed when it starts, so that interruptions add no drift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the deadline of a wait that starts at `now`. Without a timeout, or with one beyond the
    /// range of the clock, the wait has no deadline.
    pub(crate) fn new(now: Instant, timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.and_then(|timeout| now.checked_add(timeout)))
    }

    pub(crate) fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    /// Returns the remaining time in whole milliseconds, rounded up: a wait that ended early would find
    /// nothing due and start over. Limited to the kernel's maximum of 24 days, after which the caller
    /// waits again.
    pub(crate) fn remaining(self, now: Instant) -> EpollTimeout {
        let Some(end) = self.0 else {
            return EpollTimeout::NONE;
        };
        let millis = end.saturating_duration_since(now).as_nanos().div_ceil(1_000_000);
        EpollTimeout::try_from(millis).unwrap_or(EpollTimeout::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn remaining(timeout: Option<Duration>) -> EpollTimeout {
        let now = Instant::now();
        Deadline::new(now, timeout).remaining(now)
    }

    fn millis(millis: u16) -> EpollTimeout {
        EpollTimeout::from(millis)
    }

    #[test]
    fn rounds_up_and_keeps_zero() {
        assert_eq!(remaining(Some(Duration::ZERO)), millis(0));
        assert_eq!(remaining(Some(Duration::from_nanos(1))), millis(1));
        assert_eq!(remaining(Some(Duration::from_micros(500))), millis(1));
        assert_eq!(remaining(Some(Duration::from_millis(1))), millis(1));
        assert_eq!(remaining(Some(Duration::new(1, 1))), millis(1001));
    }

    #[test]
    fn long_timeouts_are_limited_and_no_timeout_stays_none() {
        let month = Duration::from_secs(31 * 24 * 3600);
        assert_eq!(remaining(Some(month)), EpollTimeout::MAX);
        assert_eq!(remaining(None), EpollTimeout::NONE);
        assert_eq!(remaining(Some(Duration::MAX)), EpollTimeout::NONE);
    }

    #[test]
    fn the_remaining_time_falls_to_zero_and_stays_there() {
        let start = Instant::now();
        let deadline = Deadline::new(start, Some(Duration::from_millis(10)));
        let later = start + Duration::from_micros(7_100);
        assert_eq!(deadline.remaining(later), millis(3));
        assert!(!deadline.is_over(later));
        let end = start + Duration::from_millis(10);
        assert_eq!(deadline.remaining(end), millis(0));
        assert!(deadline.is_over(end));
        assert_eq!(deadline.remaining(end + Duration::from_secs(1)), millis(0));
        assert!(!Deadline::new(start, None).is_over(end));
    }

    proptest! {
        #[test]
        fn rounding_is_never_early_and_less_than_a_millisecond_late(nanos in 0_u64..1_000_000_000_000_000) {
            let timeout = Duration::from_nanos(nanos);
            let rounded = remaining(Some(timeout)).duration().unwrap();
            prop_assert!(rounded >= timeout);
            prop_assert!(rounded - timeout < Duration::from_millis(1));
        }
    }
}
