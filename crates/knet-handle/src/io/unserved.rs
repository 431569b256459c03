//! Sources that are reported as ready and cannot be served.
//!
//! The kernel goes on to report such a source, so a thread that only tries again takes a whole processor.
//! The source is taken out of the poller instead, for a time that grows while it cannot be served.

use std::time::{Duration, Instant};

/// What a thread knows of such sources, which are empty in the usual case.
#[derive(Debug)]
pub(crate) struct Unserved<K> {
    sources: Vec<Source<K>>,
}

#[derive(Debug)]
struct Source<K> {
    key: K,
    /// How many times in a row it was reported as ready without an error, and there was nothing.
    empty: u32,
    /// The length of its last pause since it was served; zero before the first.
    pause: Duration,
    /// Whether it was paused since it is remembered, so that this was logged.
    known: bool,
    /// When the pause ends, until it has ended.
    until: Option<Instant>,
    /// Whether the last try failed.
    failing: bool,
    /// When it could not be served last.
    last: Instant,
}

/// What to do about a source that could not be served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Nothing: it may have been served by another thread.
    Ignore,
    /// Take it out of the poller until [`Unserved::take_due`] returns it.
    Pause {
        /// Whether it could be served until now, which is to be logged.
        is_new: bool,
    },
}

impl<K> Default for Unserved<K> {
    fn default() -> Self {
        Self { sources: Vec::new() }
    }
}

impl<K: Copy + Eq> Unserved<K> {
    /// Records that serving a source failed, and pauses it for `longest` at most.
    pub(crate) fn record_failure(&mut self, key: K, now: Instant, longest: Duration) -> Step {
        let source = self.source(key, now);
        source.failing = true;
        source.pause = (2 * source.pause).max(FIRST_PAUSE).min(longest);
        source.last = now;
        source.start_pause(now, source.pause)
    }

    /// Records that a source was reported as ready and there was nothing to serve. Anybody can cause that for a
    /// UDP socket, by datagrams with a wrong checksum, so its pauses are short and do not grow, unless that
    /// `is_failure` because of an error.
    pub(crate) fn record_empty(&mut self, key: K, now: Instant, is_failure: bool) -> Step {
        let source = self.source(key, now);
        source.empty = source.empty.saturating_add(1);
        source.last = now;
        match (source.empty < MAX_EMPTY, is_failure) {
            (true, _) => Step::Ignore,
            (false, false) => source.start_pause(now, FIRST_PAUSE),
            (false, true) => self.record_failure(key, now, LONGEST_PAUSE),
        }
    }

    /// Records that a source was served. Returns `true` if it could not be until now.
    pub(crate) fn record_success(&mut self, key: K) -> bool {
        if self.sources.is_empty() {
            return false;
        }
        let Some(source) = self.sources.iter_mut().find(|source| source.key == key) else {
            return false;
        };
        source.empty = 0;
        source.pause = Duration::ZERO;
        std::mem::take(&mut source.failing)
    }

    /// Returns a source whose pause has ended, once. Put it back into the poller.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<K> {
        if self.sources.is_empty() {
            return None;
        }
        self.sources.retain(|source| source.is_remembered(now));
        let due = |source: &&mut Source<K>| source.until.is_some_and(|until| until <= now);
        let source = self.sources.iter_mut().find(due)?;
        source.until = None;
        Some(source.key)
    }

    /// Returns when [`Unserved::take_due`] has something to return.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.sources.iter().filter_map(|source| source.until).min()
    }

    fn source(&mut self, key: K, now: Instant) -> &mut Source<K> {
        self.sources.retain(|source| source.is_remembered(now));
        let at = self.sources.iter().position(|source| source.key == key).unwrap_or_else(|| {
            let (pause, known, failing) = (Duration::ZERO, false, false);
            let (empty, until, last) = (0, None, now);
            self.sources.push(Source { key, empty, pause, known, until, failing, last });
            self.sources.len() - 1
        });
        &mut self.sources[at]
    }
}

