//! The test of one link.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kronosnet::{DownReason, Error, Link, LinkState, LinkStatus, PingTimers};

use crate::check::facts::{Facts, PeerView, Stray, is_refusal};
use crate::check::plan::PlannedLink;
use crate::check::probe::{PING_INTERVAL, Pace, PingCount, Probe, Reading};
use crate::check::report::LinkReport;
use crate::output::micros;

/// A link under test.
#[derive(Debug)]
pub(crate) struct LinkTest {
    pub(crate) link: Link,
    probe: Probe,
    /// The status when the test ended. The peer may end right afterwards, which must not count.
    last: Option<LinkStatus>,
    timers: PingTimers,
    heard: Heard,
}

/// What was heard from the address of the peer, whether the link came up or not.
#[derive(Debug, Default)]
struct Heard {
    pings: u64,
    at: Option<Instant>,
    stray: Option<Stray>,
    is_refused: bool,
    from_other_port: bool,
    /// Where packets came from that claim to be the peer's.
    elsewhere: Option<SocketAddr>,
}

impl Heard {
    fn note(&mut self, now: Instant, status: &LinkStatus) {
        let pings = status.stats.rx_ping_packets;
        let stray = match status.state {
            LinkState::Down(DownReason::WrongHost { host }) => Some(Stray::Host(host)),
            LinkState::Down(DownReason::WrongLink { link }) => Some(Stray::Link(link)),
            _ => None,
        };
        // A ping from the planned port would replace the refusal as the reason.
        let is_refused = matches!(status.state, LinkState::Down(reason) if is_refusal(reason));
        if pings > self.pings {
            self.from_other_port = self.is_refused && is_refused;
        }
        self.is_refused = is_refused;
        if pings > self.pings || stray.is_some() {
            self.at = Some(now);
        }
        self.pings = pings;
        self.stray = stray.or(self.stray);
    }

    /// Returns `true` if something was heard within the last second, or so.
    fn is_recent(&self, now: Instant) -> bool {
        self.at.is_some_and(|at| now.saturating_duration_since(at) < RECENT)
    }
}

impl LinkTest {
    /// Starts the test of a link that has just been enabled.
    pub(crate) fn new(link: Link, count: u32, timeout: Duration, timers: PingTimers) -> Self {
        let probe = Probe::new(Instant::now(), count, timeout);
        Self { link, probe, last: None, timers, heard: Heard::default() }
    }

    /// Continues the test. Returns `true` once it has ended.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn step(&mut self) -> Result<bool, Error> {
        let (now, status) = (Instant::now(), self.link.status()?);
        self.heard.note(now, &status);
        if self.probe.is_done() {
            return Ok(true);
        }
        let pace = self.probe.step(&Reading {
            now,
            is_up: status.state.is_up(),
            sent: status.stats.tx_ping_packets,
            answered: status.stats.rx_pong_packets,
            latency: status.latency,
            is_settled: status.stats.rx_ping_packets > 0
                && status.path_mtu.is_some()
                && !status.searching_mtu,
        });
        if self.probe.is_done() {
            self.last = Some(status);
        }
        if let Some(pace) = pace {
            let interval = match pace {
                Pace::Active => PING_INTERVAL,
                Pace::Paused => NEVER,
            };
            // A pause is not silence: the timeout ends after the next ping would have left.
            let timeout = self.timers.timeout.max(interval.saturating_mul(2));
            self.link.set_ping_timers(PingTimers { interval, timeout, ..self.timers })?;
        }
        Ok(self.probe.is_done())
    }

    /// Notes that a packet which claims to be the peer's came from this address, and was rejected.
    pub(crate) fn note_elsewhere(&mut self, source: SocketAddr) {
        self.heard.elsewhere = Some(source);
    }

    /// Returns `true` if a process at the address of the peer was heard lately.
    pub(crate) fn is_peer_there(&self) -> bool {
        self.heard.is_recent(Instant::now())
    }

    /// Returns what is reported to the peer.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn report(&self) -> Result<LinkReport, Error> {
        let status = self.status()?;
        let counted = self.probe.result().unwrap_or(PingCount { sent: 0, answered: 0 });
        Ok(LinkReport {
            link: self.link.id().get(),
            up: status.state.is_up(),
            sent: counted.sent,
            answered: counted.answered,
            latency_us: status.latency.map(micros),
            path_mtu: status.path_mtu,
            heard: status.stats.rx_ping_packets,
        })
    }

    /// Combines the result of the test with the plan and the peer's report.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn facts(&self, planned: PlannedLink, peer: PeerView) -> Result<Facts, Error> {
        let status = self.status()?;
        Ok(Facts {
            state: status.state,
            was_up: self.probe.has_begun(),
            total: PingCount {
                sent: status.stats.tx_ping_packets,
                answered: status.stats.rx_pong_packets,
            },
            counted: self.probe.result(),
            heard: self.heard.pings,
            from_other_port: self.heard.from_other_port,
            stray: self.heard.stray,
            // From another port of the peer, it may be the same machine.
            elsewhere: self.heard.elsewhere.filter(|from| from.ip() != planned.path.remote.ip()),
            planned,
            latency_us: status.latency.map(micros),
            path_mtu: status.path_mtu,
            data_mtu: status.data_mtu,
            peer,
        })
    }

    fn status(&self) -> Result<LinkStatus, Error> {
        self.last.clone().map_or_else(|| self.link.status(), Ok)
    }
}

/// How long ago a process that is still there was heard at most. knet check pings more often, and so
/// does every other knet node by default.
const RECENT: Duration = Duration::from_millis(1500);
/// A ping interval that outlasts any check.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
