//! Looking again before going to sleep.

use std::thread;
use std::time::{Duration, Instant};

use crate::{Events, Poller, PollerError};

/// Waits on a [`Poller`], but looks again and again for a moment before it lets the thread go to sleep,
/// for as long as that pays.
///
/// To wake a sleeping thread takes longer than most of what threads do for each other: on a virtual
/// machine, where an idle processor has to be started from outside, some 20 µs. A thread that is still
/// looking when the next event comes need not be woken. Between two looks it offers its processor to
/// other threads (`sched_yield(2)`).
///
/// How long it looks is learnt from how long its waits take, as the halt polling of KVM does it
/// (<https://docs.kernel.org/virt/kvm/halt-polling.html>): the time doubles while waits end soon after
/// the thread gave up looking, up to the most that is allowed, and halves with each wait that takes
/// longer than this most. So a thread that has nothing to do soon sleeps at once, and one with something
/// to do now and then too.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BusyWait {
    most: Duration,
    /// How long the next wait looks before it sleeps.
    window: Duration,
    rest: Rest,
}

impl BusyWait {
    /// Looks for up to `most` before it sleeps; with zero it never does. At first it sleeps at once,
    /// until it has seen that waits are short.
    #[must_use]
    pub fn new(most: Duration) -> BusyWait {
        BusyWait { most, window: Duration::ZERO, rest: Rest::default() }
    }

    /// [`Poller::wait`] on `poller`.
    ///
    /// # Errors
    ///
    /// Those of [`Poller::wait`].
    pub fn wait(
        &mut self,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> Result<usize, PollerError> {
        self.wait_giving_way(poller, events, timeout, thread::yield_now)
    }

    fn wait_giving_way(
        &mut self,
        poller: &Poller,
        events: &mut Events,
        timeout: Option<Duration>,
        mut give_way: impl FnMut(),
    ) -> Result<usize, PollerError> {
        if timeout == Some(Duration::ZERO) || self.most.is_zero() {
            return poller.wait(events, timeout);
        }
        let start = Instant::now();
        if self.rest.goes_on(start) {
            return poller.wait(events, timeout);
        }
        let looking = timeout.map_or(self.window, |timeout| self.window.min(timeout));
        let mut waited = Duration::ZERO;
        while waited < looking && !self.rest.goes_on(start) {
            let found = poller.wait(events, Some(Duration::ZERO))?;
            waited = start.elapsed();
            if found > 0 || events.woken() {
                self.learn(Some(waited));
                return Ok(found);
            }
            give_way();
            let back = start.elapsed();
            if back.saturating_sub(waited) > CROWDED {
                self.rest.begin(start + back);
                self.window = Duration::ZERO;
            }
            waited = back;
        }
        let found = poller.wait(events, timeout.map(|timeout| timeout.saturating_sub(waited)))?;
        self.learn((found > 0 || events.woken()).then(|| start.elapsed()));
        Ok(found)
    }

    /// Goes by how long it took until there was something, `None` if the time was over before.
    fn learn(&mut self, waited: Option<Duration>) {
        match waited {
            Some(waited) if waited <= self.window => {}
            Some(waited) if waited <= self.most => {
                self.window = self.window.saturating_mul(2).max(FIRST).min(self.most);
            }
            _ => {
                self.window /= 2;
                if self.window < FIRST {
                    self.window = Duration::ZERO;
                }
            }
        }
    }
}

/// When looking does harm: a processor that was offered to the others came back late.
#[derive(Debug, Default)]
struct Rest {
    length: Duration,
    until: Option<Instant>,
}

impl Rest {
    fn goes_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Rests, longer than before if that is not long ago.
    fn begin(&mut self, now: Instant) {
        let soon =
            self.until.is_some_and(|until| now.saturating_duration_since(until) < self.length);
        let length = if soon { (2 * self.length).min(LONGEST_REST) } else { FIRST_REST };
        *self = Rest { length, until: now.checked_add(length) };
    }
}

/// Who offers the processor to others and does not get it back for so long competes with one that does not
/// wait for messages: shorter than what the scheduler gives each, and longer than it takes to pass one on.
const CROWDED: Duration = Duration::from_micros(500);
/// How long a thread does not look after that, at first and at most.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// The shortest time for which looking is worth anything.
const FIRST: Duration = Duration::from_micros(10);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: Duration = Duration::from_micros(200);

