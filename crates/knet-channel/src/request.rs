//! What a caller asks of the allocator.

use crate::{Channel, InvalidChannel};

/// Which channel is wanted.
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
    /// The lowest channel that is free.
    #[default]
    Any,
    /// This channel and no other.
    Exact(Channel),
}

impl ChannelRequest {
    /// Reads the number that libknet's C interface takes: negative for any, 0 to 31 for exactly
    /// that one (`spec/datafd.md` row 9).
    ///
    /// # Errors
    ///
    /// [`InvalidChannel`] if `number` is 32 or more.
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
    fn every_raw_number_has_its_meaning() {
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
