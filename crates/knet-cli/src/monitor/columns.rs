//! The columns of the monitor's tables, on the screen and in the output of `--once`.

use crate::monitor::snapshot::{HostSnapshot, LinkSnapshot};
use crate::output::{latency, or_dash};

/// The header of each column.
pub(crate) const HEADERS: [&str; 11] = [
    "HOST",
    "REACH",
    "LINK",
    "STATE",
    "LATENCY",
    "MTU",
    "OUT p/s",
    "OUT B/s",
    "IN p/s",
    "IN B/s",
    "LAST DOWN",
];

/// The position of the column that is as wide as the screen allows.
pub(crate) const LAST: usize = HEADERS.len() - 1;

/// Columns in the order in which a narrow screen gives them room.
const BY_IMPORTANCE: [usize; HEADERS.len()] = [0, 2, 3, 1, LAST, 4, 5, 6, 8, 7, 9];

/// The width of each column; of the last one, the least width. A latency such as 0.08 ms fits below its
/// own header only.
const WIDTHS: [u16; HEADERS.len()] = [5, 5, 4, 5, 7, 5, 7, 7, 6, 6, 9];

/// Returns the width of a column; of the last one, the least width.
pub(crate) fn width(column: usize) -> u16 {
    WIDTHS[column]
}

/// Returns the columns that fit into a width, in their order on the screen. The first one always does.
pub(crate) fn fitting(width_of_screen: u16) -> Vec<usize> {
    let mut used = 0;
    let fits = |column: &usize| {
        // A space separates columns.
        used += width(*column) + u16::from(used > 0);
        used <= width_of_screen
    };
    let mut columns: Vec<usize> = BY_IMPORTANCE.into_iter().take_while(fits).collect();
    if columns.is_empty() {
        columns.push(BY_IMPORTANCE[0]);
    }
    columns.sort_unstable();
    columns
}

/// Returns the row of a link.
pub(crate) fn cells(host: &HostSnapshot, link: &LinkSnapshot) -> [String; HEADERS.len()] {
    [
        host.id.to_string(),
        if host.reachable { "yes" } else { "no" }.into(),
        link.id.to_string(),
        if link.up { "up" } else { "down" }.into(),
        or_dash(link.latency_us.map(latency)),
        or_dash(link.path_mtu.map(|mtu| mtu.to_string())),
        amount(link.sent.packets_per_second),
        amount(link.sent.bytes_per_second),
        amount(link.received.packets_per_second),
        amount(link.received.bytes_per_second),
        or_dash(trouble(link)),
    ]
}

/// Returns why a link is down, or why it was down the last time.
fn trouble(link: &LinkSnapshot) -> Option<String> {
    if let Some(reason) = &link.reason {
        return Some(reason.text.clone());
    }
    let last = link.last_down.as_ref()?;
    Some(format!("{} ago: {}", duration(last.ago_ms), last.reason.text))
}

/// Returns the details of the selected link.
pub(crate) fn details(host: &HostSnapshot, link: &LinkSnapshot) -> [String; 3] {
    let state = if link.up { "up" } else { "down" };
    let first = format!(
        "link {} to host {}: {}={}, {state} for {}, {} up, {} down",
        link.id,
        host.id,
        link.local,
        link.remote,
        duration(link.state_ms),
        times(link.up_count),
        times(link.down_count),
    );
    let mut second = format!("{} bytes of data per packet", link.data_mtu);
    if let (Some(min), Some(max)) = (link.latency_min_us, link.latency_max_us) {
        second += &format!("; mean latency between {} and {}", latency(min), latency(max));
    }
    if link.send_errors > 0 {
        second += &format!("; {} packets refused by the kernel", link.send_errors);
    }
    let third = match (&link.reason, &link.last_down) {
        (Some(reason), _) => format!("down: {}", reason.text),
        (None, Some(last)) => {
            format!("last down {} ago: {}", duration(last.ago_ms), last.reason.text)
        }
        (None, None) => "never down".into(),
    };
    [first, second, third]
}

/// Formats a duration in the unit that fits.
fn duration(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

/// Formats a rate in about four characters.
fn amount(rate: f64) -> String {
    let (scaled, unit) = match rate {
        ..1e3 => (rate, ""),
        ..1e6 => (rate / 1e3, "k"),
        ..1e9 => (rate / 1e6, "M"),
        _ => (rate / 1e9, "G"),
    };
    let decimals = usize::from(scaled < 10.0 && scaled > 0.0);
    format!("{scaled:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_screen_shows_the_columns_that_matter() {
        let names =
            |width| fitting(width).into_iter().map(|column| HEADERS[column]).collect::<Vec<_>>();
        assert_eq!(names(100), HEADERS);
        assert_eq!(names(80), HEADERS);
        assert_eq!(names(40), ["HOST", "REACH", "LINK", "STATE", "LATENCY", "LAST DOWN"]);
        assert_eq!(names(12), ["HOST", "LINK"]);
        assert_eq!(names(0), ["HOST"]);
    }

    #[test]
    fn rates_have_units() {
        let texts = [0.0, 0.5, 20.0, 999.0, 1234.0, 45_678.0, 2e6, 3.21e9].map(amount);
        assert_eq!(texts, ["0", "0.5", "20", "999", "1.2k", "46k", "2.0M", "3.2G"]);
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let texts = [0, 1999, 119_000, 120_000, 7_200_000, 172_800_000].map(duration);
        assert_eq!(texts, ["0 s", "1 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