    fn micros(micros: u64) -> Option<Duration> {
        Some(Duration::from_micros(micros))
    }

    fn windows(waits: &[Option<Duration>]) -> Vec<u128> {
        let mut busy_wait = BusyWait::new(MOST);
        let mut window_after = |&wait| {
            busy_wait.learn(wait);
            busy_wait.window.as_micros()
        };
        waits.iter().map(&mut window_after).collect()
    }

    #[test]
    fn short_waits_are_looked_for_until_the_looking_finds_them() {
        let short = micros(60);
        assert_eq!(windows(&[short; 6]), [10, 20, 40, 80, 80, 80]);
        assert_eq!(windows(&[micros(200); 7])[4..], [160, 200, 200]);
    }

    #[test]
    fn long_waits_and_those_for_nothing_end_the_looking() {
        let short = [micros(150); 5];
        for long in [micros(201), micros(1_000_000), None] {
            let waits = [&short[..], &[long; 5]].concat();
            assert_eq!(windows(&waits)[4..], [160, 80, 40, 20, 10, 0], "{long:?}");
        }
    }

    #[test]
    fn one_long_wait_among_short_ones_changes_little() {
        let waits = [[micros(30); 4].as_slice(), &[None], &[micros(30); 3]].concat();
        assert_eq!(windows(&waits), [10, 20, 40, 40, 20, 40, 40, 40]);
    }

    /// A wait that begins by looking, and how often it gave way; `give_way` is told which time it is.
    fn looks(give_way: impl Fn(&Poller, u32)) -> (u32, Rest) {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(1);
        let mut busy_wait = BusyWait::new(Duration::from_secs(3600));
        busy_wait.window = busy_wait.most;
        let mut times = 0;
        let found = busy_wait.wait_giving_way(&poller, &mut events, None, || {
            times += 1;
            give_way(&poller, times);
        });
        assert_eq!(found.unwrap(), 0);
        assert!(events.woken());
        (times, busy_wait.rest)
    }

    #[test]
    fn it_looks_and_gives_way_in_turn_until_there_is_something() {
        let (times, rest) = looks(|poller, times| {
            if times == 100 {
                poller.waker().wake().unwrap();
            }
        });
        // A machine that is busy with other things may have made it rest before.
        assert!(times == 100 || rest.length == FIRST_REST);
    }

    #[test]
    fn it_sleeps_when_it_got_the_processor_back_late() {
        let (times, rest) = looks(|poller, _| {
            // Somebody else had it.
            let late = Instant::now() + 2 * CROWDED;
            while Instant::now() < late {}
            poller.waker().wake().unwrap();
        });
        assert_eq!((times, rest.length), (1, FIRST_REST));
    }

    #[test]
    fn who_gets_the_processor_back_late_rests_longer_each_time() {
        let (mut rest, mut now) = (Rest::default(), Instant::now());
        assert!(!rest.goes_on(now));
        for millis in [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000] {
            let length = Duration::from_millis(millis);
            rest.begin(now);
            assert!(rest.goes_on(now + length - Duration::from_micros(1)), "{millis}");
            now += length;
            assert!(!rest.goes_on(now), "{millis}");
        }
        // It went well for as long as it rested last.
        now += LONGEST_REST;
        rest.begin(now);
        assert!(!rest.goes_on(now + FIRST_REST));
    }

    proptest! {
        #[test]
        fn it_never_looks_longer_than_allowed_and_gives_up_on_a_thread_without_work(
            most in 0_u64..1000,
            waits in prop::collection::vec(prop::option::of(0_u64..2000), 0..100),
        ) {
            let mut busy_wait = BusyWait::new(Duration::from_micros(most));
            for wait in waits {
                busy_wait.learn(wait.map(Duration::from_micros));
                prop_assert!(busy_wait.window <= busy_wait.most);
            }
            (0..7).for_each(|_| busy_wait.learn(None));
            prop_assert_eq!(busy_wait.window, Duration::ZERO);
        }
    }
}
