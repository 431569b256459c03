//! The datafds of a handle.

use knet_channel::{Channel, ChannelRequest};

use crate::api::datafd::{Datafd, DatafdState, DatafdStatus};
use crate::api::handle::Handle;
use crate::datafd_key::DatafdKey;
use crate::datafds::source::DatafdSource;
use crate::error::Error;
use crate::log::log;

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
    /// - [`Error::DatafdExists`] if the descriptor refers to the same open file as a datafd of this handle.
    ///   That another had the same number does not matter.
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
        shared.accept_call()?;
        if !self.audiences().datafd.was_subscribed() {
            return Err(Error::NotificationsNotEnabled);
        }
        let (entry, fd) = shared.datafds.add(source, request, &shared.tx.poller)?;
        let (datafd, channel) = (entry.number, entry.channel);
        log!(info, shared.log, Datafd, datafd, %channel, "datafd added");
        Ok(Datafd::new(self, &entry, fd))
    }

    /// Removes a datafd, given as its id, its [`Datafd`], a descriptor of the same open file, or its number
    /// ([`DatafdKey`]). Messages that were written to it and not read yet are lost.
    ///
    /// A descriptor that the application brought stays open, with its flags as they are. Failed datafds
    /// can be removed too, and datafds can be removed in a callback.
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`]; [`Error::AmbiguousDatafd`]; [`Error::InsideFilter`].
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
    pub fn remove_datafd<'a>(&self, datafd: impl Into<DatafdKey<'a>>) -> Result<(), Error> {
        let shared = self.shared();
        shared.accept_call()?;
        shared.datafds.remove(datafd.into(), &shared.tx.poller, &shared.rx.poller)
    }

    /// Reads a datafd again that was disabled after an error or its end ([`DatafdState::Disabled`]). Messages
    /// that were written to it meanwhile are sent. Does nothing if the datafd is active.
    ///
    /// If the reason is still there, it is reported again. [`DatafdProblem::ReadFailed`] says whether it
    /// passes.
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`]; [`Error::AmbiguousDatafd`]; [`Error::InsideFilter`]; [`Error::Os`].
    ///
    /// # Examples
    ///
    /// The other end of a connected UDP socket is not there at first:
    ///
    /// ```
    /// use std::net::UdpSocket;
    /// use std::os::fd::AsFd;
    /// use knet_handle::{DatafdProblem, DatafdState};
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// let events = handle.datafd_events();
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// let absent = UdpSocket::bind("127.0.0.1:0")?;
    /// let address = absent.local_addr()?;
    /// drop(absent);
    /// socket.connect(address)?;
    /// let datafd = handle.add_datafd(DatafdSource::Fd(socket.as_fd()), ChannelRequest::Any)?;
    /// socket.send(b"refused")?;
    ///
    /// let event = events.recv()?.event;
    /// assert!(matches!(event.problem, DatafdProblem::ReadFailed { passing: true, .. }));
    /// handle.resume_datafd(event.id)?;
    /// assert_eq!(handle.datafd_status(datafd.channel())?.state, DatafdState::Active);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`DatafdProblem::ReadFailed`]: crate::DatafdProblem::ReadFailed
    pub fn resume_datafd<'a>(&self, datafd: impl Into<DatafdKey<'a>>) -> Result<(), Error> {
        let shared = self.shared();
        shared.accept_call()?;
        let entry = shared.datafds.find(datafd.into())?;
        entry.resume(&shared.tx.poller)?;
        let (datafd, channel) = (entry.number, entry.channel);
        log!(info, shared.log, Datafd, datafd, %channel, "datafd resumed");
        Ok(())
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
    /// assert_eq!(handle.channel_of(&added)?, channel);
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
    /// [`Error::UnknownDatafd`]; [`Error::AmbiguousDatafd`].
    pub fn channel_of<'a>(&self, datafd: impl Into<DatafdKey<'a>>) -> Result<Channel, Error> {
        Ok(self.shared().datafds.find(datafd.into())?.channel)
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
            created: entry.created().is_some(),
            state,
        })
    }

    /// Returns the channels that have a datafd, in ascending order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.shared().datafds.list().iter().map(|entry| entry.channel).collect()
    }
}
