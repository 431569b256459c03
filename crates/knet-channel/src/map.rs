//! A map from channels to values, its iterators and its entries.

use core::fmt;

use crate::{Channel, ChannelSet};

mod entry;
pub use entry::Entry;

mod iter;
pub use iter::{IntoIter, IntoValues, Iter, IterMut, Values, ValuesMut};

/// A map from channels to values: an array of 32 slots, so that a lookup is one index operation.
///
/// The values are stored inline. Box large ones.
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ChannelMap};
///
/// # fn main() -> Result<(), knet_channel::InvalidChannel> {
/// let mut packets = ChannelMap::new();
/// let channel = Channel::new(9)?;
/// assert_eq!(packets.insert(channel, 1), None);
/// if let Some(count) = packets.get_mut(channel) {
///     *count += 1;
/// }
/// assert_eq!(packets.iter().collect::<Vec<_>>(), [(channel, &2)]);
/// assert_eq!(packets.remove(channel), Some(2));
/// assert!(packets.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct ChannelMap<T> {
    /// Indexed by [`Channel::index`], which is always below the length.
    slots: [Option<T>; Channel::COUNT],
}

impl<T> ChannelMap<T> {
    /// Creates an empty map.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(knet_channel::ChannelMap::<String>::new().is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> ChannelMap<T> {
        ChannelMap { slots: [const { None }; Channel::COUNT] }
    }

    /// Inserts a value and returns the previous one.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::new();
    /// assert_eq!(map.insert(Channel::ALL[2], "old"), None);
    /// assert_eq!(map.insert(Channel::ALL[2], "new"), Some("old"));
    /// ```
    pub fn insert(&mut self, channel: Channel, value: T) -> Option<T> {
        self.slots[channel.index()].replace(value)
    }

    /// Removes and returns the value of a channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], "data")]);
    /// assert_eq!(map.remove(Channel::ALL[2]), Some("data"));
    /// assert_eq!(map.remove(Channel::ALL[2]), None);
    /// ```
    pub fn remove(&mut self, channel: Channel) -> Option<T> {
        self.slots[channel.index()].take()
    }

    /// Returns a mutable reference to the value of a channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], 1)]);
    /// if let Some(count) = map.get_mut(Channel::ALL[2]) {
    ///     *count += 1;
    /// }
    /// assert_eq!(map.get(Channel::ALL[2]), Some(&2));
    /// ```
    pub fn get_mut(&mut self, channel: Channel) -> Option<&mut T> {
        self.slots[channel.index()].as_mut()
    }

    /// Returns the value of a channel, or `None` if it has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map = ChannelMap::from([(Channel::ALL[2], "data")]);
    /// assert_eq!(map.get(Channel::ALL[2]), Some(&"data"));
    /// assert_eq!(map.get(Channel::ALL[3]), None);
    /// ```
    #[must_use]
    pub fn get(&self, channel: Channel) -> Option<&T> {
        self.slots[channel.index()].as_ref()
    }

    /// Returns `true` if the channel has a value.
    #[must_use]
    pub fn contains_key(&self, channel: Channel) -> bool {
        self.get(channel).is_some()
    }

    /// Returns the number of channels with a value, 0 to 32.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map: ChannelMap<u8> = Channel::ALL.into_iter().map(|channel| (channel, 0)).collect();
    /// assert_eq!(map.len(), 32);
    /// assert!(map.contains_key(Channel::ALL[31]));
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Returns `true` if no channel has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().flatten().next().is_none()
    }

    /// Removes all values.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], "data")]);
    /// map.clear();
    /// assert!(map.is_empty());
    /// ```
    pub fn clear(&mut self) {
        self.slots.fill_with(|| None);
    }

    /// Removes the values for which `keep` returns `false`, which is called in ascending order of the
    /// channels.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], 1), (Channel::ALL[4], 5)]);
    /// map.retain(|_, count| *count > 1);
    /// assert_eq!(map.channels(), Channel::ALL[4].into());
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(Channel, &mut T) -> bool) {
        for (channel, slot) in Channel::ALL.into_iter().zip(&mut self.slots) {
            if slot.as_mut().is_some_and(|value| !keep(channel, value)) {
                *slot = None;
            }
        }
    }

    /// Returns the channels with a value.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map = ChannelMap::from([(Channel::ALL[4], "b"), (Channel::ALL[2], "a")]);
    /// assert_eq!(map.channels().bits(), 0b10100);
    /// ```
    #[must_use]
    pub fn channels(&self) -> ChannelSet {
        self.iter().map(|(channel, _)| channel).collect()
    }
}

impl<T> Default for ChannelMap<T> {
    fn default() -> ChannelMap<T> {
        ChannelMap::new()
    }
}

impl<T> FromIterator<(Channel, T)> for ChannelMap<T> {
    fn from_iter<I: IntoIterator<Item = (Channel, T)>>(pairs: I) -> ChannelMap<T> {
        let mut map = ChannelMap::new();
        map.extend(pairs);
        map
    }
}

/// Of several values of a channel, the last is kept.
impl<T, const N: usize> From<[(Channel, T); N]> for ChannelMap<T> {
    fn from(pairs: [(Channel, T); N]) -> ChannelMap<T> {
        pairs.into_iter().collect()
    }
}

impl<T> Extend<(Channel, T)> for ChannelMap<T> {
    fn extend<I: IntoIterator<Item = (Channel, T)>>(&mut self, pairs: I) {
        for (channel, value) in pairs {
            self.insert(channel, value);
        }
    }
}

impl<'a, T: Copy> Extend<(Channel, &'a T)> for ChannelMap<T> {
    fn extend<I: IntoIterator<Item = (Channel, &'a T)>>(&mut self, pairs: I) {
        self.extend(pairs.into_iter().map(|(channel, value)| (channel, *value)));
    }
}

impl<T: fmt::Debug> fmt::Debug for ChannelMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(channel, value)| (channel.get(), value))).finish()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{format, rc::Rc};

    use super::*;

    #[test]
    fn values_are_dropped_once_when_they_leave_the_map() {
        let value = Rc::new(());
        let mut map = ChannelMap::new();
        for channel in Channel::ALL {
            map.insert(channel, Rc::clone(&value));
        }
        assert_eq!(Rc::strong_count(&value), 33);
        drop(map.remove(Channel::ALL[0]));
        drop(map.insert(Channel::ALL[1], Rc::clone(&value)));
        assert_eq!(Rc::strong_count(&value), 32);
        drop(map);
        assert_eq!(Rc::strong_count(&value), 1);
    }

    #[test]
    fn debug_shows_only_channels_with_a_value() {
        let map: ChannelMap<_> =
            [(Channel::ALL[3], 'c'), (Channel::ALL[0], 'a')].into_iter().collect();
        assert_eq!(format!("{map:?}"), "{0: 'a', 3: 'c'}");
    }
}
