//! Busy-polling before a wait sleeps.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Events, Poller, PollerError};

/// Waits on a [`Poller`] and busy-polls for a moment before it sleeps, as long as that pays.
///
/// Waking a thread often costs more than the work it is woken for: about 20 µs on a virtual machine,
/// whose idle processors the hypervisor has to start. A thread that is still polling when the next event
/// arrives need not be woken. Between two polls it yields its processor to other threads
/// (`sched_yield(2)`).
///
/// The polling time adapts to how long work is waited for, like the halt polling of KVM
/// (<https://docs.kernel.org/virt/kvm/halt-polling.html>). It doubles, up to a maximum, while work comes
/// soon after the thread went to sleep. It halves with each wait once none came for longer than the
/// maximum. An idle thread soon stops polling, and so does one with an event now and then.
///
/// Only the caller knows whether a wait ended with work that is worth polling for, and reports it with
/// [`record_work`](Self::record_work). Events that are not, such as packets that anyone may send and that
/// are discarded, do not start polling, however many there are.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use knet_poller::{BusyWait, Events, Poller};
///
/// let poller = Poller::new()?;
/// let mut events = Events::with_capacity(8);
/// let mut busy_wait = BusyWait::new(Duration::from_micros(200));
/// poller.waker().wake()?;
/// busy_wait.wait(&poller, &mut events, None)?;
/// assert!(events.woken());
/// busy_wait.record_work();
/// assert!(!busy_wait.polling_time().is_zero(), "the next wait polls first");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BusyWait {
    max: Duration,
    /// How long the next wait polls before it sleeps.
    window: Duration,
    /// How long work has been waited for since there was some.
    waited: Duration,
    backoff: Backoff,
}

impl BusyWait {
    /// Creates a busy wait that polls for at most `max` before it sleeps. Zero turns polling off.
    ///
    /// The first waits do not poll. Polling starts once waits turn out to be short.
    #[must_use]
    pub fn new(max: Duration) -> BusyWait {
        BusyWait {
            max,
            window: Duration::ZERO,
            waited: Duration::ZERO,
            backoff: Backoff::default(),
        }
    }

    /// Returns how long the next wait polls before it sleeps.
    #[must_use]
    pub fn polling_time(&self) -> Duration {
        self.window
    }

    /// Records that the last wait ended with work. Call it once per wait, before the next.
    pub fn record_work(&mut self) {
        let waited = std::mem::take(&mut self.waited);
        if waited > self.max {
            self.shrink();
        } else if waited > self.window {
            self.window = self.window.saturating_mul(2).max(MIN_WINDOW).min(self.max);
        }
    }

    /// Waits like [`Poller::wait`] on `poller`, with the same result.
    ///
    /// # Errors
    ///
    /// Those of [`Poller::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use knet_poller::{BusyWait, Events, Poller};
    ///
    /// let poller = Poller::new()?;
    /// let mut events = Events::with_capacity(8);
    /// let mut busy_wait = BusyWait::new(Duration::from_micros(200));
    /// let (start, timeout) = (Instant::now(), Duration::from_millis(2));
    /// assert_eq!(busy_wait.wait(&poller, &mut events, Some(timeout))?, 0);
    /// assert!(start.elapsed() >= timeout);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(
        &mut self,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<usize, PollerError> {
        self.wait_yielding(poller, events, timeout, thread::yield_now)
    }

    fn wait_yielding(
        &mut self,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
        mut yield_processor: impl FnMut(),
    ) -> Result<usize, PollerError> {
        if timeout == Some(Duration::ZERO) || self.max.is_zero() {
            return poller.wait(events, timeout);
        }
        let start = Instant::now();
        if self.waited > self.max {
            // Nothing that came since then was work.
            self.shrink();
        }
        if self.backoff.is_active(start) {
            let found = poller.wait(events, timeout);
            self.waited = self.waited.saturating_add(start.elapsed());
            return found;
        }
        let polling = timeout.map_or(self.window, |timeout| self.window.min(timeout));
        let mut waited = Duration::ZERO;
        while waited < polling && !self.backoff.is_active(start) {
            let found = poller.wait(events, Some(Duration::ZERO))?;
            waited = start.elapsed();
            if found > 0 || events.woken() {
                self.waited = self.waited.saturating_add(waited);
                return Ok(found);
            }
            yield_processor();
            let back = start.elapsed();
            if back.saturating_sub(waited) > CONTENDED {
                self.backoff.begin(start + back);
                self.window = Duration::ZERO;
            }
            waited = back;
        }
        let found = poller.wait(events, timeout.map(|timeout| timeout.saturating_sub(waited)))?;
        self.waited = self.waited.saturating_add(start.elapsed());
        Ok(found)
    }

    fn shrink(&mut self) {
        self.window /= 2;
        if self.window < MIN_WINDOW {
            self.window = Duration::ZERO;
        }
    }
}

/// A pause in polling after a yielded processor came back late, which means that polling takes time from
/// a thread with work to do.
#[derive(Debug, Default)]
struct Backoff {
    length: Duration,
    until: Option<Instant>,
}

