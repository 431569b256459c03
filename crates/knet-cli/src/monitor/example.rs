//! An example of a cluster, for tests and for the screenshot in `docs/operating.md`.

use std::time::Duration;

use kronosnet::DownReason;

use crate::monitor::log_entry::LogEntry;
use crate::monitor::snapshot::{HostSnapshot, LastDown, LinkSnapshot, Snapshot, Strays, Traffic};

/// Returns three links to two hosts, one of which does not answer.
pub(crate) fn snapshot() -> Snapshot {
    let timeout = DownReason::PongTimeout { silence: Duration::from_millis(2134) };
    let healthy = LinkSnapshot {
        latency_us: Some(83),
        latency_min_us: Some(61),
        latency_max_us: Some(310),
        path_mtu: Some(1500),
        data_mtu: 1446,
        sent: traffic(1234.0, 1_480_000.0),
        received: traffic(812.0, 97_440.0),
        ..link(0, "10.0.0.1:5405", "10.0.0.2:5405")
    };
    let recovered = LinkSnapshot {
        last_down: Some(LastDown { ago_ms: 200_000, reason: timeout.into() }),
        up_count: 2,
        down_count: 1,
        latency_us: Some(1340),
        latency_min_us: Some(1100),
        latency_max_us: Some(2400),
        path_mtu: Some(1400),
        data_mtu: 1346,
        sent: traffic(2.0, 116.0),
        received: traffic(2.0, 116.0),
        ..link(1, "10.0.1.1:5405", "10.0.1.2:5405")
    };
    let silent = LinkSnapshot {
        up: false,
        reason: Some(DownReason::NoPongYet.into()),
        up_count: 0,
        sent: traffic(1.0, 58.0),
        received: traffic(0.0, 0.0),
        ..link(0, "10.0.0.1:5405", "10.0.0.3:5405")
    };
    Snapshot {
        schema: Snapshot::SCHEMA,
        id: 1,
        unix_time: 1_000_000_000,
        watched_ms: 754_000,
        all_reachable: false,
        hosts: vec![
            HostSnapshot { id: 2, reachable: true, links: vec![healthy, recovered] },
            HostSnapshot { id: 3, reachable: false, links: vec![silent] },
        ],
        strays: Strays { unknown_host: 12, ..Strays::default() },
        events: vec![
            entry(754, "link-up", Some(0), "link 0 to host 2 is up"),
            entry(754, "reachable", None, "host 2 is reachable"),
            entry(202, "link-down", Some(1), "link 1 to host 2 is down: no pong for 2.1 s"),
            entry(197, "link-up", Some(1), "link 1 to host 2 is up"),
        ],
    }
}

fn link(id: u8, local: &str, remote: &str) -> LinkSnapshot {
    LinkSnapshot {
        id,
        local: local.into(),
        remote: remote.into(),
        up: true,
        state_ms: 754_000,
        reason: None,
        last_down: None,
        up_count: 1,
        down_count: 0,
        latency_us: None,
        latency_min_us: None,
        latency_max_us: None,
        path_mtu: None,
        data_mtu: 522,
        sent: Traffic::default(),
        received: Traffic::default(),
        send_errors: 0,
    }
}

fn traffic(packets_per_second: f64, bytes_per_second: f64) -> Traffic {
    Traffic { packets_per_second, bytes_per_second, ..Traffic::default() }
}

fn entry(ago: u64, event: &'static str, link: Option<u8>, text: &str) -> LogEntry {
    LogEntry { unix_time: 1_000_000_000 - ago, event, host: 2, link, text: text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::schema::expect_fields;

    #[test]
    fn scripts_get_the_documented_fields() {
        expect_fields(
            snapshot(),
            "schema id unix_time watched_ms all_reachable hosts strays events \
             malformed unknown_host unknown_link wrong_source forged_pong event host link text \
             reachable links local remote up state_ms reason code last_down ago_ms up_count \
             down_count latency_us latency_min_us latency_max_us path_mtu data_mtu sent received \
             packets bytes data_packets data_bytes packets_per_second bytes_per_second send_errors",
        );
    }
}
