//! A datafd in the application's hands.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use knet_channel::Channel;
use knet_poller::Token;

use crate::api::handle::Handle;
use crate::api::messages;
use crate::datafds::table::Entry;
use crate::error::Error;
use crate::send_report::SendReport;

/// A datafd of a handle: something to poll, read and write, or to [`Datafd::send`] and
/// [`Datafd::recv`] with.
///
/// Cloning or dropping it changes nothing: the datafd stays until it is removed, or until the
/// handle goes away. It counts as a clone of its [`Handle`].
#[derive(Clone)]
pub struct Datafd {
    handle: Handle,
    channel: Channel,
    number: RawFd,
    /// Its successor may have the same channel and the same number, but not this.
    token: Token,
    /// Whether the handle made it: then `fd` is the application's end.
    created: bool,
    fd: Arc<OwnedFd>,
}

impl Datafd {
    /// For a datafd of the handle, with the application's end of a created pair, or a duplicate of the
    /// descriptor that the application brought.
    pub(crate) fn new(handle: &Handle, entry: &Entry, fd: Arc<OwnedFd>) -> Self {
        let Entry { channel, number, token, .. } = *entry;
        let created = entry.application.is_some();
        Self { handle: handle.clone(), channel, number, token, created, fd }
    }

    /// The channel that it is for.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// The number under which the handle knows it: of the application's end of a created pair, or
    /// of the descriptor that the application brought.
    #[must_use]
    pub fn number(&self) -> RawFd {
        self.number
    }

    /// Sends a message to the other hosts: [`Handle::send`].
    ///
    /// # Errors
    /// [`Error::ChannelNotInUse`] if it was removed, also if its channel has another datafd now; those of
    /// [`Handle::send`].
    pub fn send(&self, message: &[u8]) -> Result<SendReport, Error> {
        if self.handle.shared().datafds.by_token(self.token).is_none() {
            return Err(Error::ChannelNotInUse(self.channel));
        }
        self.handle.send(self.channel, message)
    }

    /// Receives a message of the other hosts, without waiting, as [`Handle::recv`] does. Gives its length
    /// in bytes. What came before it was removed can still be received.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if none is there; [`Error::DatafdClosed`] if it was removed and none is left;
    /// [`Error::EmptyBuffer`]; [`Error::NotOurDatafd`] if the application brought it;
    /// [`Error::BufferTooSmall`] if the message did not fit, which loses it; [`Error::Os`].
    pub fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        messages::recv(self.channel, self.created.then_some(&*self.fd), buffer)
    }

    /// Removes it from the handle: [`Handle::remove_datafd`].
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`] if it was removed before, also if another one has its number now;
    /// [`Error::InsideFilter`].
    pub fn remove(self) -> Result<(), Error> {
        self.handle.take_datafd(self.number, Some(self.token))
    }
}

/// Of a created pair the application's end; of a descriptor that the application brought a
/// duplicate, which stays valid if the application closes its own.
impl AsFd for Datafd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Datafd {
    /// [`Datafd::number`], for look-ups.
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

impl fmt::Debug for Datafd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datafd")
            .field("channel", &self.channel)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// What is known of a datafd.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DatafdStatus {
    /// Its channel.
    pub channel: Channel,
    /// Its number.
    pub number: RawFd,
    /// Whether the handle made it.
    pub created: bool,
    /// Whether it is read, or has come to its end and waits for being removed.
    pub state: DatafdState,
}

/// Whether a datafd is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is read or it is not")]
pub enum DatafdState {
    /// Messages written to it are sent.
    Active,
    /// It came to its end or failed, and is no longer read. Its channel stays taken until it is
    /// removed.
    Disabled,
}
