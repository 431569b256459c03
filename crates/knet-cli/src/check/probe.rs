//! Counts lost pings on a link. Reads no clock and does no I/O.
//!
//! A ping that was sent before the peer started is not lost. So counting starts once the link is up,
//! after a pause for answers to earlier pings, and ends with a pause for the last answers.

use std::time::{Duration, Instant};

/// The state of a link at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) now: Instant,
    pub(crate) is_up: bool,
    /// Pings sent and pongs received since the link was added.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) latency: Option<Duration>,
    /// `true` if the path MTU is known and a ping from the peer was received.
    pub(crate) is_settled: bool,
}

/// The measurement of one link.
#[derive(Debug)]
pub(crate) struct Probe {
    phase: Phase,
    count: u32,
    timeout: Duration,
    has_begun: bool,
    result: Option<PingCount>,
}

/// How many pings were sent and answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PingCount {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

/// How often pings are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// At [`PING_INTERVAL`].
    Active,
    /// Not at all.
    Paused,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The link is not up yet.
    Waiting {
        until: Instant,
    },
    /// It is up, and answers to earlier pings may still arrive.
    Quiet {
        until: Instant,
    },
    /// Pings are counted from here on.
    Counting {
        before: PingCount,
        until: Instant,
    },
    /// All pings have been sent.
    Draining {
        before: PingCount,
        sent: u64,
        until: Instant,
    },
    /// All answers have arrived or are lost; the path MTU or a ping from the peer may be missing.
    Settling {
        until: Instant,
    },
    Done,
}

impl Probe {
    /// Creates a measurement of `count` pings that waits at most `timeout` in each phase.
    pub(crate) fn new(now: Instant, count: u32, timeout: Duration) -> Self {
        let phase = Phase::Waiting { until: now + timeout };
        Self { phase, count, timeout, has_begun: false, result: None }
    }

    /// Returns `true` once the measurement has ended.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Returns `true` if the link came up.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Returns what was counted, or `None` if the link was not up for long enough.
    pub(crate) fn result(&self) -> Option<PingCount> {
        self.result
    }

    /// Processes the current state of the link. Returns the new pace of pings if it changes.
    #[must_use]
    pub(crate) fn step(&mut self, reading: &Reading) -> Option<Pace> {
        let Reading { now, is_up, sent, answered, .. } = *reading;
        let until = now + self.timeout;
        match self.phase {
            Phase::Done => None,
            Phase::Waiting { .. } if is_up => {
                // A few round trips, so that all answers in flight arrive.
                let quiet = reading.latency.unwrap_or_default().saturating_mul(4).max(QUIET);
                self.phase = Phase::Quiet { until: now + quiet };
                self.has_begun = true;
                Some(Pace::Paused)
            }
            Phase::Waiting { until } if now < until => None,
            // The link went down: keep what has been counted so far.
            Phase::Counting { before, .. } if !is_up => self.end(before, sent, answered),
            Phase::Draining { before, sent, .. } if !is_up => self.end(before, sent, answered),
            _ if !is_up => self.done(),
            Phase::Waiting { .. } => self.done(),
            Phase::Quiet { until: end } => {
                if now < end {
                    return None;
                }
                // Sending the pings takes this long even if all goes well.
                let until = until + PING_INTERVAL.saturating_mul(self.count);
                self.phase = Phase::Counting { before: PingCount { sent, answered }, until };
                Some(Pace::Active)
            }
            Phase::Counting { before, until: end } => {
                if sent.saturating_sub(before.sent) < self.count.into() && now < end {
                    return None;
                }
                self.phase = Phase::Draining { before, sent, until };
                Some(Pace::Paused)
            }
            Phase::Draining { before, sent, until: end } => {
                self.count_up(before, sent, answered);
                // Nothing is left to wait for once all pings are answered.
                if self.result.is_some_and(|result| result.answered < result.sent) && now < end {
                    return None;
                }
                self.phase = Phase::Settling { until };
                Some(Pace::Active)
            }
            Phase::Settling { until } if reading.is_settled || now >= until => self.done(),
            Phase::Settling { .. } => None,
        }
    }

    fn end(&mut self, before: PingCount, sent: u64, answered: u64) -> Option<Pace> {
        self.count_up(before, sent, answered);
        self.done()
    }

    fn count_up(&mut self, before: PingCount, sent: u64, answered: u64) {
        let sent = sent.saturating_sub(before.sent);
        // Very late answers to earlier pings may raise the number of answers above that of pings.
        let answered = answered.saturating_sub(before.answered).min(sent);
        self.result = Some(PingCount { sent, answered });
    }

