//! The links to the peers, and how to find out what the peers have received.

use std::thread;
use std::time::{Duration, Instant};

use kronosnet::{Error, Host, HostId, Link, LinkId, PingTimers};

use crate::args::{PeerLink, Remote};

/// All links to all peers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
}

impl Links {
    /// Adds a link to a host and enables it.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn add(
        &mut self,
        host: &Host,
        id: LinkId,
        path: &PeerLink<Remote>,
    ) -> Result<(), Error> {
        let link = path.remote.add_link(host, id, path.local, path.zones)?;
        link.set_ping_timers(timers(PING_INTERVAL))?;
        link.enable()?;
        self.links.push(link);
        Ok(())
    }

    /// Returns `true` once a host has certainly found us reachable over one of its links.
    ///
    /// This takes as many pongs from us as bring the link up on its side, assuming that its pong count is
    /// ours, and two more: libknet waits for one more than its pong count, and up to 1.26
    /// it drops messages until it pings again.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn answered(&self, host: HostId) -> Result<bool, Error> {
        for link in self.links.iter().filter(|link| link.host_id() == host) {
            let status = link.status()?;
            if status.stats.tx_pong_packets >= u64::from(status.pong_count) + 2 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits until the peers have received what was sent so far, or until `timeout` expires.
    ///
    /// A peer processes the packets of a link in order. So once it has answered a ping that was sent
    /// after the last message, it has received that message. Links that are down are ignored.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn settle(&self, timeout: Duration) -> Result<(), Error> {
        let start = Instant::now();
        self.set_ping_interval(PingTimers::MIN_INTERVAL)?;
        let mut unsettled: Vec<&Link> = self.links.iter().collect();
        while !unsettled.is_empty() && start.elapsed() < timeout {
            // PAUSE: a pong on a link that is up causes no event.
            thread::sleep(POLL_INTERVAL);
            let mut still = Vec::new();
            for link in unsettled {
                if !has_settled(link, start)? {
                    still.push(link);
                }
            }
            unsettled = still;
        }
        self.set_ping_interval(PING_INTERVAL)
    }

    fn set_ping_interval(&self, interval: Duration) -> Result<(), Error> {
        self.links.iter().try_for_each(|link| link.set_ping_timers(timers(interval)))
    }
}

/// Returns `true` if a link is down, or a ping that was sent after `start` has been answered.
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

/// Short, so that the links come up quickly.
const PING_INTERVAL: Duration = Duration::from_millis(50);
/// How often to check whether the peers have answered.
const POLL_INTERVAL: Duration = Duration::from_micros(200);
