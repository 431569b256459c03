//! The differentiated services code point of a packet.

/// A differentiated services code point, 0..=63 (RFC 2474, section 3).
///
/// # Examples
///
/// ```
/// use knet_transport::Dscp;
///
/// let expedited = Dscp::try_from(46)?;
/// assert_eq!(expedited.get(), 46);
/// assert!(Dscp::try_from(64).is_err());
/// # Ok::<(), knet_transport::DscpOutOfRange>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Dscp(u8);

impl Dscp {
    /// The highest code point.
    pub const MAX: Dscp = Dscp(63);

    /// Returns the code point, 0..=63.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The byte of the IP header: the code point in the upper six bits, no congestion notification.
    pub(crate) fn traffic_class(self) -> u8 {
        self.0 << 2
    }
}

impl TryFrom<u8> for Dscp {
    type Error = DscpOutOfRange;

    /// Takes a code point.
    ///
    /// # Errors
    ///
    /// [`DscpOutOfRange`] above 63.
    fn try_from(number: u8) -> Result<Dscp, DscpOutOfRange> {
        if number <= Dscp::MAX.0 { Ok(Dscp(number)) } else { Err(DscpOutOfRange(number)) }
    }
}

/// A number that is no differentiated services code point.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} is not a DSCP, take one of 0..=63")]
pub struct DscpOutOfRange(
    /// The number.
    pub u8,
);

impl DscpOutOfRange {
    /// Returns the errno that libknet sets for a wrong argument, `EINVAL`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        libc::EINVAL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_bits_are_taken() {
        for number in 0..=u8::MAX {
            match Dscp::try_from(number) {
                Ok(dscp) => {
                    assert!(number < 64);
                    assert_eq!(dscp.get(), number);
                    assert_eq!(dscp.traffic_class(), number * 4);
                }
                Err(error) => {
                    assert!(number >= 64);
                    assert_eq!(error, DscpOutOfRange(number));
                    assert_eq!(error.errno(), libc::EINVAL);
                }
            }
        }
    }
}
