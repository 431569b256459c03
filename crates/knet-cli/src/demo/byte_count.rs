//! Formats numbers of bytes for people.

use std::fmt;
use std::time::Duration;

/// A number of bytes, written in the unit that fits: `512 B`, `1.5 kB`, `20.0 MB`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A float is exact up to 2^53 bytes, and one decimal is shown.
        let bytes = self.0 as f64;
        let text = match self.0 {
            0..1_000 => format!("{} B", self.0),
            1_000..1_000_000 => format!("{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => format!("{:.1} MB", bytes / 1e6),
            _ => format!("{:.1} GB", bytes / 1e9),
        };
        f.pad(&text)
    }
}

/// Formats a rate in megabytes per second, with one decimal.
pub(crate) fn megabytes_per_second(bytes: u64, time: Duration) -> String {
    let seconds = time.as_secs_f64().max(1e-9);
    format!("{:.1} MB/s", bytes as f64 / 1e6 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_number() {
        let text = |bytes| Bytes(bytes).to_string();
        assert_eq!([0, 999, 1000, 1_500_000].map(text), ["0 B", "999 B", "1.0 kB", "1.5 MB"]);
        assert_eq!(text(12_345_678_901), "12.3 GB");
        assert_eq!(format!("{:>8}", Bytes(5)), "     5 B");
    }

    #[test]
    fn a_rate_is_bytes_over_time() {
        assert_eq!(megabytes_per_second(3_000_000, Duration::from_millis(500)), "6.0 MB/s");
        assert_eq!(megabytes_per_second(0, Duration::ZERO), "0.0 MB/s");
    }
}
