//! A set of channels.

use core::{
    fmt,
    iter::FusedIterator,
    ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not, Sub, SubAssign},
};

use crate::Channel;

/// A set of channels, one bit per channel in a `u32`.
///
/// `|` is the union of two sets, `&` their intersection, `-` their difference, `^` what is in one of them only,
/// and `!` the complement of a set.
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ChannelSet};
///
/// # fn main() -> Result<(), knet_channel::InvalidChannel> {
/// let mut set = ChannelSet::EMPTY;
/// assert!(set.insert(Channel::new(0)?));
/// assert!(set.insert(Channel::new(2)?));
/// assert!(!set.insert(Channel::new(2)?), "already in the set");
///
/// assert_eq!(set.lowest_free(), Some(Channel::new(1)?));
/// assert_eq!(set.iter().map(Channel::get).collect::<Vec<_>>(), [0, 2]);
/// assert_eq!((!set).len(), 30);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct ChannelSet(
    /// Bit n stands for channel n.
    u32,
);

impl ChannelSet {
    /// The empty set.
    pub const EMPTY: ChannelSet = ChannelSet(0);

    /// The set of all 32 channels.
    pub const ALL: ChannelSet = ChannelSet(u32::MAX);

    /// Creates a set from its bits. Bit n stands for channel n.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// let set = ChannelSet::from_bits(0b101);
    /// assert!(set.contains(Channel::ALL[0]) && set.contains(Channel::ALL[2]));
    /// assert_eq!(set.len(), 2);
    /// ```
    #[must_use]
    pub const fn from_bits(bits: u32) -> ChannelSet {
        ChannelSet(bits)
    }

    /// Adds a channel. Returns `true` if it was not in the set.
    pub const fn insert(&mut self, channel: Channel) -> bool {
        let is_new = !self.contains(channel);
        self.0 |= bit(channel);
        is_new
    }

    /// Removes a channel. Returns `true` if it was in the set.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// let mut set = ChannelSet::ALL;
    /// assert!(set.remove(Channel::ALL[0]));
    /// assert!(!set.remove(Channel::ALL[0]));
    /// assert_eq!(set.len(), 31);
    /// ```
    pub const fn remove(&mut self, channel: Channel) -> bool {
        let was_there = self.contains(channel);
        self.0 &= !bit(channel);
        was_there
    }

    /// Returns the bits of the set. Bit n stands for channel n.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// assert_eq!(ChannelSet::from(Channel::ALL[3]).bits(), 0b1000);
    /// ```
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns `true` if the channel is in the set.
    #[must_use]
    pub const fn contains(self, channel: Channel) -> bool {
        self.0 & bit(channel) != 0
    }

    /// Returns the number of channels in the set, 0 to 32.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Returns `true` if the set is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::ChannelSet;
    ///
    /// assert!(ChannelSet::EMPTY.is_empty());
    /// assert!((!ChannelSet::ALL).is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the lowest channel that is **not** in the set, or `None` if the set is full.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// assert_eq!(ChannelSet::from_bits(0b1011).lowest_free(), Some(Channel::ALL[2]));
    /// assert_eq!(ChannelSet::ALL.lowest_free(), None);
    /// ```
    #[must_use]
    pub fn lowest_free(self) -> Option<Channel> {
        lowest(!self.0)
    }

    /// Returns `true` if every channel of this set is in the other.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// let two = ChannelSet::from([Channel::ALL[0], Channel::ALL[2]]);
    /// assert!(two.is_subset(ChannelSet::ALL) && ChannelSet::ALL.is_superset(two));
    /// assert!(two.is_disjoint(!two));
    /// ```
    #[must_use]
    pub const fn is_subset(self, other: ChannelSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// Returns `true` if every channel of the other set is in this one.
    #[must_use]
    pub const fn is_superset(self, other: ChannelSet) -> bool {
        other.is_subset(self)
    }

    /// Returns `true` if no channel is in both sets.
    #[must_use]
    pub const fn is_disjoint(self, other: ChannelSet) -> bool {
        self.0 & other.0 == 0
    }

    /// Returns the lowest channel of the set.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelSet};
    ///
    /// let set = ChannelSet::from_bits(0b1010);
    /// assert_eq!((set.first(), set.last()), (Some(Channel::ALL[1]), Some(Channel::ALL[3])));
    /// assert_eq!(ChannelSet::EMPTY.first(), None);
    /// ```
    #[must_use]
    pub fn first(self) -> Option<Channel> {
        lowest(self.0)
    }

    /// Returns the highest channel of the set.
    #[must_use]
    pub fn last(self) -> Option<Channel> {
        highest(self.0)
    }

    /// Removes all channels.
    pub const fn clear(&mut self) {
        self.0 = 0;
    }

    /// Removes the channels for which `keep` returns `false`, which is called in ascending order.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::ChannelSet;
    ///
    /// let mut set = ChannelSet::ALL;
    /// set.retain(|channel| channel.get() < 2);
    /// assert_eq!(set.bits(), 0b11);
    /// set.clear();
    /// assert!(set.is_empty());
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(Channel) -> bool) {
        for channel in *self {
            if !keep(channel) {
                self.remove(channel);
            }
        }
    }

    /// Iterates over the channels in ascending order.
    #[must_use]
    pub const fn iter(self) -> ChannelSetIter {
        ChannelSetIter(self.0)
    }
}

impl BitOr for ChannelSet {
    type Output = ChannelSet;

    fn bitor(self, other: ChannelSet) -> ChannelSet {
        ChannelSet(self.0 | other.0)
    }
}

impl BitAnd for ChannelSet {
    type Output = ChannelSet;

    fn bitand(self, other: ChannelSet) -> ChannelSet {
        ChannelSet(self.0 & other.0)
    }
}

