//! What the monitor knows at one moment, in the form in which scripts get it.
//!
//! These types are the JSON schema of `knet monitor --once --format json`, which
//! `docs/operating.md` describes. Fields may be added; [`Snapshot::schema`] rises if one changes its
//! meaning or goes away.

use kronosnet::{DownReason, DropStats, HostId, LinkId, LinkState};
use serde::Serialize;

use crate::monitor::log::Entry;

/// All that is known at one moment.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Snapshot {
    /// Version of this form.
    pub(crate) schema: u32,
    /// Our own host id.
    pub(crate) id: u16,
    /// When it was taken, in seconds since 1970.
    pub(crate) unix_time: u64,
    /// How long the links have been watched.
    pub(crate) watched_ms: u64,
    pub(crate) all_reachable: bool,
    /// In ascending order.
    pub(crate) hosts: Vec<HostSnapshot>,
    pub(crate) strays: Strays,
    /// What happened, oldest first; the newest 1000.
    pub(crate) events: Vec<Entry>,
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
    /// For how long it has been up or down.
    pub(crate) state_ms: u64,
    /// Why it is down.
    pub(crate) reason: Option<Reason>,
    /// The last time it went down after having been up.
    pub(crate) last_down: Option<LastDown>,
    pub(crate) up_count: u64,
    pub(crate) down_count: u64,
    /// The mean round trip; nothing before the first pong.
    pub(crate) latency_us: Option<u64>,
    /// The least that the mean has been.
    pub(crate) latency_min_us: Option<u64>,
    /// The most that the mean has been.
    pub(crate) latency_max_us: Option<u64>,
    /// The longest IP packet that was seen to arrive, in bytes; nothing before one was.
    pub(crate) path_mtu: Option<usize>,
    /// The most payload that one packet carries, in bytes.
    pub(crate) data_mtu: usize,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    /// Packets that the kernel refused to send.
    pub(crate) send_errors: u64,
}

/// Packets that came and were thrown away because something is not as planned, by reason.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Strays {
    /// Not of this protocol, or encrypted.
    pub(crate) malformed: u64,
    /// Of a host that we were not told of.
    pub(crate) unknown_host: u64,
    /// For a link that we were not told of.
    pub(crate) unknown_link: u64,
    /// From another address than the link's.
    pub(crate) wrong_source: u64,
    /// Answers to pings that we did not send.
    pub(crate) forged_pong: u64,
}

/// Packets of all kinds, pings included; bytes are what UDP carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Traffic {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Those of them that carried messages.
    pub(crate) data_packets: u64,
    pub(crate) data_bytes: u64,
    pub(crate) packets_per_second: f64,
    pub(crate) bytes_per_second: f64,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Reason {
    /// A word for scripts.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) text: String,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct LastDown {
    pub(crate) ago_ms: u64,
    pub(crate) reason: Reason,
}

impl Snapshot {
    /// The version of this form.
    pub(crate) const SCHEMA: u32 = 1;

    /// All links with their hosts.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&HostSnapshot, &LinkSnapshot)> {
        self.hosts.iter().flat_map(|host| host.links.iter().map(move |link| (host, link)))
    }

    /// How many hosts there are, and how many of them are reachable; the same of links.
    pub(crate) fn summary(&self) -> String {
        let reachable = self.hosts.iter().filter(|host| host.reachable).count();
        let links = self.links().count();
        let up = self.links().filter(|(_, link)| link.up).count();
        let hosts = self.hosts.len();
        format!("{reachable} of {hosts} peers reachable, {up} of {links} links up")
    }
}

impl Strays {
    /// Those that came, in words.
    pub(crate) fn words(&self) -> Option<String> {
        let kinds = [
            (self.malformed, "malformed"),
            (self.unknown_host, "of unknown hosts"),
            (self.unknown_link, "for unknown links"),
            (self.wrong_source, "from wrong addresses"),
            (self.forged_pong, "forged pongs"),
        ];
        let came = kinds.iter().filter(|(count, _)| *count > 0);
        let came: Vec<String> = came.map(|(count, kind)| format!("{count} {kind}")).collect();
        (!came.is_empty()).then(|| format!("thrown away: {}", came.join(", ")))
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

impl Reason {
    /// Why a link is down, if it is.
    pub(crate) fn of(state: LinkState) -> Option<Self> {
        match state {
            LinkState::Up => None,
            LinkState::Down(reason) => Some(reason.into()),
        }
    }
}

impl From<DownReason> for Reason {
    fn from(reason: DownReason) -> Self {
        let code = match reason {
            DownReason::Disabled => "disabled",
            DownReason::NoPeerYet => "no-peer-yet",
            DownReason::NoPongYet => "no-pong-yet",
            DownReason::PongTimeout { .. } => "pong-timeout",
            DownReason::TransportError { .. } => "transport-error",
            _ => "other",
        };
        Self { code, text: reason.to_string() }
    }
}

/// Names a link for people.
pub(crate) fn link_name(host: HostId, link: LinkId) -> String {
    format!("link {link} to host {host}")
}

#[cfg(test)]
mod tests {
    use crate::monitor::example;
    use crate::output::schema::expect_fields;

    #[test]
    fn scripts_get_the_fields_that_are_documented() {
        expect_fields(
            example::snapshot(),
            "schema id unix_time watched_ms all_reachable hosts strays events \
             malformed unknown_host unknown_link wrong_source forged_pong event host link text \
             reachable links local remote up state_ms reason code last_down ago_ms up_count \
             down_count latency_us latency_min_us latency_max_us path_mtu data_mtu sent received \
             packets bytes data_packets data_bytes packets_per_second bytes_per_second send_errors",
        );
    }
}
