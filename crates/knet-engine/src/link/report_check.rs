//! The check of one link after reports that its peer cannot be reached (`docs/protocol.md`,
//! "Reports that the peer is unreachable").
//!
//! Anybody can send such a report, so it decides nothing. It starts a few pings in quick succession
//! instead: the peer that answers one of them is there, and the one that answers none is gone.
//!
//! Reports may come in floods. One check runs at a time, a pause follows each check that found the
//! peer, and the pause grows as long as there are reports. A report during a pause waits for its
//! end, unless a pong refutes it before.

use std::time::{Duration, Instant};

/// The checks of one link that is up.
#[derive(Debug, Default)]
pub(crate) struct ReportCheck {
    state: State,
    /// When the pause after the latest check ends.
    quiet_until: Option<Instant>,
    /// How long that pause is.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A report came during a pause.
    Waiting { errno: i32 },
    /// `pings` have left. The next one, or the conclusion, is due at `next`.
    Running { errno: i32, pings: u32, next: Instant },
}

/// What a check requires now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CheckStep {
    /// Nothing.
    None,
    /// A ping has to leave.
    Ping,
    /// No ping was answered: the peer cannot be reached, for the reason of this `errno`.
    Unanswered(i32),
}

impl ReportCheck {
    /// Handles a report. [`ReportCheck::poll`] has to be called next.
    pub(crate) fn report(&mut self, now: Instant, errno: i32) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        if self.quiet_until.is_none_or(|end| end + self.pause <= now) {
            self.pause = Duration::ZERO;
        }
        self.state = State::Waiting { errno };
    }

    /// Handles a pong, which refutes all reports so far.
    pub(crate) fn pong(&mut self, now: Instant) {
        if let State::Running { .. } = self.state {
            self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            self.quiet_until = Some(now + self.pause);
        }
        self.state = State::Idle;
    }

    /// Starts the check that runs over again, because the driver did not run for a while: answers
    /// may wait in the socket.
    pub(crate) fn start_over(&mut self, now: Instant) {
        if let State::Running { pings, next, .. } = &mut self.state {
            (*pings, *next) = (0, now);
        }
    }

    /// Ends the check, because the link went down.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Returns what to do now. `spacing` is the time between two pings.
    pub(crate) fn poll(&mut self, now: Instant, spacing: Duration) -> CheckStep {
        match &mut self.state {
            State::Waiting { errno } if self.quiet_until.is_none_or(|end| end <= now) => {
                self.state = State::Running { errno: *errno, pings: 1, next: now + spacing };
                CheckStep::Ping
            }
            State::Running { pings, next, .. } if *next <= now && *pings < PINGS => {
                *pings += 1;
                *next = now + spacing;
                CheckStep::Ping
            }
            State::Running { errno, next, .. } if *next <= now => CheckStep::Unanswered(*errno),
            State::Idle | State::Waiting { .. } | State::Running { .. } => CheckStep::None,
        }
    }

    /// Returns when to call [`ReportCheck::poll`] next.
    pub(crate) fn next_timeout(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Waiting { .. } => Some(self.quiet_until.unwrap_or(now)),
            State::Running { next, .. } => Some(next),
        }
    }
}

/// How many pings a check sends before it concludes that the peer is gone.
const PINGS: u32 = 4;
/// The pause after the first check.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, and by how much a flood of forged reports can delay finding that the peer
/// really is gone.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

#[cfg(test)]
mod tests;
