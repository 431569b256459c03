//! Where a datafd comes from.

use std::os::fd::{BorrowedFd, OwnedFd};

/// Where a datafd comes from, for [`Handle::add_datafd`](crate::Handle::add_datafd).
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use knet_handle::{ChannelRequest, DatafdSource};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let events = handle.datafd_events();
/// let (lent, peer) = UnixStream::pair()?;
/// let (given, other_peer) = UnixStream::pair()?;
/// handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// handle.add_datafd(DatafdSource::Fd(lent.as_fd()), ChannelRequest::Any)?;
/// handle.add_datafd(DatafdSource::Owned(given.into()), ChannelRequest::Any)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DatafdSource<'a> {
    /// A socket pair that the handle creates. The application gets one end.
    Create,
    /// A descriptor of the application, which becomes non-blocking and close-on-exec. The handle works on
    /// a duplicate and never closes the descriptor of the application, which may close it at any time.
    Fd(BorrowedFd<'a>),
    /// A descriptor that is given to the handle, which closes it when the datafd is removed, or at once if
    /// it cannot be added.
    Owned(OwnedFd),
}

impl<'a> From<BorrowedFd<'a>> for DatafdSource<'a> {
    fn from(fd: BorrowedFd<'a>) -> Self {
        Self::Fd(fd)
    }
}

impl From<OwnedFd> for DatafdSource<'_> {
    fn from(fd: OwnedFd) -> Self {
        Self::Owned(fd)
    }
}