impl Sub for ChannelSet {
    type Output = ChannelSet;

    fn sub(self, other: ChannelSet) -> ChannelSet {
        ChannelSet(self.0 & !other.0)
    }
}

impl BitXor for ChannelSet {
    type Output = ChannelSet;

    fn bitxor(self, other: ChannelSet) -> ChannelSet {
        ChannelSet(self.0 ^ other.0)
    }
}

impl BitOrAssign for ChannelSet {
    fn bitor_assign(&mut self, other: ChannelSet) {
        *self = *self | other;
    }
}

impl BitAndAssign for ChannelSet {
    fn bitand_assign(&mut self, other: ChannelSet) {
        *self = *self & other;
    }
}

impl BitXorAssign for ChannelSet {
    fn bitxor_assign(&mut self, other: ChannelSet) {
        *self = *self ^ other;
    }
}

impl SubAssign for ChannelSet {
    fn sub_assign(&mut self, other: ChannelSet) {
        *self = *self - other;
    }
}

impl Not for ChannelSet {
    type Output = ChannelSet;

    fn not(self) -> ChannelSet {
        ChannelSet(!self.0)
    }
}

impl From<Channel> for ChannelSet {
    fn from(channel: Channel) -> ChannelSet {
        ChannelSet(bit(channel))
    }
}

impl<const N: usize> From<[Channel; N]> for ChannelSet {
    fn from(channels: [Channel; N]) -> ChannelSet {
        channels.into_iter().collect()
    }
}

impl FromIterator<Channel> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = Channel>>(channels: I) -> ChannelSet {
        let mut set = ChannelSet::EMPTY;
        set.extend(channels);
        set
    }
}

impl Extend<Channel> for ChannelSet {
    fn extend<I: IntoIterator<Item = Channel>>(&mut self, channels: I) {
        for channel in channels {
            self.insert(channel);
        }
    }
}

impl<'a> Extend<&'a Channel> for ChannelSet {
    fn extend<I: IntoIterator<Item = &'a Channel>>(&mut self, channels: I) {
        self.extend(channels.into_iter().copied());
    }
}

impl IntoIterator for &ChannelSet {
    type Item = Channel;
    type IntoIter = ChannelSetIter;

    fn into_iter(self) -> ChannelSetIter {
        self.iter()
    }
}

impl IntoIterator for ChannelSet {
    type Item = Channel;
    type IntoIter = ChannelSetIter;

    fn into_iter(self) -> ChannelSetIter {
        self.iter()
    }
}

/// Formats the numbers in ascending order, separated by commas: `0, 2, 31`; `none` for the empty set.
impl fmt::Display for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut channels = self.iter();
        let Some(first) = channels.next() else { return f.write_str("none") };
        write!(f, "{first}")?;
        channels.try_for_each(|channel| write!(f, ", {channel}"))
    }
}

impl fmt::Debug for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Channel::get)).finish()
    }
}

/// An iterator over the channels of a [`ChannelSet`] in ascending order.
///
/// # Examples
///
/// ```
/// use knet_channel::ChannelSet;
///
/// let mut channels = ChannelSet::from_bits(0b1010).iter();
/// assert_eq!(channels.len(), 2);
/// assert_eq!(channels.next().map(|channel| channel.get()), Some(1));
/// assert_eq!(channels.len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct ChannelSetIter(
    /// The remaining channels, as in [`ChannelSet`].
    u32,
);

impl Iterator for ChannelSetIter {
    type Item = Channel;

    fn next(&mut self) -> Option<Channel> {
        let channel = lowest(self.0)?;
        self.0 &= !bit(channel);
        Some(channel)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.count_ones() as usize;
        (left, Some(left))
    }
}

impl DoubleEndedIterator for ChannelSetIter {
    fn next_back(&mut self) -> Option<Channel> {
        let channel = highest(self.0)?;
        self.0 &= !bit(channel);
        Some(channel)
    }
}

impl ExactSizeIterator for ChannelSetIter {}
impl FusedIterator for ChannelSetIter {}

const fn bit(channel: Channel) -> u32 {
    1 << channel.get()
}

/// Returns the channel of the lowest set bit.
fn lowest(bits: u32) -> Option<Channel> {
    // Without a set bit there are 32 trailing zeros, which is no channel number and yields `None`.
    u8::try_from(bits.trailing_zeros()).ok().and_then(|number| Channel::new(number).ok())
}

/// Returns the channel of the highest set bit.
fn highest(bits: u32) -> Option<Channel> {
    let number = bits.checked_ilog2()?;
    u8::try_from(number).ok().and_then(|number| Channel::new(number).ok())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{format, string::ToString, vec::Vec};

    use super::*;

    #[test]
    fn the_full_set_has_no_free_channel() {
        assert_eq!(ChannelSet::ALL.lowest_free(), None);
        assert_eq!(ChannelSet::ALL.len(), 32);
        assert_eq!(ChannelSet::ALL.iter().collect::<Vec<_>>(), Channel::ALL);
        assert_eq!(!ChannelSet::ALL, ChannelSet::EMPTY);
    }

    #[test]
    fn the_last_channel_is_found_if_only_it_is_free() {
        let last = Channel::ALL[31];
        assert_eq!((ChannelSet::ALL - last.into()).lowest_free(), Some(last));
    }

    #[test]
    fn debug_shows_the_numbers() {
        assert_eq!(format!("{:?}", ChannelSet::from_bits(0b101)), "{0, 2}");
    }

    #[test]
    fn display_lists_the_numbers() {
        assert_eq!(ChannelSet::EMPTY.to_string(), "none");
        assert_eq!(ChannelSet::from_bits(1 << 31 | 0b101).to_string(), "0, 2, 31");
    }
}
