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
    /// Whether a reply came since it was last sent that does not answer it yet.
    heard: Heard,
    /// How many times it was doubtfully answered.
    doubtful: u32,
    /// How many times in a row the reply came among too many wrong ones.
    drowned: u32,
    sends: u32,
    /// How many times in a row it was not answered although the path worked.
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

/// What came since a probe was last sent, apart from replies with a wrong cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    Nothing,
    /// A reply with its cookie, which may have been guessed.
    Doubtful,
    /// A reply with its cookie, after wrong ones that are enough to guess any cookie.
    Drowned,
}

/// What a reply means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// Nothing: its cookie is wrong, or was returned before.
    None,
    /// The probe may have arrived, or somebody has guessed its cookie.
    Doubtful,
    /// The probe has arrived.
    Answer,
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
            heard: Heard::Nothing,
            doubtful: 0,
            drowned: 0,
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
        if self.wrong >= MAX_WRONG || self.heard != Heard::Nothing {
            (self.cookie, self.wrong) = (other_cookie(self.cookie, conditions), 0);
        }
        self.heard = Heard::Nothing;
        // The first probes follow each other quickly; the others allow for an interruption to end.
        // Those that are drowned by a flood follow each other more and more slowly.
        let doublings = self.sends.min(MAX_DOUBLINGS) + self.drowned.min(MAX_DROWNED_DOUBLINGS);
        let pause = FIRST_PAUSE * (1 << doublings);
        self.sends = self.sends.saturating_add(1);
        (self.last_sent, self.lost_at) = (now, now + conditions.patience.max(pause));
        self.path_works = pong_since(self.first_sent, conditions);
        let with_ping = self.evidence == Evidence::PongEach;
        OutgoingProbe { onwire: self.onwire, cookie: self.cookie, with_ping }
    }

    /// Returns when to call [`Probe::poll`] next.
    pub(super) fn next_timeout(&self) -> Instant {
        // A doubtful answer is confirmed at once.
        if self.heard == Heard::Doubtful { self.last_sent } else { self.lost_at }
    }

    /// Returns `true` if it has been sent once only, without a credible answer.
    pub(super) fn is_first(&self) -> bool {
        self.sends == 1 && self.doubtful == 0
    }

    /// Returns what to do with it now.
    ///
    /// Wrong replies are no evidence of anything: a probe is lost only if no reply had its cookie.
    pub(super) fn poll(&mut self, now: Instant, conditions: &Conditions) -> ProbeStep {
        if now < self.next_timeout() {
            return ProbeStep::Wait;
        }
        if self.heard == Heard::Drowned {
            self.drowned += 1;
            return ProbeStep::Again;
        }
        self.drowned = 0;
        if self.heard == Heard::Doubtful {
            return ProbeStep::Again;
        }
        let (counts, path_works) = match self.evidence {
            Evidence::OnePong => (true, self.path_works),
            Evidence::PongEach => (pong_since(self.last_sent, conditions), true),
        };
        self.lost = self.lost.saturating_add(u32::from(counts));
        if self.lost >= MAX_SENDS && path_works { ProbeStep::Lost } else { ProbeStep::Again }
    }

    /// Returns what a reply with this cookie means (`docs/protocol.md`, "Floods of replies").
    pub(super) fn reply(&mut self, cookie: u16) -> Reply {
        if cookie != self.cookie {
            self.wrong = self.wrong.saturating_add(1);
            return Reply::None;
        }
        if self.heard != Heard::Nothing {
            return Reply::None;
        }
        if self.wrong < MAX_WRONG {
            return Reply::Answer;
        }
        if self.wrong >= MAX_WRONG_DOUBTFUL {
            self.heard = Heard::Drowned;
            return Reply::None;
        }
        (self.doubtful, self.lost) = (self.doubtful + 1, 0);
        if self.doubtful >= ENOUGH_DOUBTFUL {
            return Reply::Answer;
        }
        self.heard = Heard::Doubtful;
        Reply::Doubtful
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
/// How often that time doubles once more while a flood of replies goes on: up to 6.4 s.
const MAX_DROWNED_DOUBLINGS: u32 = 4;
/// How many wrong replies leave the right one beyond doubt. Late replies to the probe before are
/// among them. Four probes give a guesser a chance of 1 in 2048.
const MAX_WRONG: u32 = 8;
/// How many wrong replies leave the right one credible at all.
const MAX_WRONG_DOUBTFUL: u32 = 1024;
/// How many doubtful answers are one: a guesser's chance of that many, each within four probes, is 1
/// in 4096.
const ENOUGH_DOUBTFUL: u32 = 3;
