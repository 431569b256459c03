//! The place of a channel in a map.

use super::ChannelMap;
use crate::Channel;

/// The place of a channel in a [`ChannelMap`], with a value or without: [`ChannelMap::entry`].
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ChannelMap};
///
/// let mut packets = ChannelMap::new();
/// for number in [3, 5, 3] {
///     packets.entry(Channel::new(number)?).and_modify(|count| *count += 1).or_insert(1);
/// }
/// assert!(packets.values().eq(&[2, 1]));
/// # Ok::<(), knet_channel::InvalidChannel>(())
/// ```
#[derive(Debug)]
pub struct Entry<'a, T> {
    channel: Channel,
    slot: &'a mut Option<T>,
}

impl<'a, T> Entry<'a, T> {
    /// Returns the channel.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        self.channel
    }

    /// Returns the value, or `None` if the channel has none.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.slot.as_ref()
    }

    /// Inserts a value and returns the previous one.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::new();
    /// let mut entry = map.entry(Channel::ALL[2]);
    /// assert_eq!(entry.insert("old"), None);
    /// assert_eq!(entry.insert("new"), Some("old"));
    /// assert_eq!(entry.remove(), Some("new"));
    /// ```
    pub const fn insert(&mut self, value: T) -> Option<T> {
        self.slot.replace(value)
    }

    /// Removes and returns the value.
    pub const fn remove(&mut self) -> Option<T> {
        self.slot.take()
    }

    /// Changes the value if there is one.
    #[must_use]
    pub fn and_modify(self, change: impl FnOnce(&mut T)) -> Self {
        self.slot.as_mut().map(change);
        self
    }

    /// Returns the value, which is inserted if the channel has none.
    pub fn or_insert(self, value: T) -> &'a mut T {
        self.slot.get_or_insert(value)
    }

    /// Returns the value, which is made and inserted if the channel has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::new();
    /// map.entry(Channel::ALL[2]).or_insert_with(Vec::new).push("first");
    /// map.entry(Channel::ALL[2]).or_default().push("second");
    /// assert_eq!(map.get(Channel::ALL[2]), Some(&vec!["first", "second"]));
    /// ```
    pub fn or_insert_with(self, make: impl FnOnce() -> T) -> &'a mut T {
        self.slot.get_or_insert_with(make)
    }
}

impl<'a, T: Default> Entry<'a, T> {
    /// Returns the value, which is the default if the channel has none.
    pub fn or_default(self) -> &'a mut T {
        self.slot.get_or_insert_default()
    }
}

impl<T> ChannelMap<T> {
    /// Returns the place of a channel, to insert or change its value.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut names = ChannelMap::new();
    /// assert_eq!(*names.entry(Channel::ALL[2]).or_insert("data"), "data");
    /// assert_eq!(*names.entry(Channel::ALL[2]).or_insert("other"), "data");
    /// ```
    pub fn entry(&mut self, channel: Channel) -> Entry<'_, T> {
        Entry { channel, slot: &mut self.slots[channel.index()] }
    }
}
