//! The type of a channel number.

use core::{fmt, str::FromStr};

use crate::errno::EINVAL;

/// A channel number from 0 to 31.
///
/// The range is that of libknet, whose `KNET_DATAFD_MAX` is 32.
///
/// # Examples
///
/// ```
/// use knet_channel::Channel;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let channel = Channel::new(3)?;
/// assert_eq!(channel.get(), 3);
/// assert_eq!("3".parse::<Channel>()?, channel);
/// assert_eq!(Channel::try_from(-1_i8).unwrap_err().number, -1);
///
/// // A constant needs no error handling.
/// const CONTROL: Channel = Channel::ALL[31];
/// assert_eq!(CONTROL.to_string(), "31");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Channel(
    /// Below [`Channel::COUNT`], because only [`Channel::new`] creates one.
    u8,
);

impl Channel {
    /// The number of channels of a handle.
    pub const COUNT: usize = 32;

    /// All channels in ascending order.
    pub const ALL: [Channel; Channel::COUNT] = all();

    /// Creates a channel from its number.
    ///
    /// # Errors
    ///
    /// [`InvalidChannel`] if `number` is 32 or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::Channel;
    ///
    /// assert_eq!(Channel::new(31)?, Channel::ALL[31]);
    /// assert!(Channel::new(32).is_err());
    /// # Ok::<(), knet_channel::InvalidChannel>(())
    /// ```
    pub const fn new(number: u8) -> Result<Channel, InvalidChannel> {
        if (number as usize) < Channel::COUNT {
            Ok(Channel(number))
        } else {
            Err(InvalidChannel { number: number as i32 })
        }
    }

    /// Returns the number, 0 to 31, as it is sent in packets.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_channel::Channel::ALL[7].get(), 7);
    /// ```
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Returns the number, 0 to 31, as an index into an array of [`Channel::COUNT`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::Channel;
    ///
    /// let mut counters = [0; Channel::COUNT];
    /// counters[Channel::ALL[7].index()] += 1;
    /// assert_eq!(counters[7], 1);
    /// ```
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u8> for Channel {
    type Error = InvalidChannel;

    fn try_from(number: u8) -> Result<Channel, InvalidChannel> {
        Channel::new(number)
    }
}

/// `i8` is the type of channels in libknet's C API.
impl TryFrom<i8> for Channel {
    type Error = InvalidChannel;

    fn try_from(number: i8) -> Result<Channel, InvalidChannel> {
        match u8::try_from(number) {
            Ok(number) => Channel::new(number),
            Err(_) => Err(InvalidChannel { number: i32::from(number) }),
        }
    }
}

impl From<Channel> for i8 {
    fn from(channel: Channel) -> i8 {
        // At most 31, so nothing is truncated.
        channel.0 as i8
    }
}

impl From<Channel> for u8 {
    fn from(channel: Channel) -> u8 {
        channel.get()
    }
}

impl FromStr for Channel {
    type Err = ParseChannelError;

    fn from_str(text: &str) -> Result<Channel, ParseChannelError> {
        let number: i32 = text.parse().map_err(|_| ParseChannelError::NotANumber)?;
        let in_a_byte = u8::try_from(number).map_err(|_| InvalidChannel { number })?;
        Ok(Channel::new(in_a_byte)?)
    }
}

/// Formats the number in decimal with the requested width and fill.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error of a channel number outside 0 to 31.
///
/// # Examples
///
/// ```
/// use knet_channel::Channel;
///
/// let error = Channel::new(200).unwrap_err();
/// assert_eq!(error.number, 200);
/// assert_eq!(error.to_string(), "channel 200 does not exist, use 0 to 31");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("channel {number} does not exist, use 0 to 31")]
#[non_exhaustive]
pub struct InvalidChannel {
    /// The number.
    pub number: i32,
}

impl InvalidChannel {
    /// Returns `EINVAL`, the errno that libknet sets in this case.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_channel::Channel::new(32).unwrap_err().errno(), 22);
    /// ```
    #[must_use]
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

/// The error of parsing a [`Channel`].
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ParseChannelError};
///
/// assert_eq!("data".parse::<Channel>(), Err(ParseChannelError::NotANumber));
/// assert!(matches!("32".parse::<Channel>(), Err(ParseChannelError::Invalid(_))));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseChannelError {
    /// The text is not a decimal integer, or does not fit an `i32`.
    #[error("not a channel, write a decimal number from 0 to 31")]
    NotANumber,
    /// The number is outside the range of channels.
    #[error(transparent)]
    Invalid(#[from] InvalidChannel),
}

impl ParseChannelError {
    /// Returns `EINVAL`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_channel::ParseChannelError::NotANumber.errno(), 22);
    /// ```
    #[must_use]
    pub const fn errno(&self) -> i32 {
        EINVAL
    }
}

const fn all() -> [Channel; Channel::COUNT] {
    let mut channels = [Channel(0); Channel::COUNT];
    let mut number: u8 = 0;
    while (number as usize) < Channel::COUNT {
        channels[number as usize] = Channel(number);
        number += 1;
    }
    channels
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_u8_is_a_channel_if_it_is_below_32() {
        for number in 0..=u8::MAX {
            match Channel::new(number) {
                Ok(channel) => {
                    assert!(number < 32);
                    assert_eq!(channel.get(), number);
                    assert_eq!(channel.index(), usize::from(number));
                    assert_eq!(u8::from(channel), number);
                }
                Err(error) => {
                    assert!(number >= 32);
                    assert_eq!(error.number, i32::from(number));
                }
            }
            assert_eq!(Channel::try_from(number), Channel::new(number));
        }
    }

    #[test]
    fn an_i8_is_a_channel_if_it_is_from_0_to_31() {
        for number in i8::MIN..=i8::MAX {
            match Channel::try_from(number) {
                Ok(channel) => assert_eq!(i16::from(channel.get()), i16::from(number)),
                Err(error) => {
                    assert!(!(0..32).contains(&number));
                    assert_eq!(error.number, i32::from(number));
                }
            }
        }
    }

    #[test]
    fn all_is_in_ascending_order() {
        for (index, channel) in Channel::ALL.into_iter().enumerate() {
            assert_eq!(channel.index(), index);
        }
    }

    #[test]
    fn text_round_trips() {
        for channel in Channel::ALL {
            assert_eq!(channel.to_string().parse(), Ok(channel));
        }
    }

    #[test]
    fn text_without_a_channel_number_is_rejected() {
        for text in ["", " 1", "1 ", "x", "0x1", "1.0", "99999999999"] {
            assert_eq!(text.parse::<Channel>(), Err(ParseChannelError::NotANumber), "{text:?}");
        }
        for (text, number) in [("32", 32), ("-1", -1), ("256", 256)] {
            let error = ParseChannelError::Invalid(InvalidChannel { number });
            assert_eq!(text.parse::<Channel>(), Err(error));
            assert_eq!(error.errno(), 22);
        }
    }

    #[test]
    fn the_error_message_names_the_valid_range() {
        let error = Channel::new(32).unwrap_err();
        assert_eq!(error.to_string(), "channel 32 does not exist, use 0 to 31");
        assert_eq!(error.errno(), 22);
    }
}
