//! The heartbeat of one link: when to ping, what a pong means, when silence means down
//! (`docs/protocol.md`, "Heartbeat").
//!
//! The back-off of the timeout (tenfold at first, one less per second) is a function of the time
//! since it started, so no timer has to count it down.
//!
//! A ping that is not answered in time is repeated soon. Without that, two lost pings in a row
//! would take a link with default timers down, which happens every hour at 1 % loss.

use std::time::{Duration, Instant};

use crate::config::PingTimers;

/// The state of one link's heartbeat.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    timers: PingTimers,
    pong_count: u8,
    /// Pongs in time since the link went down, at most `pong_count`.
    good_pongs: u8,
    last_ping: Option<Instant>,
    /// The last ping is the first one since the heartbeat was started.
    is_first_ping: bool,
    /// When the last authentic pong came; `None` after the link went down, until the next one.
    last_pong: Option<Instant>,
    /// When the newest ping that was answered left. Pongs of older pings are duplicates or late.
    newest_answered: Option<Instant>,
    backoff_since: Instant,
    /// When the timers were set. Silence before that does not count.
    timers_since: Instant,
    /// For how long since the last pong the driver did not run.
    stalled: Duration,
    latency: Latency,
}

/// The effect of a pong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pong {
    /// None: it is a duplicate of one that was counted, or older than that.
    Stale,
    /// It took longer than the timeout: the peer is alive, but the link is not usable.
    Late,
    /// It was counted, and there are enough now to bring the link up.
    Enough,
    /// It was counted, and more are needed.
    Counted,
}

impl Heartbeat {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            timers: PingTimers::default(),
            pong_count: crate::config::DEFAULT_PONG_COUNT,
            good_pongs: 0,
            last_ping: None,
            is_first_ping: false,
            last_pong: None,
            newest_answered: None,
            backoff_since: now,
            timers_since: now,
            stalled: Duration::ZERO,
            latency: Latency::default(),
        }
    }

    /// Starts the heartbeat of an enabled link. The first ping is due at once.
    pub(crate) fn start(&mut self, now: Instant) {
        self.restart(now);
        self.last_ping = None;
    }

    /// Forgets all pongs, because the link went down. Pings continue at their interval.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.good_pongs = 0;
        self.last_pong = None;
        self.stalled = Duration::ZERO;
        self.backoff_since = now;
    }

    pub(crate) fn set_timers(&mut self, now: Instant, timers: PingTimers) {
        self.timers = timers;
        self.timers_since = now;
        self.stalled = Duration::ZERO;
    }

    pub(crate) fn set_pong_count(&mut self, count: u8) {
        self.pong_count = count;
        self.good_pongs = self.good_pongs.min(count);
    }

    /// Notes that a ping leaves now.
    pub(crate) fn ping_sent(&mut self, now: Instant) {
        self.is_first_ping = self.last_ping.is_none();
        self.last_ping = Some(now);
    }

    /// Returns `true` if a pong whose ping left at `sent` is neither a duplicate nor too late to
    /// show where the peer is now.
    pub(crate) fn is_current(&self, now: Instant, sent: Instant) -> bool {
        self.newest_answered.is_none_or(|newest| sent > newest)
            && now.saturating_duration_since(sent) <= self.timers.timeout
    }

    /// Handles an authentic pong whose ping left at `sent`.
    pub(crate) fn pong_received(&mut self, now: Instant, sent: Instant) -> Pong {
        if self.newest_answered.is_some_and(|newest| sent <= newest) {
            return Pong::Stale;
        }
        self.newest_answered = Some(sent);
        self.last_pong = Some(now);
        self.stalled = Duration::ZERO;
        let round_trip = now.saturating_duration_since(sent);
        if round_trip > self.timers.timeout {
            return Pong::Late;
        }
        self.latency.add(round_trip, self.timers.precision);
        if self.latency.mean().is_some_and(|mean| mean >= self.patience(now)) {
            return Pong::Late;
        }
        self.good_pongs = self.good_pongs.saturating_add(1).min(self.pong_count);
        if self.good_pongs == self.pong_count { Pong::Enough } else { Pong::Counted }
    }

    /// Notes that the driver did not run for `duration` until now. That time does not count as
    /// silence: pongs may wait in the socket, and no pings left.
    pub(crate) fn add_stall(&mut self, now: Instant, duration: Duration) {
        // The time before the last pong is over.
        let Some(waiting) = self.waiting_since() else { return };
        let waited = now.saturating_duration_since(waiting);
        self.stalled = self.stalled.saturating_add(duration.min(waited));
    }

    /// Returns how long the link has been silent if that is too long.
    pub(crate) fn expired(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.last_pong?);
        let waited = now.saturating_duration_since(self.waiting_since()?);
        (waited >= self.patience(now)).then_some(silence)
    }

    /// Returns when the next ping has to leave: `now` if none has left yet, `None` if the interval
    /// is longer than the clock can represent.
    pub(crate) fn next_ping(&self, now: Instant) -> Option<Instant> {
        let Some(last) = self.last_ping else { return Some(now) };
        // A link that is silent anyway misses no answer. But the first ping may have come before its
        // peer knew the process that sent it.
        let expected = self.last_pong.is_some() || self.is_first_ping;
        let missed = expected && self.is_unanswered();
        let interval = self.timers.interval;
        last.checked_add(if missed { self.answer_time().min(interval) } else { interval })
    }

    /// Returns `true` if the latest ping was not answered yet, or none has left.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.last_ping.is_none() || self.newest_answered < self.last_ping
    }

    /// Returns after how long an unanswered ping is repeated.
    pub(crate) fn answer_time(&self) -> Duration {
        let round_trip = self.latency.mean().unwrap_or_default();
        (self.timers.interval / REPEATS).max(round_trip.saturating_mul(2)).max(LEAST_ANSWER_TIME)
    }

    /// Returns the time between two pings of a check. A check waits four times as long for the
    /// answer to its first ping.
    pub(crate) fn check_spacing(&self) -> Duration {
        let mean = self.latency.mean().unwrap_or_default();
        // The mean of thousands of round trips follows a path that has become longer only slowly.
        mean.max(self.latency.last).max(LEAST_ANSWER_TIME)
    }

    /// Returns the earliest time at which [`Heartbeat::expired`] returns a silence if no pong
    /// comes.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let since = self.waiting_since()?;
        // The timeout falls in steps: find the first step inside which it expires.
        for backoff in (1..=BACKOFF_START).rev() {
            let step = self.backoff_since + BACKOFF_STEP * (BACKOFF_START - backoff);
            let Some(runs_out) = since.checked_add(self.patience_at(backoff)) else { continue };
            let runs_out = runs_out.max(step);
            if backoff == 1 || runs_out < step + BACKOFF_STEP {
                return Some(runs_out);
            }
        }
        None
    }

    pub(crate) fn timers(&self) -> PingTimers {
        self.timers
    }

    pub(crate) fn pong_count(&self) -> u8 {
        self.pong_count
    }

    pub(crate) fn good_pongs(&self) -> u8 {
        self.good_pongs
    }

    /// Returns `true` if enough pongs came in time to bring the link up.
    pub(crate) fn is_good(&self) -> bool {
        self.good_pongs == self.pong_count
    }

    pub(crate) fn last_pong(&self) -> Option<Instant> {
        self.last_pong
    }

    /// Returns when the newest ping that was answered left.
    pub(crate) fn newest_answered(&self) -> Option<Instant> {
        self.newest_answered
    }

    /// Resets the lowest and the highest mean latency.
    pub(crate) fn forget_latency_range(&mut self) {
        self.latency.range = None;
    }

    pub(crate) fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Returns from when on silence counts, or `None` if no pong is expected.
    fn waiting_since(&self) -> Option<Instant> {
        self.last_pong?.max(self.timers_since).checked_add(self.stalled)
    }

    /// Returns the timeout that applies now (`docs/protocol.md`, "Adaptive timeout").
    fn patience(&self, now: Instant) -> Duration {
        let steps = now.saturating_duration_since(self.backoff_since).as_secs();
        // At most BACKOFF_START, so it fits.
        let steps = u32::try_from(steps).unwrap_or(BACKOFF_START);
        self.patience_at(BACKOFF_START.saturating_sub(steps).max(1))
    }

    fn patience_at(&self, backoff: u32) -> Duration {
        let latency = self.latency.mean().unwrap_or_default();
        self.timers.timeout.saturating_mul(backoff).saturating_add(latency.saturating_mul(2))
    }
}

