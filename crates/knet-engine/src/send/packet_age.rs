//! Packets that wait while other messages overtake them.
//!
//! A packet waits while its socket has no room, or while its thread does not run. Meanwhile other
//! threads number further messages. libknet's receivers remember the last 4096 numbers of a sender. A
//! packet from further back looks to them like one of a restarted sender: they forget all numbers,
//! and deliver duplicates as new messages. So a packet that is too far behind must not leave.
//!
//! The receivers of this crate remember 32768 numbers, and a late packet changes nothing there
//! (`docs/protocol.md`, "Duplicate window"). A sender does not know which of them its peers are.

use knet_wire::SequenceNumber;

/// Whether a numbered packet may still leave, by how many messages were numbered after it.
///
/// # Examples
///
/// ```
/// use knet_engine::{MAX_SEQUENCE_LAG, PacketAge, SequenceCounter};
///
/// let counter = SequenceCounter::new();
/// let packet = counter.next();
/// assert_eq!(PacketAge::of(packet, counter.current()), PacketAge::Current);
/// for _ in 0..MAX_SEQUENCE_LAG {
///     counter.next();
/// }
/// assert_eq!(PacketAge::of(packet, counter.current()), PacketAge::Overtaken);
/// counter.next();
/// assert_eq!(PacketAge::of(packet, counter.current()), PacketAge::Expired);
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to act on each of them")]
pub enum PacketAge {
    /// The packet may leave with the number it has.
    Current,
    /// The packet may leave, but expires soon. If it waits, give it a new number if
    /// [`renumber`](crate::renumber) allows one.
    Overtaken,
    /// The packet must be discarded.
    Expired,
}

impl PacketAge {
    /// Returns the age of a packet with number `sequence` when `current` is the latest number
    /// ([`SequenceCounter::current`](crate::SequenceCounter::current)).
    #[must_use]
    pub fn of(sequence: SequenceNumber, current: SequenceNumber) -> Self {
        match current.ahead_of(sequence) {
            lag if lag > MAX_SEQUENCE_LAG => Self::Expired,
            lag if lag > MAX_SEQUENCE_LAG / 2 => Self::Overtaken,
            _ => Self::Current,
        }
    }
}

/// The most messages that may be numbered after a packet before it expires.
///
/// Half of what libknet's receivers remember: the other half allows for packets that overtake each other in
/// the network. It holds towards every peer, although the receivers of this crate remember more.
pub const MAX_SEQUENCE_LAG: u16 = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn age_depends_on_the_distance_alone(current: u16, lag: u16) {
            let sequence = SequenceNumber::new(current.wrapping_sub(lag));
            let expected = match lag {
                0..=1024 => PacketAge::Current,
                1025..=2048 => PacketAge::Overtaken,
                _ => PacketAge::Expired,
            };
            prop_assert_eq!(PacketAge::of(sequence, SequenceNumber::new(current)), expected);
        }
    }

    #[test]
    fn ages_are_in_order() {
        assert!(PacketAge::Current < PacketAge::Overtaken);
        assert!(PacketAge::Overtaken < PacketAge::Expired);
    }
}
