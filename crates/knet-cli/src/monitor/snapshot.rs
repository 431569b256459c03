//! The state of all links at one moment: the JSON schema of `knet monitor --once --format json`.
//!
//! `docs/operating.md` describes it. Fields may be added; [`Snapshot::schema`] increases when a field
//! is removed or changes its meaning.

use kronosnet::DropStats;
use serde::Serialize;

use crate::monitor::down_reason::Reason;
use crate::monitor::log_entry::LogEntry;

/// The state of all hosts and links at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Snapshot {
    /// The version of the schema.
    pub(crate) schema: u32,
    /// Our own host id.
    pub(crate) id: u16,
    /// When the snapshot was taken, in seconds since 1970.
    pub(crate) unix_time: u64,
    /// How long the links have been monitored.
    pub(crate) watched_ms: u64,
    pub(crate) all_reachable: bool,
    /// In ascending order.
    pub(crate) hosts: Vec<HostSnapshot>,
    pub(crate) strays: Strays,
    /// The last 1000 events, oldest first.
    pub(crate) events: Vec<LogEntry>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct HostSnapshot {
    pub(crate) id: u16,
    pub(crate) reachable: bool,
    /// In ascending order.
    pub(crate) links: Vec<LinkSnapshot>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkSnapshot {
    pub(crate) id: u8,
    pub(crate) local: String,
    pub(crate) remote: String,
    pub(crate) up: bool,
    /// How long the link has been up or down.
    pub(crate) state_ms: u64,
    /// Why the link is down.
    pub(crate) reason: Option<Reason>,
    /// The last time the link went down after having been up.
    pub(crate) last_down: Option<LastDown>,
    pub(crate) up_count: u64,
    pub(crate) down_count: u64,
    /// The mean round-trip time; `None` before the first pong.
    pub(crate) latency_us: Option<u64>,
    /// The minimum of the mean.
    pub(crate) latency_min_us: Option<u64>,
    /// The maximum of the mean.
    pub(crate) latency_max_us: Option<u64>,
    /// The size of the largest IP packet that is known to arrive, in bytes; `None` until one is.
    pub(crate) path_mtu: Option<usize>,
    /// The maximum number of message bytes per packet.
    pub(crate) data_mtu: usize,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    /// Packets that the kernel refused to send.
    pub(crate) send_errors: u64,
}

/// Received packets that were discarded, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Strays {
    /// Not of this protocol, or encrypted.
    pub(crate) malformed: u64,
    /// From a host that is not configured.
    pub(crate) unknown_host: u64,
    /// For a link that is not configured.
    pub(crate) unknown_link: u64,
    /// From an address other than the link's.
    pub(crate) wrong_source: u64,
    /// Pongs that answer no ping of ours.
    pub(crate) forged_pong: u64,
}

/// Packets of all kinds, including pings. Bytes are those of UDP payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// The packets among them that carried messages.
    pub(crate) data_packets: u64,
    pub(crate) data_bytes: u64,
    pub(crate) packets_per_second: f64,
    pub(crate) bytes_per_second: f64,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct LastDown {
    pub(crate) ago_ms: u64,
    pub(crate) reason: Reason,
}

impl Snapshot {
    /// The current version of the schema.
    pub(crate) const SCHEMA: u32 = 1;

    /// Returns all links with their hosts.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&HostSnapshot, &LinkSnapshot)> {
        self.hosts.iter().flat_map(|host| host.links.iter().map(move |link| (host, link)))
    }

    /// Summarizes how many hosts are reachable and how many links are up.
    pub(crate) fn summary(&self) -> String {
        let [reachable, hosts, up, links] = self.counts();
        format!("{reachable} of {hosts} peers reachable, {up} of {links} links up")
    }

    /// Returns the summary for a narrow screen.
    pub(crate) fn short_summary(&self) -> String {
        let [reachable, hosts, up, links] = self.counts();
        format!("{reachable}/{hosts} peers, {up}/{links} links")
    }

    /// Returns the number of reachable hosts, of all hosts, of links that are up, and of all links.
    fn counts(&self) -> [usize; 4] {
        let reachable = self.hosts.iter().filter(|host| host.reachable).count();
        let up = self.links().filter(|(_, link)| link.up).count();
        [reachable, self.hosts.len(), up, self.links().count()]
    }
}

impl Strays {
    /// Describes the discarded packets, or returns `None` if there are none.
    pub(crate) fn words(&self) -> Option<String> {
        let kinds = [
            (self.malformed, "malformed"),
            (self.unknown_host, "from unknown hosts"),
            (self.unknown_link, "for unknown links"),
            (self.wrong_source, "from wrong addresses"),
            (self.forged_pong, "forged pongs"),
        ];
        let seen = kinds.iter().filter(|(count, _)| *count > 0);
        let seen: Vec<String> = seen.map(|(count, kind)| format!("{count} {kind}")).collect();
        (!seen.is_empty()).then(|| format!("discarded: {}", seen.join(", ")))
    }
}

impl From<DropStats> for Strays {
    fn from(drops: DropStats) -> Self {
        Self {
            malformed: drops.malformed,
            unknown_host: drops.unknown_host,
            unknown_link: drops.unknown_link,
            wrong_source: drops.wrong_source,
            forged_pong: drops.forged_pong,
        }
    }
}
