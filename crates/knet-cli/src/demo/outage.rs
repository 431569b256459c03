//! The failure of the preferred link: taken away half-way, given back later.
//!
//! It is a real failure: host 2 closes its end without telling host 1, as if its network card were
//! gone. Host 1 finds out by itself, and sends again what was lost.

use kronosnet::{BindError, Error, LinkConfig, LinkStats};

use crate::demo::hosts::{Hosts, PREFERRED, Side};
use crate::demo::report::Report;

/// Where the failure has got to.
#[derive(Debug)]
pub(crate) struct Outage {
    phase: Phase,
    /// Whether host 1 and host 2 have said last that the link is up.
    up: [bool; 2],
    /// What host 2 counted on the link before it was taken away.
    before: LinkStats,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The link was not touched yet.
    Whole,
    /// Host 2's end is closed, and host 1 has not noticed.
    Taken(LinkConfig),
    /// Host 1 uses the other link.
    Noticed(LinkConfig),
    /// Host 2's end is open again.
    Returned,
    /// Both hosts have the link up again.
    Over,
}

impl Outage {
    /// For a link that is up.
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Whole, up: [true; 2], before: LinkStats::default() }
    }

    /// Does what is next when so many percent of the stream have arrived; whether there was anything
    /// to do.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn advance(
        &mut self,
        hosts: &Hosts,
        percent: u64,
        report: &Report,
    ) -> Result<bool, Error> {
        for (up, side) in self.up.iter_mut().zip([&hosts.one, &hosts.two]) {
            follow(up, side, report);
        }
        self.phase = match self.phase {
            Phase::Whole if percent >= TAKE_AT => {
                report.line(format_args!("link {PREFERRED} is taken away at {percent} %"));
                Phase::Taken(self.take(hosts)?)
            }
            Phase::Taken(config) if self.up == [false; 2] => Phase::Noticed(config),
            Phase::Noticed(config) if percent >= RETURN_AT && give_back(hosts, config)? => {
                report.line(format_args!("link {PREFERRED} is given back at {percent} %"));
                Phase::Returned
            }
            Phase::Returned if self.up == [true; 2] => Phase::Over,
            _ => return Ok(false),
        };
        Ok(true)
    }

    /// Whether the link went down and came back.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// What host 2 counted on the link before it was taken away.
    pub(crate) fn before(&self) -> &LinkStats {
        &self.before
    }

    /// What has to happen next, for when it does not.
    pub(crate) fn missing(&self) -> String {
        match self.phase {
            Phase::Whole => format!("link {PREFERRED} was not taken away"),
            Phase::Taken(_) => format!("host 1 did not notice that link {PREFERRED} is gone"),
            Phase::Noticed(_) => format!("link {PREFERRED} could not be given back"),
            Phase::Returned | Phase::Over => format!("link {PREFERRED} did not come up again"),
        }
    }

    /// Closes host 2's end, and gives what is needed to open it again.
    fn take(&mut self, hosts: &Hosts) -> Result<LinkConfig, Error> {
        let link = hosts.two.peer.link(PREFERRED)?;
        let config = link.config()?;
        link.disable()?;
        self.before = link.status()?.stats;
        link.clear()?;
        Ok(config)
    }
}

/// Opens host 2's end again; false if another process has taken its port meanwhile and still has it.
fn give_back(hosts: &Hosts, config: LinkConfig) -> Result<bool, Error> {
    match hosts.two.add_link(PREFERRED, config) {
        Ok(()) => Ok(true),
        Err(Error::Bind(BindError::AddressInUse { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Follows what a host says of its links.
fn follow(up: &mut bool, side: &Side, report: &Report) {
    while let Some(event) = side.next_event(report) {
        if event.link == PREFERRED {
            *up = event.state.is_up();
        }
    }
}

/// How many percent have arrived when the link is taken away.
const TAKE_AT: u64 = 50;
/// How many have when it is given back.
const RETURN_AT: u64 = 75;
