//! The number of a host.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use crate::EINVAL;

/// The number of a host in the cluster.
///
/// All 65536 values are legal, 0 included (wire.md section 2).
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
    /// Names the host with this number.
    pub const fn new(id: u16) -> Self {
        Self(id)
    }

    /// Returns the number, 0 to 65535.
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

    /// Reads a decimal number.
    ///
    /// # Errors
    ///
    /// [`InvalidHostId`] if the text is not a decimal number from 0 to 65535.
    fn from_str(text: &str) -> Result<Self, InvalidHostId> {
        text.parse().map(Self).map_err(InvalidHostId)
    }
}

impl fmt::Display for HostId {
    /// Writes the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The text does not name a host.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a host id, give a number from 0 to 65535")]
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
    fn the_whole_range_parses_and_nothing_else() {
        assert_eq!("0".parse(), Ok(HostId::new(0)));
        assert_eq!("65535".parse(), Ok(HostId::new(65535)));
        for text in ["", "65536", "-1", "1 ", "0x1", "one"] {
            let refused = text.parse::<HostId>().unwrap_err();
            assert_eq!(refused.errno(), 22, "{text:?}");
        }
    }
}
