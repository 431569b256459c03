//! Handing out channels and taking them back.

use crate::{Channel, ChannelRequest, ChannelSet, errno::EBUSY};

/// Knows which channels are taken and hands out the others.
///
/// # Examples
///
/// ```
/// use knet_channel::{AllocateError, Channel, ChannelAllocator, ChannelRequest};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut channels = ChannelAllocator::new();
/// let first = channels.allocate(ChannelRequest::Any)?;
/// assert_eq!(first, Channel::new(0)?);
/// assert_eq!(channels.allocate(first.into()), Err(AllocateError::InUse(first)));
///
/// assert!(channels.release(first));
/// assert_eq!(channels.allocate(ChannelRequest::Any)?, first);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChannelAllocator {
    in_use: ChannelSet,
}

impl ChannelAllocator {
    /// Makes an allocator with all 32 channels free.
    #[must_use]
    pub const fn new() -> ChannelAllocator {
        ChannelAllocator { in_use: ChannelSet::EMPTY }
    }

    /// Takes a channel: the lowest free one, or exactly the one that is asked for
    /// (`spec/datafd.md` rows 9 and 10).
    ///
    /// # Errors
    ///
    /// Nothing is taken if this fails.
    ///
    /// - [`AllocateError::InUse`] if the channel asked for is taken.
    /// - [`AllocateError::Exhausted`] if any would do and all 32 are taken.
    pub fn allocate(&mut self, request: ChannelRequest) -> Result<Channel, AllocateError> {
        let channel = match request {
            ChannelRequest::Any => self.in_use.lowest_free().ok_or(AllocateError::Exhausted)?,
            ChannelRequest::Exact(channel) => channel,
        };
        if self.in_use.insert(channel) { Ok(channel) } else { Err(AllocateError::InUse(channel)) }
    }

    /// Gives a channel back, free again at once; returns whether it was taken.
    pub const fn release(&mut self, channel: Channel) -> bool {
        self.in_use.remove(channel)
    }

    /// Returns the channels that are taken.
    #[must_use]
    pub const fn in_use(&self) -> ChannelSet {
        self.in_use
    }
}

/// Why no channel was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// Exactly this channel was asked for, and it is taken.
    #[error("channel {0} is in use: ask for another or for any")]
    InUse(Channel),
    /// All 32 channels are taken.
    #[error("all 32 channels are in use: release one first")]
    Exhausted,
}

impl AllocateError {
    /// Returns `EBUSY`, what libknet sets (`spec/api.md` section 7.3).
    #[must_use]
    pub const fn errno(&self) -> i32 {
        EBUSY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_33rd_is_refused_and_a_release_makes_room() {
        let mut channels = ChannelAllocator::new();
        for channel in Channel::ALL {
            assert_eq!(channels.allocate(ChannelRequest::Any), Ok(channel));
        }
        let error = channels.allocate(ChannelRequest::Any).unwrap_err();
        assert_eq!(error, AllocateError::Exhausted);
        assert_eq!(error.errno(), 16);

        assert!(channels.release(Channel::ALL[17]));
        assert_eq!(channels.allocate(ChannelRequest::Any), Ok(Channel::ALL[17]));
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let mut channels = ChannelAllocator::new();
        let taken = Channel::ALL[5];
        assert_eq!(channels.allocate(taken.into()), Ok(taken));
        let before = channels.clone();
        let error = channels.allocate(taken.into()).unwrap_err();
        assert_eq!(error, AllocateError::InUse(taken));
        assert_eq!(error.errno(), 16);
        assert_eq!(channels, before);
    }

    #[test]
    fn releasing_a_free_channel_is_told() {
        assert!(!ChannelAllocator::new().release(Channel::ALL[0]));
    }
}
