//! Reports to the application about messages that its datafds did not take.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use knet_channel::{Channel, ChannelSet};

use crate::core::shared::Shared;
use crate::datafds::table::Entry;
use crate::errno::EAGAIN;
use crate::event::{DatafdEvent, DatafdProblem, Direction};

/// The losses of all channels that have not been reported.
///
/// The first loss is reported at once, those that follow together after [`REPORT_INTERVAL`], so that a
/// stuck reader is not flooded with events.
#[derive(Debug)]
pub(crate) struct LossReports {
    reports: [LossReport; Channel::COUNT],
    /// The channels whose report has a time, which timers ask about after every batch: none, but for a
    /// slow reader.
    timed: ChannelSet,
}

/// What the datafd of a channel lost since the last report.
#[derive(Clone, Debug, Default)]
struct LossReport {
    /// The datafd: it is not blamed for what its predecessor on the channel lost.
    datafd: Weak<Entry>,
    /// How many messages found it full.
    full: u64,
    /// How many messages could not be written for another reason, and the last one's errno.
    failed: u64,
    errno: i32,
    /// The time before which nothing is reported.
    not_before: Option<Instant>,
}

impl LossReports {
    pub(crate) fn new() -> Self {
        let reports = std::array::from_fn(|_| LossReport::default());
        Self { reports, timed: ChannelSet::default() }
    }

    /// Records that a message could not be written to a datafd, and reports it if nothing was reported
    /// a moment ago.
    pub(crate) fn record(&mut self, shared: &Shared, entry: &Arc<Entry>, errno: i32) {
        let Some(report) = self.reports.get_mut(entry.channel.index()) else { return };
        report.add(entry, errno);
        report.send(shared, entry, Instant::now());
        self.timed.insert(entry.channel);
    }

    /// Reports the losses that are due. Call it when [`LossReports::next_timeout`] has come.
    pub(crate) fn handle_timeout(&mut self, shared: &Shared, now: Instant) {
        for channel in self.timed.iter() {
            let Some(report) = self.reports.get_mut(channel.index()) else { continue };
            if report.not_before.is_some_and(|at| at <= now) {
                match shared.datafds.get(channel).filter(|entry| report.is_about(entry)) {
                    Some(entry) => report.send(shared, &entry, now),
                    None => *report = LossReport::default(),
                }
            }
            if report.not_before.is_none() {
                self.timed.remove(channel);
            }
        }
    }

    /// Returns when a loss is to be reported that has not been.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let timed = self.timed.iter().filter_map(|channel| self.reports.get(channel.index()));
        let pending = timed.filter(|report| report.full + report.failed > 0);
        pending.filter_map(|report| report.not_before).min()
    }
}

impl LossReport {
    fn is_about(&self, entry: &Arc<Entry>) -> bool {
        std::ptr::eq(self.datafd.as_ptr(), Arc::as_ptr(entry))
    }

    /// Adds a message that this datafd lost.
    fn add(&mut self, entry: &Arc<Entry>, errno: i32) {
        if !self.is_about(entry) {
            *self = Self { datafd: Arc::downgrade(entry), ..Self::default() };
        }
        if errno == EAGAIN {
            self.full += 1;
        } else {
            self.failed += 1;
            self.errno = errno;
        }
    }

    fn send(&mut self, shared: &Shared, entry: &Entry, now: Instant) {
        for problem in self.take(now).into_iter().flatten() {
            shared.notices.push_datafd(DatafdEvent {
                id: entry.id(),
                datafd: entry.number,
                channel: entry.channel,
                direction: Direction::Rx,
                problem,
            });
        }
    }

    /// Takes out the problems to report now: none if some were reported a moment ago.
    fn take(&mut self, now: Instant) -> [Option<DatafdProblem>; 2] {
        if self.not_before.is_some_and(|at| now < at) {
            return [None; 2];
        }
        let Self { full, failed, errno, .. } = *self;
        let any = full + failed > 0;
        self.not_before = any.then(|| now + REPORT_INTERVAL);
        (self.full, self.failed) = (0, 0);
        [
            (full > 0).then_some(DatafdProblem::Full { messages: full }),
            (failed > 0).then_some(DatafdProblem::WriteFailed { errno, messages: failed }),
        ]
    }
}

/// A channel reports at most one event of each kind in this time (`docs/datafd.md`, "Slow readers").
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use knet_fd::{PairType, SocketPair};
    use knet_poller::Token;

    use super::*;
    use crate::datafds::table::{Origin, Traffic};
    use crate::errno::EPIPE;

    fn datafd() -> Arc<Entry> {
        let pair = SocketPair::new(PairType::SeqPacket, 4096).unwrap();
        let (channel, traffic) = (Channel::ALL[0], Traffic::Messages);
        Arc::new(Entry::new(Token(0), channel, 5, traffic, pair.left, Origin::Lent))
    }

    #[test]
    fn losses_are_reported_at_once_and_then_every_100_ms() {
        let (entry, start) = (datafd(), Instant::now());
        let mut report = LossReport::default();
        report.add(&entry, EAGAIN);
        assert_eq!(report.take(start), [Some(DatafdProblem::Full { messages: 1 }), None]);
        report.add(&entry, EAGAIN);
        report.add(&entry, EPIPE);
        report.add(&entry, EAGAIN);
        assert_eq!(report.take(start + REPORT_INTERVAL / 2), [None; 2]);
        let both = [
            Some(DatafdProblem::Full { messages: 2 }),
            Some(DatafdProblem::WriteFailed { errno: EPIPE, messages: 1 }),
        ];
        assert_eq!(report.take(start + REPORT_INTERVAL), both);
        assert_eq!(report.take(start + 2 * REPORT_INTERVAL), [None; 2]);
        assert_eq!(report.not_before, None, "nothing to wait for");
    }

    #[test]
    fn a_datafd_is_not_blamed_for_what_its_predecessor_lost() {
        let (first, now) = (datafd(), Instant::now());
        let mut report = LossReport::default();
        report.add(&first, EAGAIN);
        assert!(report.take(now)[0].is_some());
        report.add(&first, EAGAIN);
        // It is removed, and another one with the same number is added to its channel.
        drop(first);
        let second = datafd();
        assert!(!report.is_about(&second));
        report.add(&second, EAGAIN);
        assert_eq!(report.take(now), [Some(DatafdProblem::Full { messages: 1 }), None]);
    }
}