impl<K> Source<K> {
    fn start_pause(&mut self, now: Instant, pause: Duration) -> Step {
        self.until = Some(now + pause);
        Step::Pause { is_new: !std::mem::replace(&mut self.known, true) }
    }

    /// Returns `true` while a failure would continue those before. One that works now and then is
    /// logged once.
    fn is_remembered(&self, now: Instant) -> bool {
        self.until.is_some() || now.saturating_duration_since(self.last) < MEMORY
    }
}

/// How long the first pause is. Each further one is twice as long, until the source is served.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause of a source of which nothing can be read.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of a poller: timers are served, and the end of the handle is noticed, after it.
pub(crate) const LONGEST_POLLER_PAUSE: Duration = Duration::from_millis(100);
/// How many times in a row a source may be reported as ready although there is nothing: another thread may
/// have been faster.
const MAX_EMPTY: u32 = 8;
/// After how long without a failure a source counts as healthy.
const MEMORY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_grow_up_to_the_longest_and_only_the_first_is_new() {
        let (mut unserved, mut now) = (Unserved::default(), Instant::now());
        for (number, millis) in
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000].iter().enumerate()
        {
            let step = unserved.record_failure(7, now, LONGEST_PAUSE);
            assert_eq!(step, Step::Pause { is_new: number == 0 });
            assert_eq!(unserved.next_timeout(), Some(now + *millis * MILLI));
            assert_eq!(unserved.take_due(now), None);
            now += *millis * MILLI;
            assert_eq!(unserved.take_due(now), Some(7));
            assert_eq!((unserved.take_due(now), unserved.next_timeout()), (None, None));
        }
    }

    #[test]
    fn a_source_that_works_now_and_then_is_new_only_once_a_minute() {
        let (mut unserved, mut now) = (Unserved::default(), Instant::now());
        assert!(!unserved.record_success(7));
        for is_new in [true, false, false] {
            assert_eq!(unserved.record_failure(7, now, LONGEST_PAUSE), Step::Pause { is_new });
            now += MILLI * 10;
            assert_eq!(unserved.take_due(now), Some(7));
            assert!(unserved.record_success(7) && !unserved.record_success(7));
        }
        now += MEMORY;
        assert_eq!(unserved.take_due(now), None);
        assert!(unserved.sources.is_empty(), "it is forgotten");
        assert_eq!(unserved.record_failure(7, now, LONGEST_PAUSE), Step::Pause { is_new: true });
    }

    #[test]
    fn a_source_that_is_ready_and_empty_again_and_again_pauses() {
        let (mut unserved, now) = (Unserved::default(), Instant::now());
        for _ in 0..3 {
            for _ in 1..MAX_EMPTY {
                assert_eq!(unserved.record_empty(7, now, false), Step::Ignore);
            }
            assert!(!unserved.record_success(7));
        }
        for _ in 1..MAX_EMPTY {
            assert_eq!(unserved.record_empty(7, now, false), Step::Ignore);
        }
        assert_eq!(unserved.record_empty(7, now, false), Step::Pause { is_new: true });
    }

    #[test]
    fn nobody_makes_a_source_pause_for_long_by_what_is_discarded() {
        let (mut unserved, mut now) = (Unserved::default(), Instant::now());
        for _ in 0..1000 {
            if let Step::Pause { .. } = unserved.record_empty(7, now, false) {
                assert_eq!(unserved.next_timeout(), Some(now + FIRST_PAUSE));
                now += FIRST_PAUSE;
                assert_eq!(unserved.take_due(now), Some(7));
            }
        }
        assert!(!unserved.record_success(7));
    }

    #[test]
    fn pauses_begin_short_again_once_the_source_is_served() {
        let (mut unserved, mut now) = (Unserved::default(), Instant::now());
        for _ in 0..20 {
            assert!(matches!(unserved.record_failure(7, now, LONGEST_PAUSE), Step::Pause { .. }));
            assert_eq!(unserved.next_timeout(), Some(now + FIRST_PAUSE));
            now += 2 * FIRST_PAUSE;
            assert_eq!(unserved.take_due(now), Some(7));
            assert!(unserved.record_success(7));
        }
    }
}
