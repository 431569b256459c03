//! Where a datafd comes from.

use std::os::fd::{BorrowedFd, RawFd};

/// Where a datafd comes from, for [`Handle::add_datafd`](crate::Handle::add_datafd).
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use knet_handle::{ChannelRequest, DatafdSource, Error};
///
/// # use knet_handle::{Handle, HostId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let events = handle.datafd_events();
/// let (ours, theirs) = UnixStream::pair()?;
/// for source in [DatafdSource::Create, DatafdSource::Fd(theirs.as_fd()), DatafdSource::Raw(0)] {
///     handle.add_datafd(source, ChannelRequest::Any)?;
/// }
/// let error = handle.add_datafd(DatafdSource::Raw(-1), ChannelRequest::Any).unwrap_err();
/// assert!(matches!(error, Error::NegativeDatafd { fd: -1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DatafdSource<'a> {
    /// A socket pair that the handle creates. The application gets one end.
    Create,
    /// A descriptor of the application, which becomes non-blocking and close-on-exec. The handle works on
    /// a duplicate and never closes the descriptor of the application.
    Fd(BorrowedFd<'a>),
    /// The same as in the C library: 0 for [`DatafdSource::Create`], or the number of a descriptor of the
    /// application.
    Raw(RawFd),
}
