//! The links to the peers, and how to find out what the peers have taken in.

use std::thread;
use std::time::{Duration, Instant};

use kronosnet::{Error, Host, HostId, Link, LinkId, PingTimers};

use crate::peer::PeerLink;
use crate::remote::Remote;

/// All links of the command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
}

impl Links {
    /// Adds a link to a host and starts it.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn add(
        &mut self,
        host: &Host,
        id: LinkId,
        path: &PeerLink<Remote>,
    ) -> Result<(), Error> {
        let link = path.remote.add_link(host, id, path.local)?;
        link.set_ping_timers(timers(PING_INTERVAL))?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Whether a host got as many pongs over one of its links as bring that link up on its side, if
    /// its pong count is ours, and another one. libknet wants one more than it says, and up to 1.26
    /// drops what comes before it has looked at its hosts again; it has when it pings the next time.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn answered(&self, host: HostId) -> Result<bool, Error> {
        for link in self.links.iter().filter(|link| link.host_id() == host) {
            let status = link.status()?;
            if status.stats.tx_pong_packets >= u64::from(status.pong_count) + 2 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the peers have taken in what was sent so far, but no longer than `patience`.
    ///
    /// A peer looks at what comes over a link in order. So when it has answered a ping that left
    /// after the last message, it has had the message. Links that are down are not waited for.
    ///
    /// # Errors
    /// Those of the calls to kronosnet.
    pub(crate) fn settle(&self, patience: Duration) -> Result<(), Error> {
        let start = Instant::now();
        self.set_ping_interval(PingTimers::MIN_INTERVAL)?;
        let mut waiting: Vec<&Link> = self.links.iter().collect();
        while !waiting.is_empty() && start.elapsed() < patience {
            // PAUSE: a pong that finds a link up is no event.
            thread::sleep(STEP);
            let mut still = Vec::new();
            for link in waiting {
                if !has_settled(link, start)? {
                    still.push(link);
                }
            }
            waiting = still;
        }
        self.set_ping_interval(PING_INTERVAL)
    }

    fn set_ping_interval(&self, interval: Duration) -> Result<(), Error> {
        self.links.iter().try_for_each(|link| link.set_ping_timers(timers(interval)))
    }
}

/// Whether a link is down, or has answered a ping that left after `start`.
fn has_settled(link: &Link, start: Instant) -> Result<bool, Error> {
    let elapsed = start.elapsed();
    let status = link.status()?;
    if !status.state.is_up() {
        return Ok(true);
    }
    Ok(status.last_answered_ping.is_some_and(|age| age < elapsed))
}

fn timers(interval: Duration) -> PingTimers {
    PingTimers { interval, ..PingTimers::default() }
}

/// Pings come fast, so that the command starts fast.
const PING_INTERVAL: Duration = Duration::from_millis(50);
/// How often it is looked whether the peers have answered.
const STEP: Duration = Duration::from_micros(200);
