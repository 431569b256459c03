//! Measures one link: how many pings are answered once it is up. Reads no clock and does no I/O.
//!
//! A ping that left before the peer was there is not a lost one. So pings are counted from a quiet
//! moment on, after the link has come up, and answers are waited for after the last of them.

use std::time::{Duration, Instant};

/// What is known of a link at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) now: Instant,
    pub(crate) is_up: bool,
    /// Pings sent, and pongs received, since ever.
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) latency: Option<Duration>,
    /// Whether there is nothing left to wait for: the path MTU is known, and a ping of the peer
    /// came.
    pub(crate) is_settled: bool,
}

/// The measurement of one link.
#[derive(Debug)]
pub(crate) struct Probe {
    phase: Phase,
    count: u32,
    patience: Duration,
    has_begun: bool,
    result: Option<Counted>,
}

/// How many pings were sent, and how many of them were answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Counted {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
}

/// How fast pings have to leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// As in the beginning.
    Brisk,
    /// Not at all.
    Still,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The link is not up yet.
    Waiting {
        until: Instant,
    },
    /// It is up, and answers to earlier pings may still be on their way.
    Quiet {
        until: Instant,
    },
    /// Pings are counted from here on.
    Counting {
        before: Counted,
        until: Instant,
    },
    /// All pings have left.
    Draining {
        before: Counted,
        sent: u64,
        until: Instant,
    },
    /// All answers are here or lost; other things may not be.
    Settling {
        until: Instant,
    },
    Done,
}

impl Probe {
    /// A measurement of `count` pings that waits no longer than `patience` for each thing that has
    /// to happen.
    pub(crate) fn new(now: Instant, count: u32, patience: Duration) -> Self {
        let phase = Phase::Waiting { until: now + patience };
        Self { phase, count, patience, has_begun: false, result: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Whether the link came up.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What was counted; nothing if the link never was up for long enough.
    pub(crate) fn result(&self) -> Option<Counted> {
        self.result
    }

    /// Takes in what is known now; says if pings have to leave at another pace.
    #[must_use]
    pub(crate) fn step(&mut self, reading: &Reading) -> Option<Pace> {
        let Reading { now, is_up, sent, answered, .. } = *reading;
        let until = now + self.patience;
        match self.phase {
            Phase::Done => None,
            Phase::Waiting { .. } if is_up => {
                let quiet = reading.latency.unwrap_or_default().saturating_mul(4).max(QUIET);
                self.phase = Phase::Quiet { until: now + quiet };
                self.has_begun = true;
                Some(Pace::Still)
            }
            Phase::Waiting { until } if now < until => None,
            // It went down: what was counted counts.
            Phase::Counting { before, .. } if !is_up => self.end(before, sent, answered),
            Phase::Draining { before, sent, .. } if !is_up => self.end(before, sent, answered),
            _ if !is_up => self.done(),
            Phase::Waiting { .. } => self.done(),
            Phase::Quiet { until: end } => {
                if now < end {
                    return None;
                }
                let until = until + PING_INTERVAL.saturating_mul(self.count);
                self.phase = Phase::Counting { before: Counted { sent, answered }, until };
                Some(Pace::Brisk)
            }
            Phase::Counting { before, until: end } => {
                if sent.saturating_sub(before.sent) < self.count.into() && now < end {
                    return None;
                }
                self.phase = Phase::Draining { before, sent, until };
                Some(Pace::Still)
            }
            Phase::Draining { before, sent, until: end } => {
                self.count_up(before, sent, answered);
                if self.result.is_some_and(|result| result.answered < result.sent) && now < end {
                    return None;
                }
                self.phase = Phase::Settling { until };
                Some(Pace::Brisk)
            }
            Phase::Settling { until } if reading.is_settled || now >= until => self.done(),
            Phase::Settling { .. } => None,
        }
    }

    fn end(&mut self, before: Counted, sent: u64, answered: u64) -> Option<Pace> {
        self.count_up(before, sent, answered);
        self.done()
    }

    fn count_up(&mut self, before: Counted, sent: u64, answered: u64) {
        let sent = sent.saturating_sub(before.sent);
        // An answer to a ping from before, that came very late, is not one too many.
        let answered = answered.saturating_sub(before.answered).min(sent);
        self.result = Some(Counted { sent, answered });
    }

    /// The link stays as it is, with pings as in the beginning: the peer may not be done.
    fn done(&mut self) -> Option<Pace> {
        self.phase = Phase::Done;
        Some(Pace::Brisk)
    }
}

/// Time between two pings.
pub(crate) const PING_INTERVAL: Duration = Duration::from_millis(50);
/// How long answers to earlier pings are waited for before pings are counted.
const QUIET: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    /// A link whose pings are answered as a list says, the last entry for ever after.
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
            Self { reading, pace: Pace::Brisk, answers: answers.to_vec() }
        }

