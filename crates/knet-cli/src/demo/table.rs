//! The table of links at the end of the demo.

use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Add;
use std::time::Duration;

use kronosnet::{HostId, LinkId, LinkState, LinkStats};

use crate::demo::byte_count::Bytes;

/// One host's end of one link.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) host: HostId,
    pub(crate) link: LinkId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) state: LinkState,
    /// The mean round-trip time of pings.
    pub(crate) latency: Option<Duration>,
    pub(crate) counts: Counts,
}

/// What the table shows of a link's counters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    sent_packets: u64,
    sent_bytes: u64,
    received_packets: u64,
    received_bytes: u64,
    ups: u64,
    downs: u64,
}

impl From<&LinkStats> for Counts {
    fn from(stats: &LinkStats) -> Self {
        Self {
            sent_packets: stats.tx_data_packets,
            sent_bytes: stats.tx_data_bytes,
            received_packets: stats.rx_data_packets,
            received_bytes: stats.rx_data_bytes,
            ups: stats.up_count,
            downs: stats.down_count,
        }
    }
}

/// Adds the counters of a link from before and after it was cleared and configured again, which
/// resets them.
impl Add for Counts {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            sent_packets: self.sent_packets + more.sent_packets,
            sent_bytes: self.sent_bytes + more.sent_bytes,
            received_packets: self.received_packets + more.received_packets,
            received_bytes: self.received_bytes + more.received_bytes,
            ups: self.ups + more.ups,
            downs: self.downs + more.downs,
        }
    }
}

/// Formats the table, with a newline after each line.
pub(crate) fn draw(rows: &[Row]) -> String {
    let cells: Vec<[String; COLUMNS]> = rows.iter().map(cells).collect();
    let mut widths = HEAD.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut table = String::new();
    let mut line = |row: &[&str]| {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            // Writing to a string cannot fail.
            let _ = if column < FIRST_NUMBER {
                write!(table, "{gap}{cell:<width$}")
            } else {
                write!(table, "{gap}{cell:>width$}")
            };
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    };
    line(&HEAD);
    for row in &cells {
        line(&row.each_ref().map(String::as_str));
    }
    table
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let Counts { sent_packets, sent_bytes, received_packets, received_bytes, ups, downs } =
        row.counts;
    [
        row.host.to_string(),
        row.link.to_string(),
        row.local.to_string(),
        row.remote.map(|remote| remote.to_string()).unwrap_or_default(),
        row.state.to_string(),
        row.latency.map_or_else(|| "-".to_owned(), |latency| format!("{latency:.0?}")),
        sent_packets.to_string(),
        Bytes(sent_bytes).to_string(),
        received_packets.to_string(),
        Bytes(received_bytes).to_string(),
        ups.to_string(),
        downs.to_string(),
    ]
}

const COLUMNS: usize = 12;
const HEAD: [&str; COLUMNS] = [
    "host", "link", "from", "to", "state", "latency", "sent", "bytes", "received", "bytes", "ups",
    "downs",
];
/// The first column that is aligned to the right.
const FIRST_NUMBER: usize = 5;

#[cfg(test)]
mod tests {
    use kronosnet::DownReason;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let up = Row {
            host: HostId::new(1),
            link: LinkId::ALL[0],
            local: "127.0.1.1:5000".parse().unwrap(),
            remote: "127.0.1.2:5001".parse().ok(),
            state: LinkState::Up,
            latency: Some(Duration::from_micros(123)),
            counts: Counts {
                sent_packets: 1000,
                sent_bytes: 1_500_000,
                received_packets: 10,
                received_bytes: 80,
                ups: 2,
                downs: 1,
            },
        };
        let down = Row {
            link: LinkId::ALL[1],
            state: LinkState::Down(DownReason::Disabled),
            latency: None,
            counts: Counts::default(),
            ..up
        };
        #[rustfmt::skip]
        let expected = "\
host  link  from            to              state           latency  sent   bytes  received  bytes  ups  downs
1     0     127.0.1.1:5000  127.0.1.2:5001  up                123µs  1000  1.5 MB        10   80 B    2      1
1     1     127.0.1.1:5000  127.0.1.2:5001  down: disabled        -     0     0 B         0    0 B    0      0
";
        assert_eq!(draw(&[up, down]), expected);
    }

    #[test]
    fn counts_from_before_and_after_a_clear_add_up() {
        let once = Counts {
            sent_packets: 1,
            sent_bytes: 2,
            received_packets: 3,
            received_bytes: 4,
            ups: 5,
            downs: 6,
        };
        let twice = Counts {
            sent_packets: 2,
            sent_bytes: 4,
            received_packets: 6,
            received_bytes: 8,
            ups: 10,
            downs: 12,
        };
        assert_eq!(once + once, twice);
    }
}
