//! The datafds of a handle.

use std::os::fd::{AsRawFd, RawFd};

use knet_channel::{Channel, ChannelRequest};
use knet_poller::Token;

use crate::api::datafd::{Datafd, DatafdState, DatafdStatus};
use crate::api::handle::Handle;
use crate::datafds::source::DatafdSource;
use crate::error::Error;

/// # Datafds
impl Handle {
    /// Adds a datafd for a channel: messages written to it come out of the datafds of the same channel on
    /// the other hosts, and theirs out of it. `docs/datafd.md` has all rules.
    ///
    /// # Errors
    /// After any of them, everything is as before.
    ///
    /// - [`Error::NotificationsNotEnabled`] before [`Handle::datafd_events`] or
    ///   [`Handle::on_datafd_event`] was called.
    /// - [`Error::ChannelInUse`] or [`Error::NoChannelFree`] if the channel is not available.
    /// - [`Error::DatafdExists`] if the descriptor is a datafd of this handle already.
    /// - [`Error::NegativeDatafd`] or [`Error::DatafdNotOpen`] for a raw number that is no descriptor.
    /// - [`Error::NotPollable`], [`Error::NotReadWrite`] or [`Error::UnsupportedDatafd`] if the descriptor
    ///   cannot be a datafd.
    /// - [`Error::InsideFilter`]; [`Error::Os`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::fd::AsFd;
    /// use std::os::unix::net::UnixDatagram;
    /// use knet_handle::{Channel, ChannelRequest, DatafdSource};
    ///
    /// # use knet_handle::{Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let events = handle.datafd_events();
    ///
    /// // A socket pair, of which the handle keeps one end:
    /// let created = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// assert_eq!(created.channel(), Channel::ALL[0]);
    ///
    /// // A descriptor of the application. The handle works on a duplicate.
    /// let (ours, theirs) = UnixDatagram::pair()?;
    /// let request = ChannelRequest::Exact(Channel::new(7)?);
    /// let brought = handle.add_datafd(DatafdSource::Fd(theirs.as_fd()), request)?;
    /// assert_eq!(handle.channels(), [created.channel(), brought.channel()]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_datafd(
        &self,
        source: DatafdSource<'_>,
        request: ChannelRequest,
    ) -> Result<Datafd, Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if !self.audiences().datafd.was_subscribed() {
            return Err(Error::NotificationsNotEnabled);
        }
        let (entry, fd) = shared.datafds.add(source, request, &shared.tx.poller)?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// Removes a datafd, given as its [`Datafd`], the descriptor that the application brought, or its
    /// number. Messages that were written to it and not read yet are lost.
    ///
    /// A descriptor that the application brought stays open, with its flags as they are. Failed datafds
    /// can be removed too, and datafds can be removed in a callback.
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`]; [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let events = handle.datafd_events();
    /// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// handle.remove_datafd(&datafd)?;
    /// assert!(handle.channels().is_empty());
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn remove_datafd(&self, datafd: &impl AsRawFd) -> Result<(), Error> {
        self.take_datafd(datafd.as_raw_fd(), None)
    }

    /// Removes a datafd; if a token is given, only the one that has it.
    pub(crate) fn take_datafd(&self, number: RawFd, token: Option<Token>) -> Result<(), Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        shared.datafds.remove(number, token, &shared.tx.poller, &shared.rx.poller)
    }

    /// Returns the datafd of a channel.
    ///
    /// # Errors
    /// - [`Error::ChannelNotInUse`].
    /// - [`Error::Os`] if a descriptor that the application brought cannot be duplicated.
    ///
    /// # Examples
    ///
    /// ```
    /// # use knet_handle::{ChannelRequest, DatafdSource, DatafdState, Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let events = handle.datafd_events();
    /// let added = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// let channel = added.channel();
    /// assert_eq!(handle.datafd(channel)?.number(), added.number());
    /// assert_eq!(handle.channel_of(&added.number())?, channel);
    /// assert_eq!(handle.datafd_status(channel)?.state, DatafdState::Active);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn datafd(&self, channel: Channel) -> Result<Datafd, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        let fd = entry.descriptor()?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// Returns the channel of a datafd, which is given as in [`Handle::remove_datafd`].
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`].
    pub fn channel_of(&self, datafd: &impl AsRawFd) -> Result<Channel, Error> {
        let fd = datafd.as_raw_fd();
        let entry = self.shared().datafds.by_number(fd).ok_or(Error::UnknownDatafd { fd })?;
        Ok(entry.channel)
    }

    /// Returns the state of the datafd of a channel.
    ///
    /// # Errors
    /// [`Error::ChannelNotInUse`].
    pub fn datafd_status(&self, channel: Channel) -> Result<DatafdStatus, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        let state = if entry.is_disabled() { DatafdState::Disabled } else { DatafdState::Active };
        Ok(DatafdStatus {
            channel,
            number: entry.number,
            created: entry.application.is_some(),
            state,
        })
    }

    /// Returns the channels that have a datafd, in ascending order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.shared().datafds.list().into_iter().map(|(channel, _)| channel).collect()
    }
}