impl Backoff {
    fn is_active(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Starts a pause. It is twice as long as the last one if that ended recently.
    fn begin(&mut self, now: Instant) {
        let soon =
            self.until.is_some_and(|until| now.saturating_duration_since(until) < self.length);
        let length = if soon { (2 * self.length).min(MAX_BACKOFF) } else { MIN_BACKOFF };
        *self = Backoff { length, until: now.checked_add(length) };
    }
}

/// A yielded processor that stays away for longer than this went to a thread that computes instead of
/// waiting for messages. Shorter than a time slice of the scheduler, longer than passing a message on.
const CONTENDED: Duration = Duration::from_micros(500);
/// The first and the longest pause in polling.
const MIN_BACKOFF: Duration = Duration::from_millis(10);
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// The shortest polling time that is worth its cost.
const MIN_WINDOW: Duration = Duration::from_micros(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: Duration = Duration::from_micros(200);

    /// A wait that ended with work after this many microseconds, or that ended otherwise.
    #[derive(Clone, Copy, Debug)]
    enum Wait {
        Work(u64),
        Other(u64),
    }
    use Wait::{Other, Work};

    impl BusyWait {
        /// Takes a wait as [`BusyWait::wait`] does, without waiting.
        fn take(&mut self, wait: Wait) -> u128 {
            let (Work(micros) | Other(micros)) = wait;
            if self.waited > self.max {
                self.shrink();
            }
            self.waited = self.waited.saturating_add(Duration::from_micros(micros));
            if let Work(_) = wait {
                self.record_work();
            }
            self.window.as_micros()
        }
    }

    fn windows(waits: &[Wait]) -> Vec<u128> {
        let mut busy_wait = BusyWait::new(MAX);
        waits.iter().map(|&wait| busy_wait.take(wait)).collect()
    }

    #[test]
    fn polling_grows_until_it_covers_short_waits() {
        assert_eq!(windows(&[Work(60); 6]), [10, 20, 40, 80, 80, 80]);
        assert_eq!(windows(&[Work(200); 7])[4..], [160, 200, 200]);
    }

    #[test]
    fn long_and_expired_waits_end_polling() {
        for long in [Work(201), Work(1_000_000), Other(1_000_000)] {
            let waits = [&[Work(150); 5][..], &[long; 6]].concat();
            let windows = windows(&waits);
            assert_eq!(windows[4], 160, "{long:?}");
            assert_eq!(windows.last(), Some(&0), "{long:?}");
        }
    }

    #[test]
    fn one_long_wait_among_short_ones_changes_little() {
        let waits = [[Work(30); 4].as_slice(), &[Work(300)], &[Work(30); 3]].concat();
        assert_eq!(windows(&waits), [10, 20, 40, 40, 20, 40, 40, 40]);
    }

    #[test]
    fn events_without_work_neither_start_polling_nor_keep_it_going() {
        assert_eq!(windows(&[Other(60); 50]), [0; 50]);
        let waits = [[Work(150); 6].as_slice(), &[Other(60); 10]].concat();
        assert_eq!(windows(&waits)[5..], [160, 160, 160, 160, 160, 80, 40, 20, 10, 0, 0]);
    }

    #[test]
    fn events_without_work_do_not_hide_how_long_work_takes() {
        // Work comes every 120 µs, and something else between.
        let waits = [Other(60), Work(60)].repeat(6);
        assert_eq!(windows(&waits).last(), Some(&160));
    }

    /// Runs a wait that starts by polling and returns how often it yielded. `yield_processor` gets the
    /// number of the yield.
    fn poll_and_yield(yield_processor: impl Fn(&Poller, u32)) -> (u32, Backoff) {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(1);
        let mut busy_wait = BusyWait::new(Duration::from_secs(3600));
        busy_wait.window = busy_wait.max;
        let mut times = 0;
        let found = busy_wait.wait_yielding(&poller, &mut events, None, || {
            times += 1;
            yield_processor(&poller, times);
        });
        assert_eq!(found.unwrap(), 0);
        assert!(events.woken());
        (times, busy_wait.backoff)
    }

    #[test]
    fn a_wait_polls_and_yields_in_turn_until_there_is_an_event() {
        let (times, backoff) = poll_and_yield(|poller, times| {
            if times == 100 {
                poller.waker().wake().unwrap();
            }
        });
        // On a busy machine it may have backed off before.
        assert!(times == 100 || backoff.length == MIN_BACKOFF);
    }

    #[test]
    fn a_wait_sleeps_when_the_processor_comes_back_late() {
        let (times, backoff) = poll_and_yield(|poller, _| {
            // Another thread had the processor.
            let late = Instant::now() + 2 * CONTENDED;
            while Instant::now() < late {}
            poller.waker().wake().unwrap();
        });
        assert_eq!((times, backoff.length), (1, MIN_BACKOFF));
    }

    #[test]
    fn the_pause_doubles_each_time_the_processor_comes_back_late() {
        let (mut backoff, mut now) = (Backoff::default(), Instant::now());
        assert!(!backoff.is_active(now));
        for millis in [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000] {
            let length = Duration::from_millis(millis);
            backoff.begin(now);
            assert!(backoff.is_active(now + length - Duration::from_micros(1)), "{millis}");
            now += length;
            assert!(!backoff.is_active(now), "{millis}");
        }
        // Polling went well for as long as the last pause took.
        now += MAX_BACKOFF;
        backoff.begin(now);
        assert!(!backoff.is_active(now + MIN_BACKOFF));
    }

    proptest! {
        #[test]
        fn polling_stays_below_its_maximum_and_ends_in_an_idle_thread(
            max in 0_u64..1000,
            waits in prop::collection::vec((0_u64..2000, any::<bool>()), 0..100),
        ) {
            let mut busy_wait = BusyWait::new(Duration::from_micros(max));
            for (micros, work) in waits {
                busy_wait.take(if work { Work(micros) } else { Other(micros) });
                prop_assert!(busy_wait.window <= busy_wait.max);
            }
            (0..8).for_each(|_| _ = busy_wait.take(Other(1001)));
            prop_assert_eq!(busy_wait.window, Duration::ZERO);
        }
    }
}
