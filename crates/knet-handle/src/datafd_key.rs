//! How a datafd is named: by its id, by what is open, or by a number.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use knet_poller::Token;

/// The identity of a datafd. No other datafd of the handle ever has the same, whatever channel and number it
/// has: [`Datafd::id`](crate::Datafd::id), [`DatafdEvent::id`](crate::DatafdEvent::id).
///
/// # Examples
///
/// ```
/// use knet_handle::Error;
///
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let events = handle.datafd_events();
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// let id = datafd.id();
/// assert_eq!(handle.channel_of(id)?, datafd.channel());
///
/// datafd.remove()?;
/// let successor = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// assert_ne!(successor.id(), id);
/// assert!(matches!(handle.remove_datafd(id), Err(Error::UnknownDatafd { .. })));
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DatafdId {
    pub(crate) token: Token,
    pub(crate) number: RawFd,
}

impl fmt::Display for DatafdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fd {} (datafd {})", self.number, self.token.0)
    }
}

/// What names a datafd to [`Handle::remove_datafd`](crate::Handle::remove_datafd),
/// [`Handle::resume_datafd`](crate::Handle::resume_datafd) and
/// [`Handle::channel_of`](crate::Handle::channel_of).
///
/// # Examples
///
/// ```
/// use std::os::fd::{AsFd, AsRawFd};
/// use std::os::unix::net::UnixStream;
/// use knet_handle::{ChannelRequest, DatafdSource};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let events = handle.datafd_events();
/// let (stream, peer) = UnixStream::pair()?;
/// let datafd = handle.add_datafd(DatafdSource::Fd(stream.as_fd()), ChannelRequest::Any)?;
/// for channel in [
///     handle.channel_of(datafd.id())?,
///     handle.channel_of(&datafd)?,
///     handle.channel_of(&stream)?,
///     handle.channel_of(stream.as_raw_fd())?,
/// ] {
///     assert_eq!(channel, datafd.channel());
/// }
/// assert!(handle.channel_of(&peer).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DatafdKey<'a> {
    /// The datafd with this id.
    Id(DatafdId),
    /// The datafd that has the same open file as this descriptor: the application's end of a created pair,
    /// or a descriptor that was brought, or a duplicate of either. Its number does not matter.
    Fd(BorrowedFd<'a>),
    /// The datafd that was added under this number, even if the number is closed or belongs to another file
    /// by now. Of several that were, the one whose file is open under the number.
    Number(RawFd),
}

impl From<DatafdId> for DatafdKey<'_> {
    fn from(id: DatafdId) -> Self {
        Self::Id(id)
    }
}

impl<'a, T: AsFd> From<&'a T> for DatafdKey<'a> {
    fn from(fd: &'a T) -> Self {
        Self::Fd(fd.as_fd())
    }
}

impl<'a> From<BorrowedFd<'a>> for DatafdKey<'a> {
    fn from(fd: BorrowedFd<'a>) -> Self {
        Self::Fd(fd)
    }
}

impl From<RawFd> for DatafdKey<'_> {
    fn from(number: RawFd) -> Self {
        Self::Number(number)
    }
}
