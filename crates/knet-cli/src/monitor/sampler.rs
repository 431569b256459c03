//! Reads the state of the links, and computes rates from one reading to the next.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kronosnet::{Error, LinkStats, LinkStatus};

use crate::args::Remote;
use crate::monitor::clock::unix_time;
use crate::monitor::down_reason::Reason;
use crate::monitor::log::Log;
use crate::monitor::log_entry::LogEntry;
use crate::monitor::snapshot::{HostSnapshot, LastDown, LinkSnapshot, Snapshot, Traffic};
use crate::node::{Node, NodeLink};
use crate::output::{micros, millis};

/// Samples the links of a node.
#[derive(Debug)]
pub(crate) struct Sampler {
    node: Node<Remote>,
    log: Log,
    /// The hosts that are reachable according to the log.
    reachable: BTreeSet<u16>,
    started: Instant,
    /// When the rates were last computed, and the statistics of each link at that time.
    counted_at: Instant,
    counted: Vec<LinkStats>,
    /// The rates of each link; empty before the first reading.
    rates: Vec<Rates>,
}

/// The traffic of a link per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    sent: Rate,
    received: Rate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rate {
    packets: f64,
    bytes: f64,
}

impl Sampler {
    /// Creates a sampler for links that have just been enabled.
    pub(crate) fn new(node: Node<Remote>) -> Self {
        let now = Instant::now();
        let counted = node.links().map(|_| LinkStats::default()).collect();
        let (log, reachable) = (Log::default(), BTreeSet::new());
        Self { node, log, reachable, started: now, counted_at: now, counted, rates: Vec::new() }
    }

    /// Adds an event to the log.
    pub(crate) fn log(&mut self, entry: LogEntry) {
        match entry.event {
            LogEntry::REACHABLE => self.reachable.insert(entry.host),
            LogEntry::UNREACHABLE => self.reachable.remove(&entry.host),
            _ => false,
        };
        self.log.add(entry);
    }

    /// Returns `true` if every peer is reachable according to the log, so that the log explains what is
    /// shown.
    pub(crate) fn is_complete(&self) -> bool {
        self.reachable.len() == self.node.peers.len()
    }

    /// Returns `true` if every link is up and its path MTU is known.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn is_settled(&self) -> Result<bool, Error> {
        for link in self.node.links() {
            let status = link.link.status()?;
            if !status.state.is_up() || status.searching_mtu {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads the state of all links. Rates are recomputed over intervals of at least half a second;
    /// the first are averages since the start.
    ///
    /// # Errors
    /// Those of kronosnet.
    pub(crate) fn sample(&mut self) -> Result<Snapshot, Error> {
        let statuses: Vec<LinkStatus> =
            self.node.links().map(|link| link.link.status()).collect::<Result<_, _>>()?;
        self.update_rates(&statuses);
        let mut readings = statuses.iter().zip(&self.rates);
        let mut hosts = Vec::new();
        for peer in &self.node.peers {
            let links = peer.links.iter().zip(&mut readings);
            let links = links.map(|(link, (status, rates))| snapshot(link, status, *rates));
            let links = links.collect();
            let reachable = peer.host.is_reachable()?;
            hosts.push(HostSnapshot { id: peer.host.id().get(), reachable, links });
        }
        Ok(Snapshot {
            schema: Snapshot::SCHEMA,
            id: self.node.handle.host_id().get(),
            unix_time: unix_time(),
            watched_ms: millis(self.started.elapsed()),
            all_reachable: hosts.iter().all(|host| host.reachable),
            hosts,
            strays: self.node.handle.drop_stats().into(),
            events: self.log.entries(),
        })
    }

    fn update_rates(&mut self, statuses: &[LinkStatus]) {
        let over = self.counted_at.elapsed();
        // Without earlier rates, those over a short time are better than none.
        if over < RATES_WINDOW && !self.rates.is_empty() {
            return;
        }
        let counted: Vec<LinkStats> = statuses.iter().map(|status| status.stats).collect();
        let links = self.counted.iter().zip(&counted);
        self.rates = links.map(|(before, now)| Rates::between(before, now, over)).collect();
        self.counted_at = Instant::now();
        self.counted = counted;
    }
}

impl Rates {
    fn between(before: &LinkStats, now: &LinkStats, over: Duration) -> Self {
        let rate = |before, now| per_second(before, now, over);
        Self {
            sent: Rate {
                packets: rate(before.tx_packets(), now.tx_packets()),
                bytes: rate(before.tx_bytes(), now.tx_bytes()),
            },
            received: Rate {
                packets: rate(before.rx_packets(), now.rx_packets()),
                bytes: rate(before.rx_bytes(), now.rx_bytes()),
            },
        }
    }
}

/// Returns the increase of a counter per second, to one decimal place.
fn per_second(before: u64, now: u64, over: Duration) -> f64 {
    // A float is exact up to 2^53, far beyond the decimals that are kept.
    let increase = now.saturating_sub(before) as f64;
    (increase / over.as_secs_f64().max(1e-3) * 10.0).round() / 10.0
}

fn snapshot(link: &NodeLink<Remote>, status: &LinkStatus, rates: Rates) -> LinkSnapshot {
    let stats = &status.stats;
    let downs = status.history.iter().rev();
    let last_down = downs
        .filter_map(|change| Some((change.age, Reason::of(change.state)?)))
        .map(|(age, reason)| LastDown { ago_ms: millis(age), reason })
        .next();
    LinkSnapshot {
        id: link.link.id().get(),
        local: link.path.local.to_string(),
        remote: status.remote.map_or(link.path.remote, Remote::At).to_string(),
        up: status.state.is_up(),
        state_ms: millis(status.state_age),
        reason: Reason::of(status.state),
        last_down,
        up_count: stats.up_count,
        down_count: stats.down_count,
        latency_us: status.latency.map(micros),
        latency_min_us: status.latency_min.map(micros),
        latency_max_us: status.latency_max.map(micros),
        path_mtu: status.path_mtu,
        data_mtu: status.data_mtu,
        sent: Traffic {
            packets: stats.tx_packets(),
            bytes: stats.tx_bytes(),
            data_packets: stats.tx_data_packets,
            data_bytes: stats.tx_data_bytes,
            packets_per_second: rates.sent.packets,
            bytes_per_second: rates.sent.bytes,
        },
        received: Traffic {
            packets: stats.rx_packets(),
            bytes: stats.rx_bytes(),
            data_packets: stats.rx_data_packets,
            data_bytes: stats.rx_data_bytes,
            packets_per_second: rates.received.packets,
            bytes_per_second: rates.received.bytes,
        },
        send_errors: stats.tx_errors(),
    }
}

/// Over a shorter time, rates depend more on when packets arrived than on how many did.
const RATES_WINDOW: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_increases_per_second() {
        assert_eq!(per_second(100, 400, Duration::from_secs(2)), 150.0);
        assert_eq!(per_second(0, 1, Duration::from_secs(3)), 0.3);
        assert_eq!(per_second(5, 3, Duration::from_secs(1)), 0.0, "statistics were cleared");
        assert!(per_second(0, 1, Duration::ZERO).is_finite());
    }
}