/// The running mean of a link's round trips, and its range.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latency {
    samples: u32,
    mean_nanos: u64,
    /// The latest round trip.
    last: Duration,
    /// The lowest and the highest mean, in nanoseconds.
    range: Option<(u64, u64)>,
}

impl Latency {
    fn add(&mut self, sample: Duration, precision: u32) {
        self.last = sample;
        let sample = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        self.samples = self.samples.saturating_add(1).min(precision);
        let n = u128::from(self.samples);
        // The result lies between the old mean and the sample, so it fits into 64 bits.
        let mean = (u128::from(self.mean_nanos) * (n - 1) + u128::from(sample)) / n;
        self.mean_nanos = u64::try_from(mean).unwrap_or(u64::MAX);
        let (min, max) = self.range.unwrap_or((u64::MAX, 0));
        self.range = Some((min.min(self.mean_nanos), max.max(self.mean_nanos)));
    }

    pub(crate) fn samples(&self) -> u32 {
        self.samples
    }

    pub(crate) fn mean(&self) -> Option<Duration> {
        (self.samples > 0).then(|| Duration::from_nanos(self.mean_nanos))
    }

    pub(crate) fn min(&self) -> Option<Duration> {
        self.range.map(|(min, _)| Duration::from_nanos(min))
    }

    pub(crate) fn max(&self) -> Option<Duration> {
        self.range.map(|(_, max)| Duration::from_nanos(max))
    }
}

/// The factor of the timeout at the start (`KNET_LINK_PONG_TIMEOUT_BACKOFF`).
const BACKOFF_START: u32 = 10;
/// How long each step of the back-off lasts.
const BACKOFF_STEP: Duration = Duration::from_secs(1);

/// How many pings leave per interval if none is answered.
const REPEATS: u32 = 4;
/// The least time to wait for an answer: a busy peer may take that long, however quick the link is.
const LEAST_ANSWER_TIME: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
