//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the current time in seconds since 1970, or 0 if the clock is set to an earlier time.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Formats the time of day in UTC.
pub(crate) fn time_of_day(unix_time: u64) -> String {
    let second = unix_time % 86_400;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_in_utc() {
        assert_eq!(time_of_day(0), "00:00:00");
        assert_eq!(time_of_day(1_000_000_000), "01:46:40");
    }
}
