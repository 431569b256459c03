//! One path MTU probe of a link: when it is sent again, when it counts as lost, and which reply
//! answers it (`docs/protocol.md`, "Probes").

use std::time::{Duration, Instant};

use super::conditions::Conditions;

/// A probe that waits for its reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// The length of the whole IP packet, in bytes.
    pub(super) onwire: usize,
    evidence: Evidence,
    cookie: u16,
    /// How many replies with another cookie came since the cookie was chosen.
    wrong: u32,
    sends: u32,
    /// How many of them were not answered although the path worked.
    lost: u32,
    first_sent: Instant,
    last_sent: Instant,
    lost_at: Instant,
    /// `true` if a pong came between the first and the last time it was sent.
    path_works: bool,
}

/// What shows that the path works at all, without which a probe never counts as lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Evidence {
    /// A pong between the first and the last time that the probe was sent.
    OnePong,
    /// A pong after each of the last times. Each is accompanied by a ping.
    PongEach,
}

/// A probe that has to leave now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct OutgoingProbe {
    /// The length of the whole IP packet, in bytes.
    pub(crate) onwire: usize,
    /// What the reply has to return.
    pub(crate) cookie: u16,
    /// `true` if a ping has to leave with it.
    pub(crate) with_ping: bool,
}

/// What to do with a probe that waits for its reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ProbeStep {
    /// It waits for its reply.
    Wait,
    /// It has to be sent again.
    Again,
    /// It was sent often enough without a reply.
    Lost,
}

impl Probe {
    /// Creates a probe, to be sent with [`Probe::send`]. Its cookie is not that of `before`, whose
    /// reply may still come.
    pub(super) fn new(
        now: Instant,
        onwire: usize,
        evidence: Evidence,
        before: u16,
        conditions: &Conditions,
    ) -> Self {
        Self {
            onwire,
            evidence,
            cookie: other_cookie(before, conditions),
            wrong: 0,
            sends: 0,
            lost: 0,
            first_sent: now,
            last_sent: now,
            lost_at: now,
            path_works: false,
        }
    }

    /// Notes that it is sent now.
    pub(super) fn send(&mut self, now: Instant, conditions: &Conditions) -> OutgoingProbe {
        if self.wrong >= MAX_WRONG {
            (self.cookie, self.wrong) = (other_cookie(self.cookie, conditions), 0);
        }
        // The first probes follow each other quickly; the others allow for an interruption to end.
        let pause = FIRST_PAUSE * (1 << self.sends.min(MAX_DOUBLINGS));
        self.sends = self.sends.saturating_add(1);
        (self.last_sent, self.lost_at) = (now, now + conditions.patience.max(pause));
        self.path_works = pong_since(self.first_sent, conditions);
        let with_ping = self.evidence == Evidence::PongEach;
        OutgoingProbe { onwire: self.onwire, cookie: self.cookie, with_ping }
    }

    /// Returns when to call [`Probe::poll`] next.
    pub(super) fn next_timeout(&self) -> Instant {
        self.lost_at
    }

    /// Returns `true` if it has been sent once only.
    pub(super) fn is_first(&self) -> bool {
        self.sends == 1
    }

    /// Returns what to do with it now.
    pub(super) fn poll(&mut self, now: Instant, conditions: &Conditions) -> ProbeStep {
        if now < self.lost_at {
            return ProbeStep::Wait;
        }
        let is_lost = match self.evidence {
            Evidence::OnePong => self.sends >= MAX_SENDS && self.path_works,
            Evidence::PongEach => {
                self.lost += u32::from(pong_since(self.last_sent, conditions));
                self.lost >= MAX_SENDS
            }
        };
        if is_lost { ProbeStep::Lost } else { ProbeStep::Again }
    }

    /// Returns `true` if a reply with this cookie answers it. After several wrong ones, which
    /// somebody guessed, none does until it is sent again with another cookie.
    pub(super) fn is_answer(&mut self, cookie: u16) -> bool {
        if self.wrong < MAX_WRONG && cookie == self.cookie {
            return true;
        }
        self.wrong = self.wrong.saturating_add(1);
        false
    }
}

fn pong_since(sent: Instant, conditions: &Conditions) -> bool {
    conditions.last_pong.is_some_and(|pong| pong > sent)
}

/// Returns a fresh cookie that is not `before`.
fn other_cookie(before: u16, conditions: &Conditions) -> u16 {
    let fresh = conditions.fresh_cookie;
    if fresh == before { fresh.wrapping_add(1) } else { fresh }
}

/// How often a probe is sent at least before its size counts as too long.
const MAX_SENDS: u32 = 4;
/// The least time to wait for the reply to the first probe, however quick the pongs are: a long
/// packet takes longer.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How often that time doubles.
const MAX_DOUBLINGS: u32 = 2;
/// How many wrong replies are put up with. Late replies to the probe before are among them.
const MAX_WRONG: u32 = 8;