    /// Ends the measurement. Pings continue, because the peer may not be done.
    fn done(&mut self) -> Option<Pace> {
        self.phase = Phase::Done;
        Some(Pace::Active)
    }
}

/// The interval between pings.
pub(crate) const PING_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait for answers to earlier pings before counting.
const QUIET: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that answers pings according to a list, whose last entry is repeated.
    struct Link {
        reading: Reading,
        pace: Pace,
        answers: Vec<bool>,
    }

    impl Link {
        fn new(answers: &[bool]) -> Self {
            let now = Instant::now();
            let reading = Reading {
                now,
                is_up: false,
                sent: 0,
                answered: 0,
                latency: None,
                is_settled: true,
            };
            Self { reading, pace: Pace::Active, answers: answers.to_vec() }
        }

        /// Lets one ping interval pass.
        fn tick(&mut self, probe: &mut Probe) {
            self.reading.now += PING_INTERVAL;
            if self.pace == Pace::Active {
                let answered = self.answers.first().copied().unwrap_or(true);
                self.reading.sent += 1;
                self.reading.answered += u64::from(answered);
                if self.answers.len() > 1 {
                    self.answers.remove(0);
                }
            }
            if let Some(pace) = probe.step(&self.reading) {
                self.pace = pace;
            }
        }
    }

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn run(link: &mut Link, up_after: u32, probe: &mut Probe) {
        for tick in 0..10_000 {
            link.reading.is_up = tick >= up_after;
            link.tick(probe);
            if probe.is_done() {
                return;
            }
        }
        panic!("the probe does not end: {probe:?}");
    }

    #[test]
    fn pings_sent_before_the_peer_started_are_not_lost() {
        let mut link = Link::new(&[&[false; 50][..], &[true]].concat());
        let mut probe = Probe::new(link.reading.now, 20, TIMEOUT);
        assert!(!probe.has_begun());
        run(&mut link, 55, &mut probe);
        assert_eq!(probe.result(), Some(PingCount { sent: 20, answered: 20 }));
        assert!(probe.has_begun());
    }

    #[test]
    fn lost_pings_are_counted_and_waited_for() {
        let mut link = Link::new(&[&[true; 10][..], &[false; 5], &[true]].concat());
        let mut probe = Probe::new(link.reading.now, 20, TIMEOUT);
        let start = link.reading.now;
        run(&mut link, 5, &mut probe);
        assert_eq!(probe.result(), Some(PingCount { sent: 20, answered: 15 }));
        assert!(link.reading.now - start > TIMEOUT, "they might have arrived");
    }

    #[test]
    fn a_link_that_never_comes_up_times_out_without_a_result() {
        let mut link = Link::new(&[false]);
        let mut probe = Probe::new(link.reading.now, 20, TIMEOUT);
        let start = link.reading.now;
        run(&mut link, u32::MAX, &mut probe);
        assert_eq!((probe.result(), probe.has_begun()), (None, false));
        assert!(link.reading.now - start < TIMEOUT * 2);
    }

    #[test]
    fn a_link_that_goes_down_keeps_what_was_counted() {
        let mut link = Link::new(&[true]);
        let mut probe = Probe::new(link.reading.now, 20, TIMEOUT);
        link.reading.is_up = true;
        for _ in 0..15 {
            link.tick(&mut probe);
        }
        assert!(!probe.is_done());
        link.reading.is_up = false;
        link.tick(&mut probe);
        assert!(probe.is_done() && probe.has_begun());
        let counted = probe.result().unwrap();
        assert!(counted.sent < 20 && counted.sent == counted.answered, "{counted:?}");
    }

    #[test]
    fn a_link_that_goes_down_immediately_counts_as_up_once() {
        let mut link = Link::new(&[true]);
        let mut probe = Probe::new(link.reading.now, 20, TIMEOUT);
        link.reading.is_up = true;
        link.tick(&mut probe);
        link.reading.is_up = false;
        link.tick(&mut probe);
        assert!(probe.is_done() && probe.has_begun());
        assert_eq!(probe.result(), None);
    }

    #[test]
    fn the_wait_for_other_facts_is_limited() {
        let mut link = Link::new(&[true]);
        link.reading.is_settled = false;
        let mut probe = Probe::new(link.reading.now, 5, TIMEOUT);
        let start = link.reading.now;
        run(&mut link, 0, &mut probe);
        assert_eq!(probe.result(), Some(PingCount { sent: 5, answered: 5 }));
        assert!(link.reading.now - start > TIMEOUT);
    }
}
