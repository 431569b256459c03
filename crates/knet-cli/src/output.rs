//! Prints results: formats, units and aligned columns.

use std::time::Duration;

use crate::process::stdio;

/// The format of results.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For scripts: one object, described in docs/operating.md.
    Json,
}

/// Writes results to standard output.
///
/// # Errors
/// [`OutputClosed`](crate::process::stdio::OutputClosed) if the reader has closed it; any other error
/// of the write.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    stdio::write_stdout(text.as_bytes())
}

/// Formats rows as lines, each column as wide as its widest cell.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Returns the text of a cell: a dash for nothing.
pub(crate) fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

/// Formats a round-trip time in milliseconds, with fewer decimals the longer it is.
pub(crate) fn latency(micros: u64) -> String {
    let millis = micros as f64 / 1000.0;
    let decimals = if millis < 10.0 { 2 } else { usize::from(millis < 100.0) };
    format!("{millis:.decimals$} ms")
}

/// Returns whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Checks that scripts find the fields that are documented.
#[cfg(test)]
pub(crate) mod schema {
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// Checks that JSON has exactly these fields, at any depth, and that `docs/operating.md`
    /// describes all of them.
    pub(crate) fn expect_fields(json: impl serde::Serialize, expected: &str) {
        let mut fields = BTreeSet::new();
        collect(&serde_json::to_value(json).unwrap(), &mut fields);
        let expected = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(
            fields, expected,
            "scripts rely on the fields: does the schema need a new version?"
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating.md");
        let page = std::fs::read_to_string(path).unwrap();
        for field in fields {
            assert!(page.contains(&format!("`{field}`")), "{field} is not described");
        }
    }

    fn collect(value: &Value, fields: &mut BTreeSet<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| collect(value, fields)),
            Value::Object(object) => {
                fields.extend(object.keys().cloned());
                object.values().for_each(|value| collect(value, fields));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_keep_the_decimals_that_matter() {
        let texts = [0, 83, 1234, 12_340, 123_456].map(latency);
        assert_eq!(texts, ["0.00 ms", "0.08 ms", "1.23 ms", "12.3 ms", "123 ms"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "b", "c"], ["10", "über", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "a   b     c\n10  über  x\n");
    }
}
