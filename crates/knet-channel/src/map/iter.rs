//! The iterators of a map.

use core::{array, iter::FusedIterator, iter::Zip, slice};

use super::ChannelMap;
use crate::Channel;

type Channels = array::IntoIter<Channel, { Channel::COUNT }>;

/// Implements the traits of an iterator over the slots that have a value. `$value` makes an option of a slot.
macro_rules! over_slots {
    ($name:ident<$($lifetime:lifetime,)? T>, $item:ty, $value:expr) => {
        impl<$($lifetime,)? T> Iterator for $name<$($lifetime,)? T> {
            type Item = (Channel, $item);

            fn next(&mut self) -> Option<Self::Item> {
                let found = self
                    .slots
                    .find_map(|(channel, slot)| Some((channel, $value(slot)?)))?;
                self.left -= 1;
                Some(found)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.left, Some(self.left))
            }
        }

        impl<$($lifetime,)? T> DoubleEndedIterator for $name<$($lifetime,)? T> {
            fn next_back(&mut self) -> Option<Self::Item> {
                let found = self
                    .slots
                    .by_ref()
                    .rev()
                    .find_map(|(channel, slot)| Some((channel, $value(slot)?)))?;
                self.left -= 1;
                Some(found)
            }
        }

        impl<$($lifetime,)? T> ExactSizeIterator for $name<$($lifetime,)? T> {}
        impl<$($lifetime,)? T> FusedIterator for $name<$($lifetime,)? T> {}
    };
}

/// An iterator over the channels and values of a [`ChannelMap`], in ascending order of the channels:
/// [`ChannelMap::iter`].
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ChannelMap};
///
/// let map = ChannelMap::from([(Channel::ALL[4], 'b'), (Channel::ALL[2], 'a')]);
/// let mut pairs = map.iter();
/// assert_eq!(pairs.len(), 2);
/// assert_eq!(pairs.next_back(), Some((Channel::ALL[4], &'b')));
/// ```
#[derive(Debug)]
pub struct Iter<'a, T> {
    slots: Zip<Channels, slice::Iter<'a, Option<T>>>,
    left: usize,
}

over_slots!(Iter<'a, T>, &'a T, Option::as_ref);

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter { slots: self.slots.clone(), left: self.left }
    }
}

/// An iterator over the channels of a [`ChannelMap`] and mutable references to its values:
/// [`ChannelMap::iter_mut`].
#[derive(Debug)]
pub struct IterMut<'a, T> {
    slots: Zip<Channels, slice::IterMut<'a, Option<T>>>,
    left: usize,
}

over_slots!(IterMut<'a, T>, &'a mut T, Option::as_mut);

/// An iterator that takes the channels and values out of a [`ChannelMap`].
#[derive(Clone, Debug)]
pub struct IntoIter<T> {
    slots: Zip<Channels, array::IntoIter<Option<T>, { Channel::COUNT }>>,
    left: usize,
}

over_slots!(IntoIter<T>, T, core::convert::identity);

/// Implements the traits of an iterator over the second half of the items of another.
macro_rules! over_values {
    ($name:ident<$($lifetime:lifetime,)? T>, $item:ty) => {
        impl<$($lifetime,)? T> Iterator for $name<$($lifetime,)? T> {
            type Item = $item;

            fn next(&mut self) -> Option<Self::Item> {
                self.0.next().map(|(_, value)| value)
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                self.0.size_hint()
            }
        }

        impl<$($lifetime,)? T> DoubleEndedIterator for $name<$($lifetime,)? T> {
            fn next_back(&mut self) -> Option<Self::Item> {
                self.0.next_back().map(|(_, value)| value)
            }
        }

        impl<$($lifetime,)? T> ExactSizeIterator for $name<$($lifetime,)? T> {}
        impl<$($lifetime,)? T> FusedIterator for $name<$($lifetime,)? T> {}
    };
}

/// An iterator over the values of a [`ChannelMap`]: [`ChannelMap::values`].
#[derive(Debug)]
pub struct Values<'a, T>(Iter<'a, T>);

over_values!(Values<'a, T>, &'a T);

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        Values(self.0.clone())
    }
}

/// An iterator over mutable references to the values of a [`ChannelMap`]: [`ChannelMap::values_mut`].
#[derive(Debug)]
pub struct ValuesMut<'a, T>(IterMut<'a, T>);

over_values!(ValuesMut<'a, T>, &'a mut T);

/// An iterator that takes the values out of a [`ChannelMap`]: [`ChannelMap::into_values`].
#[derive(Clone, Debug)]
pub struct IntoValues<T>(IntoIter<T>);

over_values!(IntoValues<T>, T);

impl<T> ChannelMap<T> {
    /// Iterates over channels and values, in ascending order of the channels.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map = ChannelMap::from([(Channel::ALL[4], 'b'), (Channel::ALL[2], 'a')]);
    /// let pairs: Vec<_> = map.iter().map(|(channel, value)| (channel.get(), *value)).collect();
    /// assert_eq!(pairs, [(2, 'a'), (4, 'b')]);
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { slots: Channel::ALL.into_iter().zip(&self.slots), left: self.len() }
    }

    /// Iterates over channels and mutable references to values, in ascending order of the channels.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], 1), (Channel::ALL[4], 5)]);
    /// map.iter_mut().for_each(|(_, count)| *count += 1);
    /// assert!(map.values().eq(&[2, 6]));
    /// ```
    pub fn iter_mut(&mut self) -> IterMut<'_, T> {
        let left = self.len();
        IterMut { slots: Channel::ALL.into_iter().zip(&mut self.slots), left }
    }

    /// Iterates over the values in ascending order of their channels.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map = ChannelMap::from([(Channel::ALL[4], 5), (Channel::ALL[2], 1)]);
    /// assert_eq!(map.values().sum::<u32>(), 6);
    /// ```
    pub fn values(&self) -> Values<'_, T> {
        Values(self.iter())
    }

    /// Iterates over mutable references to the values, in ascending order of their channels.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let mut map = ChannelMap::from([(Channel::ALL[2], 1), (Channel::ALL[4], 5)]);
    /// map.values_mut().for_each(|count| *count *= 2);
    /// assert!(map.values().eq(&[2, 10]));
    /// ```
    pub fn values_mut(&mut self) -> ValuesMut<'_, T> {
        ValuesMut(self.iter_mut())
    }

    /// Returns an iterator over the values, which it takes out of the map.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelMap};
    ///
    /// let map = ChannelMap::from([(Channel::ALL[4], "b"), (Channel::ALL[2], "a")]);
    /// assert_eq!(map.into_values().collect::<Vec<_>>(), ["a", "b"]);
    /// ```
    pub fn into_values(self) -> IntoValues<T> {
        IntoValues(self.into_iter())
    }
}

impl<T> IntoIterator for ChannelMap<T> {
    type Item = (Channel, T);
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        let left = self.len();
        IntoIter { slots: Channel::ALL.into_iter().zip(self.slots), left }
    }
}

impl<'a, T> IntoIterator for &'a ChannelMap<T> {
    type Item = (Channel, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut ChannelMap<T> {
    type Item = (Channel, &'a mut T);
    type IntoIter = IterMut<'a, T>;

    fn into_iter(self) -> IterMut<'a, T> {
        self.iter_mut()
    }
}
