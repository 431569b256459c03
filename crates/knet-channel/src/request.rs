//! Requests to the allocator.

use crate::{Channel, InvalidChannel};

/// The channel to allocate.
///
/// # Examples
///
/// ```
/// use knet_channel::{Channel, ChannelRequest};
///
/// # fn main() -> Result<(), knet_channel::InvalidChannel> {
/// assert_eq!(ChannelRequest::from_raw(-1)?, ChannelRequest::Any);
/// assert_eq!(ChannelRequest::from_raw(4)?, ChannelRequest::Exact(Channel::new(4)?));
/// assert_eq!(ChannelRequest::from(Channel::new(4)?), ChannelRequest::from_raw(4)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ChannelRequest {
    /// The lowest free channel.
    #[default]
    Any,
    /// This channel.
    Exact(Channel),
}

impl ChannelRequest {
    /// Converts a channel argument of libknet's C API: negative for any channel, 0 to 31 for a specific
    /// one.
    ///
    /// # Errors
    ///
    /// [`InvalidChannel`] if `number` is 32 or more.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelRequest};
    ///
    /// assert_eq!(ChannelRequest::from_raw(-1), Ok(ChannelRequest::Any));
    /// assert_eq!(ChannelRequest::from_raw(31), Ok(ChannelRequest::Exact(Channel::ALL[31])));
    /// assert!(ChannelRequest::from_raw(32).is_err());
    /// ```
    pub fn from_raw(number: i8) -> Result<ChannelRequest, InvalidChannel> {
        if number < 0 {
            Ok(ChannelRequest::Any)
        } else {
            Channel::try_from(number).map(Self::Exact)
        }
    }
}

impl From<Channel> for ChannelRequest {
    fn from(channel: Channel) -> ChannelRequest {
        ChannelRequest::Exact(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_numbers_convert_like_arguments_of_the_c_api() {
        for number in i8::MIN..=i8::MAX {
            let request = ChannelRequest::from_raw(number);
            match number {
                i8::MIN..=-1 => assert_eq!(request, Ok(ChannelRequest::Any)),
                0..=31 => {
                    assert_eq!(request, Channel::try_from(number).map(ChannelRequest::from));
                }
                32..=i8::MAX => assert_eq!(request.unwrap_err().number, i32::from(number)),
            }
        }
    }
}
