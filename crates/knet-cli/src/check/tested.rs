//! A link while it is tested.

use std::time::{Duration, Instant};

use kronosnet::{Error, Link, LinkStatus, PingTimers};

use crate::check::diagnose::{Facts, PeerView};
use crate::check::plan::Planned;
use crate::check::probe::{Counted, PING_INTERVAL, Pace, Probe, Reading};
use crate::check::report::LinkReport;
use crate::output::micros;

/// One link of the plan.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) link: Link,
    probe: Probe,
    /// How it was when its test ended: the peer may end right after, which is no news.
    last: Option<LinkStatus>,
    timers: PingTimers,
}

impl Tested {
    pub(crate) fn new(link: Link, count: u32, patience: Duration, timers: PingTimers) -> Self {
        let probe = Probe::new(Instant::now(), count, patience);
        Self { link, probe, last: None, timers }
    }

    /// Goes on with the test; whether it has ended.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn step(&mut self) -> Result<bool, Error> {
        if self.probe.is_done() {
            return Ok(true);
        }
        let status = self.link.status()?;
        let pace = self.probe.step(&Reading {
            now: Instant::now(),
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
                Pace::Brisk => PING_INTERVAL,
                Pace::Still => NEVER,
            };
            self.link.set_ping_timers(PingTimers { interval, ..self.timers })?;
        }
        Ok(self.probe.is_done())
    }

    /// What the peer is told of it.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn report(&self) -> Result<LinkReport, Error> {
        let status = self.status()?;
        let counted = self.probe.result().unwrap_or(Counted { sent: 0, answered: 0 });
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

    /// All that is known of it, with what the plan and the peer say.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn facts(&self, planned: Planned, peer: PeerView) -> Result<Facts, Error> {
        let status = self.status()?;
        Ok(Facts {
            planned,
            state: status.state,
            was_up: self.probe.has_begun(),
            in_all: Counted {
                sent: status.stats.tx_ping_packets,
                answered: status.stats.rx_pong_packets,
            },
            counted: self.probe.result(),
            heard: status.stats.rx_ping_packets,
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

/// A ping interval that does not end while a check runs.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
