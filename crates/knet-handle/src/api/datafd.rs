//! A datafd, as the application sees it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use knet_channel::Channel;

use crate::api::handle::Handle;
use crate::api::messages;
use crate::datafd_key::DatafdId;
use crate::datafds::table::{Entry, Origin};
use crate::error::Error;
use crate::send_report::SendReport;

/// A datafd of a handle, to poll, read and write, or to [`send`](Datafd::send) and
/// [`receive`](Datafd::recv) with.
///
/// Cloning or dropping it has no effect: the datafd stays until it is removed or the handle is closed. It
/// counts as a clone of its [`Handle`].
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use knet_handle::Error;
///
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// datafd.send(b"hello")?;
///
/// // A real program polls `datafd.as_fd()`.
/// let mut buffer = [0; 100];
/// let length = loop {
///     match datafd.recv(&mut buffer) {
///         Err(Error::WouldBlock(_)) => std::thread::yield_now(),
///         received => break received?,
///     }
/// };
/// assert_eq!(&buffer[..length], b"hello");
/// datafd.remove()?;
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone)]
pub struct Datafd {
    handle: Handle,
    channel: Channel,
    id: DatafdId,
    origin: Origin,
    /// The application's end of a created pair, or a duplicate of what the application brought.
    fd: Arc<OwnedFd>,
}

impl Datafd {
    /// Creates the datafd of an entry, with the application's end of a created pair, or a duplicate of the
    /// descriptor that the application brought.
    pub(crate) fn new(handle: &Handle, entry: &Entry, fd: Arc<OwnedFd>) -> Self {
        let (channel, id, origin) = (entry.channel, entry.id(), entry.origin.clone());
        Self { handle: handle.clone(), channel, id, origin, fd }
    }

    /// Returns the channel.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// Returns the identity, by which events name the datafd too.
    #[must_use]
    pub fn id(&self) -> DatafdId {
        self.id
    }

    /// Returns the number that events and [`DatafdStatus`] report: that of the application's end of a
    /// created pair, or of the descriptor that the application brought.
    ///
    /// It does not identify the datafd: an application may close a descriptor that it brought, and bring
    /// another that gets the same number.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.id.number
    }

    /// Returns the number that the application's own descriptor had when it was added with
    /// [`DatafdSource::Fd`](crate::DatafdSource::Fd), or `None` for a datafd of another source.
    /// [`Datafd::as_fd`] is another descriptor of the same open file.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::{AsFd, AsRawFd};
    /// use std::os::unix::net::UnixStream;
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let events = handle.datafd_events();
    /// let (stream, peer) = UnixStream::pair()?;
    /// let datafd = handle.add_datafd(DatafdSource::Fd(stream.as_fd()), ChannelRequest::Any)?;
    /// assert_eq!(datafd.caller_fd(), Some(stream.as_raw_fd()));
    /// assert_ne!(datafd.as_raw_fd(), stream.as_raw_fd());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn caller_fd(&self) -> Option<RawFd> {
        matches!(self.origin, Origin::Lent).then_some(self.id.number)
    }

    /// Sends a message to the other hosts: [`Handle::send`].
    ///
    /// # Errors
    /// - [`Error::ChannelNotInUse`] if the datafd was removed, even if its channel has another one now.
    /// - Those of [`Handle::send`].
    pub fn send(&self, message: &[u8]) -> Result<SendReport, Error> {
        // Before anything is locked.
        self.handle.shared().accept_call()?;
        if self.handle.shared().datafds.by_token(self.id.token).is_none() {
            return Err(Error::ChannelNotInUse(self.channel));
        }
        self.handle.send(self.channel, message)
    }

    /// Receives a message and returns its length in bytes, like [`Handle::recv`]. Never blocks. Messages
    /// that arrived before the datafd was removed can still be received.
    ///
    /// # Errors
    /// - [`Error::WouldBlock`] if no message is available.
    /// - [`Error::DatafdClosed`] if the datafd was removed and no message is left.
    /// - [`Error::EmptyBuffer`].
    /// - [`Error::NotOurDatafd`] if the application brought the datafd.
    /// - [`Error::BufferTooSmall`] if the message did not fit. It is lost.
    /// - [`Error::Os`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::Error;
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// # let events = handle.datafd_events();
    /// # handle.set_forwarding(true)?;
    /// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// let mut buffer = [0; 100];
    /// assert!(matches!(datafd.recv(&mut buffer), Err(Error::WouldBlock(_))));
    /// handle.remove_datafd(&datafd)?;
    /// assert!(matches!(datafd.recv(&mut buffer), Err(Error::DatafdClosed(_))));
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let created = matches!(self.origin, Origin::Created(_));
        messages::recv(self.channel, created.then_some(&*self.fd), buffer)
    }

    /// Reads the datafd again after an error: [`Handle::resume_datafd`].
    ///
    /// # Errors
    /// - [`Error::UnknownDatafd`] if it was removed.
    /// - [`Error::InsideFilter`]; [`Error::Os`].
    pub fn resume(&self) -> Result<(), Error> {
        self.handle.resume_datafd(self.id)
    }

    /// Removes the datafd from the handle: [`Handle::remove_datafd`].
    ///
    /// # Errors
    /// - [`Error::UnknownDatafd`] if it was removed before, even if another datafd has its number now.
    /// - [`Error::InsideFilter`].
    pub fn remove(self) -> Result<(), Error> {
        self.handle.remove_datafd(self.id)
    }
}

/// The application's end of a created pair, or a duplicate of the descriptor that the application brought.
/// The duplicate stays valid if the application closes its own.
impl AsFd for Datafd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Datafd {
    /// Returns the number of [`Datafd::as_fd`].
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl fmt::Debug for Datafd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datafd")
            .field("channel", &self.channel)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The state of a datafd: [`Handle::datafd_status`].
///
/// # Examples
///
/// ```
/// use knet_handle::DatafdState;
///
/// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
/// # let handle = Handle::new(HostId::new(1))?;
/// # let itself = handle.add_host(handle.host_id())?;
/// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
/// # let events = handle.datafd_events();
/// # handle.set_forwarding(true)?;
/// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
/// let status = handle.datafd_status(datafd.channel())?;
/// assert_eq!((status.number, status.created), (datafd.number(), true));
/// assert_eq!(status.state, DatafdState::Active);
/// # Ok::<(), knet_handle::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DatafdStatus {
    /// The channel.
    pub channel: Channel,
    /// The number by which the handle identifies it.
    pub number: RawFd,
    /// Whether the handle created it.
    pub created: bool,
    /// Whether it is read, or waits for its removal.
    pub state: DatafdState,
}

/// Whether a datafd is in use.
///
/// # Examples
///
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
/// use knet_handle::{ChannelRequest, DatafdSource, DatafdState, Handle, HostId};
///
/// let handle = Handle::new(HostId::new(1))?;
/// let events = handle.datafd_events();
/// let (ours, theirs) = UnixStream::pair()?;
/// let datafd = handle.add_datafd(DatafdSource::Fd(theirs.as_fd()), ChannelRequest::Any)?;
/// drop(ours);
/// events.recv()?;
/// assert_eq!(handle.datafd_status(datafd.channel())?.state, DatafdState::Disabled);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is read or it is not")]
pub enum DatafdState {
    /// It is read: messages written to it are sent.
    Active,
    /// It reached its end or failed, and is not read until [`Datafd::resume`]. Its channel stays in use until
    /// it is removed.
    Disabled,
}
