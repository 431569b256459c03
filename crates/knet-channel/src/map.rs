//! A value for each channel.

use core::fmt;

use crate::{Channel, ChannelSet};

/// A map from channel to value: an array of 32 places, so every look-up is one index.
///
/// The values live in the map itself; box large ones.
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
#[derive(Clone, Eq, PartialEq)]
pub struct ChannelMap<T> {
    /// Indexed by [`Channel::index`], which is always below the length.
    places: [Option<T>; Channel::COUNT],
}

impl<T> ChannelMap<T> {
    /// Makes an empty map.
    #[must_use]
    pub const fn new() -> ChannelMap<T> {
        ChannelMap { places: [const { None }; Channel::COUNT] }
    }

    /// Puts a value in; returns the one that it replaces.
    pub fn insert(&mut self, channel: Channel, value: T) -> Option<T> {
        self.places[channel.index()].replace(value)
    }

    /// Takes the value of a channel out.
    pub fn remove(&mut self, channel: Channel) -> Option<T> {
        self.places[channel.index()].take()
    }

    /// Returns the value of a channel, to be changed.
    pub fn get_mut(&mut self, channel: Channel) -> Option<&mut T> {
        self.places[channel.index()].as_mut()
    }

    /// Iterates over channels and values, ascending, with the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Channel, &mut T)> {
        Channel::ALL
            .into_iter()
            .zip(&mut self.places)
            .filter_map(|(channel, place)| Some((channel, place.as_mut()?)))
    }

    /// Returns the value of a channel.
    #[must_use]
    pub fn get(&self, channel: Channel) -> Option<&T> {
        self.places[channel.index()].as_ref()
    }

    /// Returns whether the channel has a value.
    #[must_use]
    pub fn contains(&self, channel: Channel) -> bool {
        self.get(channel).is_some()
    }

    /// Returns how many channels have a value, 0 to 32.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values().count()
    }

    /// Returns whether no channel has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }

    /// Iterates over channels and values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Channel, &T)> {
        Channel::ALL
            .into_iter()
            .zip(&self.places)
            .filter_map(|(channel, place)| Some((channel, place.as_ref()?)))
    }

    /// Iterates over the values, in the order of their channels.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }

    /// Returns the channels that have a value.
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
        for (channel, value) in pairs {
            map.insert(channel, value);
        }
        map
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
    fn values_are_dropped_once_and_on_time() {
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
    fn debug_shows_what_is_there() {
        let map: ChannelMap<_> =
            [(Channel::ALL[3], 'c'), (Channel::ALL[0], 'a')].into_iter().collect();
        assert_eq!(format!("{map:?}"), "{0: 'a', 3: 'c'}");
    }
}
