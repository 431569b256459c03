//! Allocation of channels.

use crate::{Channel, ChannelRequest, ChannelSet, errno::EBUSY};

/// Allocates channels and keeps track of the channels in use.
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
    /// Creates an allocator with all 32 channels free.
    ///
    /// # Examples
    ///
    /// ```
    /// assert!(knet_channel::ChannelAllocator::new().in_use().is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> ChannelAllocator {
        ChannelAllocator { in_use: ChannelSet::EMPTY }
    }

    /// Allocates the lowest free channel, or the requested one.
    ///
    /// # Errors
    ///
    /// The allocator is unchanged after an error.
    ///
    /// - [`AllocateError::InUse`] if the requested channel is in use.
    /// - [`AllocateError::Exhausted`] if any channel was requested and all 32 are in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{Channel, ChannelAllocator, ChannelRequest};
    ///
    /// let mut channels = ChannelAllocator::new();
    /// let third = Channel::ALL[3];
    /// assert_eq!(channels.allocate(ChannelRequest::Exact(third))?, third);
    /// assert_eq!(channels.allocate(ChannelRequest::Any)?, Channel::ALL[0]);
    /// # Ok::<(), knet_channel::AllocateError>(())
    /// ```
    pub fn allocate(&mut self, request: ChannelRequest) -> Result<Channel, AllocateError> {
        let channel = match request {
            ChannelRequest::Any => self.in_use.lowest_free().ok_or(AllocateError::Exhausted)?,
            ChannelRequest::Exact(channel) => channel,
        };
        if self.in_use.insert(channel) { Ok(channel) } else { Err(AllocateError::InUse(channel)) }
    }

    /// Releases a channel, which can be allocated again immediately. Returns `true` if it was in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{ChannelAllocator, ChannelRequest};
    ///
    /// let mut channels = ChannelAllocator::new();
    /// let channel = channels.allocate(ChannelRequest::Any)?;
    /// assert!(channels.release(channel));
    /// assert!(!channels.release(channel));
    /// # Ok::<(), knet_channel::AllocateError>(())
    /// ```
    pub const fn release(&mut self, channel: Channel) -> bool {
        self.in_use.remove(channel)
    }

    /// Returns the channels in use.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_channel::{ChannelAllocator, ChannelRequest};
    ///
    /// let mut channels = ChannelAllocator::new();
    /// channels.allocate(ChannelRequest::Any)?;
    /// channels.allocate(ChannelRequest::Any)?;
    /// assert_eq!(channels.in_use().bits(), 0b11);
    /// # Ok::<(), knet_channel::AllocateError>(())
    /// ```
    #[must_use]
    pub const fn in_use(&self) -> ChannelSet {
        self.in_use
    }
}

/// The error of [`ChannelAllocator::allocate`].
///
/// # Examples
///
/// ```
/// use knet_channel::{AllocateError, Channel};
///
/// let error = AllocateError::InUse(Channel::ALL[4]);
/// assert_eq!(error.to_string(), "channel 4 is in use, request another one or any");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The requested channel is in use.
    #[error("channel {0} is in use, request another one or any")]
    InUse(Channel),
    /// All 32 channels are in use.
    #[error("all 32 channels are in use, release one first")]
    Exhausted,
}

impl AllocateError {
    /// Returns `EBUSY`, the errno that libknet sets in this case.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(knet_channel::AllocateError::Exhausted.errno(), 16);
    /// ```
    #[must_use]
    pub const fn errno(&self) -> i32 {
        EBUSY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_33rd_allocation_fails_until_a_channel_is_released() {
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
    fn a_failed_allocation_changes_nothing() {
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
    fn releasing_a_free_channel_returns_false() {
        assert!(!ChannelAllocator::new().release(Channel::ALL[0]));
    }
}
