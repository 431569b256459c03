//! Timeouts that do not drift: the time that is left, in the kernel's milliseconds.

use std::time::{Duration, Instant};

use nix::sys::epoll::EpollTimeout;

/// When a wait must return at the latest, fixed once when it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// The end of a wait that starts at `now`. No timeout, or one that reaches beyond what the clock
    /// can express, never ends.
    pub(crate) fn new(now: Instant, timeout: Option<Duration>) -> Deadline {
        Deadline(timeout.and_then(|timeout| now.checked_add(timeout)))
    }

    pub(crate) fn is_over(self, now: Instant) -> bool {
        self.0.is_some_and(|end| end <= now)
    }

    /// The time left in whole milliseconds, rounded up: a wait that ended early would find nothing due
    /// and start over. More than the kernel takes (24 days) is cut; the caller asks again then.
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
    fn long_is_cut_and_endless_stays_endless() {
        let month = Duration::from_secs(31 * 24 * 3600);
        assert_eq!(remaining(Some(month)), EpollTimeout::MAX);
        assert_eq!(remaining(None), EpollTimeout::NONE);
        assert_eq!(remaining(Some(Duration::MAX)), EpollTimeout::NONE);
    }

    #[test]
    fn counts_down_to_its_end_and_not_below() {
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
        fn never_early_and_less_than_a_millisecond_late(nanos in 0_u64..1_000_000_000_000_000) {
            let timeout = Duration::from_nanos(nanos);
            let rounded = remaining(Some(timeout)).duration().unwrap();
            prop_assert!(rounded >= timeout);
            prop_assert!(rounded - timeout < Duration::from_millis(1));
        }
    }
}