        /// Lets a ping's time pass.
        fn tick(&mut self, probe: &mut Probe) {
            self.reading.now += PING_INTERVAL;
            if self.pace == Pace::Brisk {
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

    const PATIENCE: Duration = Duration::from_secs(10);

    fn run(link: &mut Link, up_after: u32, probe: &mut Probe) {
        for tick in 0..10_000 {
            link.reading.is_up = tick >= up_after;
            link.tick(probe);
            if probe.is_done() {
                return;
            }
        }
        panic!("it does not end: {probe:?}");
    }

    #[test]
    fn pings_from_before_the_peer_was_there_are_not_lost_ones() {
        let mut link = Link::new(&[&[false; 50][..], &[true]].concat());
        let mut probe = Probe::new(link.reading.now, 20, PATIENCE);
        assert!(!probe.has_begun());
        run(&mut link, 55, &mut probe);
        assert_eq!(probe.result(), Some(Counted { sent: 20, answered: 20 }));
        assert!(probe.has_begun());
    }

    #[test]
    fn lost_pings_are_counted_and_waited_for() {
        let mut link = Link::new(&[&[true; 10][..], &[false; 5], &[true]].concat());
        let mut probe = Probe::new(link.reading.now, 20, PATIENCE);
        let start = link.reading.now;
        run(&mut link, 5, &mut probe);
        assert_eq!(probe.result(), Some(Counted { sent: 20, answered: 15 }));
        assert!(link.reading.now - start > PATIENCE, "they might have come");
    }

    #[test]
    fn a_link_that_never_comes_up_ends_with_patience_and_without_a_result() {
        let mut link = Link::new(&[false]);
        let mut probe = Probe::new(link.reading.now, 20, PATIENCE);
        let start = link.reading.now;
        run(&mut link, u32::MAX, &mut probe);
        assert_eq!((probe.result(), probe.has_begun()), (None, false));
        assert!(link.reading.now - start < PATIENCE * 2);
    }

    #[test]
    fn a_link_that_goes_down_ends_it_with_what_was_counted() {
        let mut link = Link::new(&[true]);
        let mut probe = Probe::new(link.reading.now, 20, PATIENCE);
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
    fn a_link_that_goes_down_at_once_was_up_all_the_same() {
        let mut link = Link::new(&[true]);
        let mut probe = Probe::new(link.reading.now, 20, PATIENCE);
        link.reading.is_up = true;
        link.tick(&mut probe);
        link.reading.is_up = false;
        link.tick(&mut probe);
        assert!(probe.is_done() && probe.has_begun());
        assert_eq!(probe.result(), None);
    }

    #[test]
    fn other_things_are_waited_for_but_not_for_ever() {
        let mut link = Link::new(&[true]);
        link.reading.is_settled = false;
        let mut probe = Probe::new(link.reading.now, 5, PATIENCE);
        let start = link.reading.now;
        run(&mut link, 0, &mut probe);
        assert_eq!(probe.result(), Some(Counted { sent: 5, answered: 5 }));
        assert!(link.reading.now - start > PATIENCE);
    }
}
