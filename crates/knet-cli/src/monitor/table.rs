//! The table of `knet monitor --once`.

use crate::monitor::columns::{HEADERS, cells};
use crate::monitor::snapshot::Snapshot;
use crate::output::aligned;

/// Formats a summary and a line per link.
pub(crate) fn render(snapshot: &Snapshot) -> String {
    let mut rows = vec![HEADERS.map(str::to_owned)];
    rows.extend(snapshot.links().map(|(host, link)| cells(host, link)));
    let mut text = format!("host {}: {}\n{}", snapshot.id, snapshot.summary(), aligned(&rows));
    if let Some(strays) = snapshot.strays.words() {
        text += &format!("{strays}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::example;

    #[test]
    fn columns_are_aligned_and_reasons_are_shown() {
        let expected = "\
host 1: 1 of 2 peers reachable, 2 of 3 links up
HOST  REACH  LINK  STATE  LATENCY  MTU   OUT p/s  OUT B/s  IN p/s  IN B/s  LAST DOWN
2     yes    0     up     0.08 ms  1500  1.2k     1.5M     812     97k     -
2     yes    1     up     1.34 ms  1400  2.0      116      2.0     116     3 min ago: no pong for 2.1 s
3     no     0     down   -        -     1.0      58       0       0       not enough pongs yet
discarded: 12 from unknown hosts
";
        assert_eq!(render(&example::snapshot()), expected);
    }
}
