//! The number of a data message.

use core::fmt;

/// The number a sender gives to a data message.
///
/// One counter per sender, 16 bits wide: 1, 2, …, 65535, 1, 2, … Zero is never on a data frame; in a
/// ping it says "no data sent since I started" (wire.md section 4). Numbers wrap, so they have no
/// order; compare them with [`SequenceNumber::ahead_of`].
///
/// # Examples
///
/// ```
/// use knet_wire::SequenceNumber;
///
/// let last = SequenceNumber::new(65535);
/// assert_eq!(last.next(), SequenceNumber::new(1));
/// assert_eq!(last.next().ahead_of(last), 2); // zero is skipped but counted
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SequenceNumber(u16);

impl SequenceNumber {
    /// No data yet.
    pub const ZERO: Self = Self(0);

    /// Takes the number as it is, 0 included.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the number, 0 to 65535.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the number of the message after this one: one more, wrapping, never zero.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            number => Self(number),
        }
    }

    /// Returns `self − other` modulo 2¹⁶: how far ahead of `other` this number is.
    ///
    /// A number that is a little *behind* `other` comes out just below 65536.
    pub const fn ahead_of(self, other: Self) -> u16 {
        self.0.wrapping_sub(other.0)
    }
}

impl fmt::Display for SequenceNumber {
    /// Writes the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_visits_every_number_but_zero() {
        let mut number = SequenceNumber::ZERO;
        for expected in (1..=u16::MAX).chain([1, 2]) {
            number = number.next();
            assert_eq!(number.get(), expected);
        }
    }

    #[test]
    fn distance_wraps_in_both_directions() {
        let (low, high) = (SequenceNumber::new(3), SequenceNumber::new(65534));
        assert_eq!(low.ahead_of(high), 5);
        assert_eq!(high.ahead_of(low), 65531);
        assert_eq!(low.ahead_of(low), 0);
    }
}
