//! Host ids.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use crate::EINVAL;

/// The id of a host in the cluster.
///
/// All 65536 values are valid, including 0.
///
/// # Examples
///
/// ```
/// use knet_wire::HostId;
///
/// let host: HostId = "7".parse()?;
/// assert_eq!(host, HostId::new(7));
/// assert_eq!(host.to_string(), "7");
/// # Ok::<(), knet_wire::InvalidHostId>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostId(u16);

impl HostId {
    /// Creates a host id.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(knet_wire::HostId::new(1) < knet_wire::HostId::new(2));
    /// ```
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// Returns the id as a number, 0 to 65535.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_wire::HostId::from(9).get(), 9);
    /// ```
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<u16> for HostId {
    fn from(id: u16) -> Self {
        Self(id)
    }
}

impl FromStr for HostId {
    type Err = InvalidHostId;

    /// Parses a decimal number.
    ///
    /// # Errors
    ///
    /// [`InvalidHostId`] if the text is not a decimal number from 0 to 65535.
    fn from_str(text: &str) -> Result<Self, InvalidHostId> {
        text.parse().map(Self).map_err(InvalidHostId)
    }
}

impl fmt::Display for HostId {
    /// Formats the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The error of parsing a [`HostId`].
///
/// # Examples
///
/// ```
/// use knet_wire::HostId;
///
/// let error = "65536".parse::<HostId>().unwrap_err();
/// assert_eq!(error.to_string(), "not a host id, use a number from 0 to 65535");
/// assert_eq!(error.errno(), 22);
/// ```
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a host id, use a number from 0 to 65535")]
pub struct InvalidHostId(#[source] ParseIntError);

impl InvalidHostId {
    /// Returns `EINVAL`.
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_range_parse() {
        assert_eq!("0".parse(), Ok(HostId::new(0)));
        assert_eq!("65535".parse(), Ok(HostId::new(65535)));
        for text in ["", "65536", "-1", "1 ", "0x1", "one"] {
            let error = text.parse::<HostId>().unwrap_err();
            assert_eq!(error.errno(), 22, "{text:?}");
        }
    }
}
