//! The failure of the preferred link: it fails half-way through the stream and is restored later.
//!
//! Host 2 closes its end without notice, as if its network interface had failed. Host 1 has to detect
//! this and retransmit what was lost.

use kronosnet::{BindError, Error, LinkConfig, LinkStats};

use crate::demo::hosts::{Hosts, PREFERRED, Side};
use crate::demo::report::Report;

/// The progress of the failure.
#[derive(Debug)]
pub(crate) struct Outage {
    phase: Phase,
    /// The last state that host 1 and host 2 reported: `true` for up.
    up: [bool; 2],
    /// Host 2's statistics of the link before the failure.
    before: LinkStats,
}

#[derive(Debug)]
enum Phase {
    /// The link has not failed yet.
    Intact,
    /// Host 2's end is closed, and host 1 has not detected it.
    Failed(LinkConfig),
    /// Host 1 uses the other link.
    Detected(LinkConfig),
    /// Host 2's end is open again.
    Restored,
    /// The link is up again on both hosts.
    Over,
}

impl Outage {
    /// Creates the state for a link that is up.
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Intact, up: [true; 2], before: LinkStats::default() }
    }

    /// Takes the next step once `percent` of the stream has arrived. Returns `true` if there was one to
    /// take.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn advance(
        &mut self,
        hosts: &Hosts,
        percent: u64,
        report: &Report,
    ) -> Result<bool, Error> {
        for (up, side) in self.up.iter_mut().zip([&hosts.one, &hosts.two]) {
            follow(up, side, report);
        }
        self.phase = match &self.phase {
            Phase::Intact if percent >= FAIL_AT => {
                report.line(format_args!("link {PREFERRED} fails at {percent} %"));
                Phase::Failed(self.fail(hosts)?)
            }
            Phase::Failed(config) if self.up == [false; 2] => Phase::Detected(config.clone()),
            Phase::Detected(config) if percent >= RESTORE_AT && restore(hosts, config)? => {
                report.line(format_args!("link {PREFERRED} is restored at {percent} %"));
                Phase::Restored
            }
            Phase::Restored if self.up == [true; 2] => Phase::Over,
            _ => return Ok(false),
        };
        Ok(true)
    }

    /// Returns `true` once the link has gone down and come back.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Returns host 2's statistics of the link before the failure.
    pub(crate) fn before(&self) -> &LinkStats {
        &self.before
    }

    /// Describes the step that is overdue.
    pub(crate) fn missing(&self) -> String {
        match self.phase {
            Phase::Intact => format!("link {PREFERRED} did not fail"),
            Phase::Failed(_) => format!("host 1 did not detect the failure of link {PREFERRED}"),
            Phase::Detected(_) => format!("link {PREFERRED} could not be restored"),
            Phase::Restored | Phase::Over => format!("link {PREFERRED} did not come up again"),
        }
    }

    /// Closes host 2's end and returns its configuration.
    fn fail(&mut self, hosts: &Hosts) -> Result<LinkConfig, Error> {
        let link = hosts.two.peer.link(PREFERRED)?;
        let config = link.config()?;
        link.disable()?;
        self.before = link.status()?.stats;
        link.clear()?;
        Ok(config)
    }
}

/// Opens host 2's end again. Returns `false` while another process is using its port.
fn restore(hosts: &Hosts, config: &LinkConfig) -> Result<bool, Error> {
    match hosts.two.add_link(PREFERRED, config.clone()) {
        Ok(()) => Ok(true),
        Err(Error::Bind(BindError::AddressInUse { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Updates `up` from the link events of a host.
fn follow(up: &mut bool, side: &Side, report: &Report) {
    while let Some(event) = side.next_event(report) {
        if event.link == PREFERRED {
            *up = event.state.is_up();
        }
    }
}

/// The percentage of the stream at which the link fails.
const FAIL_AT: u64 = 50;
/// The percentage at which it is restored.
const RESTORE_AT: u64 = 75;
