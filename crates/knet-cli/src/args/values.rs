//! Parsers of single values.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use kronosnet::HostId;

/// Parses a host id.
///
/// # Errors
/// The range of host ids if `text` is outside of it or is not a number.
pub(crate) fn host_id(text: &str) -> Result<HostId, String> {
    text.parse().map_err(|_| "expected a number from 0 to 65535".to_owned())
}

/// Parses a number from `least` to `most`.
///
/// # Errors
/// The range if `text` is outside of it or is not a number.
pub(crate) fn number<T>(text: &str, least: T, most: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| (&least..=&most).contains(&number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}"))
}

/// Parses a number of seconds, with or without a fraction.
///
/// # Errors
/// An example of a duration if `text` is negative or is not a number.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.ok_or("expected a number of seconds, such as 10 or 0.5")?;
    // No command runs for a century, and adding one to any `Instant` does not overflow.
    Ok(seconds.min(Duration::from_secs(100 * 365 * 86_400)))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn durations_may_have_a_fraction_and_never_overflow_the_clock() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert!(Instant::now().checked_add(seconds("1e18").unwrap()).is_some());
        for wrong in ["-1", "soon", "NaN", ""] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_are_within_their_range() {
        assert_eq!([number("1", 1, 9_u8), number("9", 1, 9)], [Ok(1), Ok(9)]);
        for wrong in ["0", "10", "256", "-1", "one", "", "1.5"] {
            let expected = "expected a number from 1 to 9".to_owned();
            assert_eq!(number(wrong, 1, 9_u8), Err(expected), "{wrong:?}");
        }
    }

    #[test]
    fn host_ids_have_16_bits() {
        assert_eq!(host_id("65535"), Ok(HostId::new(65535)));
        for wrong in ["65536", "-1", "one", ""] {
            assert!(host_id(wrong).is_err(), "{wrong:?}");
        }
    }
}
