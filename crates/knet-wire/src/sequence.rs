//! Sequence numbers of messages.

use core::fmt;

/// The sequence number of a message.
///
/// Each sender has one 16-bit counter: 1, 2, …, 65535, 1, 2, … A data packet never has the number zero. In a
/// ping, zero means that its sender has sent no data since it started. The numbers wrap and therefore have
/// no order; compare them with [`SequenceNumber::ahead_of`].
///
/// # Examples
///
/// ```
/// use knet_wire::SequenceNumber;
///
/// let last = SequenceNumber::new(65535);
/// assert_eq!(last.next(), SequenceNumber::new(1));
/// assert_eq!(last.next().ahead_of(last), 2); // Zero is skipped but counted.
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SequenceNumber(u16);

impl SequenceNumber {
    /// The number before the first message.
    pub const ZERO: Self = Self(0);

    /// Creates a sequence number. 0 is allowed.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the number, 0 to 65535.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_wire::SequenceNumber::new(7).get(), 7);
    /// ```
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns the number of the next message: one more, wrapping around from 65535 to 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::SequenceNumber;
    ///
    /// assert_eq!(SequenceNumber::ZERO.next().get(), 1);
    /// assert_eq!(SequenceNumber::new(65535).next().get(), 1);
    /// ```
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.wrapping_add(1) {
            0 => Self(1),
            number => Self(number),
        }
    }

    /// Returns `self − other` modulo 2¹⁶: how far this number is ahead of `other`.
    ///
    /// The result for a number slightly *behind* `other` is just below 65536.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_wire::SequenceNumber;
    ///
    /// let (old, new) = (SequenceNumber::new(10), SequenceNumber::new(12));
    /// assert_eq!(new.ahead_of(old), 2);
    /// assert_eq!(old.ahead_of(new), 65534);
    /// ```
    pub const fn ahead_of(self, other: Self) -> u16 {
        self.0.wrapping_sub(other.0)
    }
}

impl fmt::Display for SequenceNumber {
    /// Formats the number in decimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_visits_every_number_but_zero() {
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
