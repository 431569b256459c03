//! The datafds of a handle.

use std::os::fd::{AsRawFd, RawFd};

use knet_channel::{Channel, ChannelRequest};
use knet_poller::Token;

use crate::api::datafd::{Datafd, DatafdState, DatafdStatus};
use crate::api::handle::Handle;
use crate::datafds::source::DatafdSource;
use crate::error::Error;

impl Handle {
    /// Adds a datafd: what the application writes to it comes out of the other hosts' datafds of
    /// the same channel, and the other way round. See `docs/datafd.md` for the whole contract.
    ///
    /// # Errors
    /// [`Error::NotificationsNotEnabled`] before [`Handle::datafd_events`] or
    /// [`Handle::on_datafd_event`]; [`Error::ChannelInUse`]; [`Error::NoChannelFree`];
    /// [`Error::DatafdExists`]; [`Error::NegativeDatafd`]; [`Error::DatafdNotOpen`];
    /// [`Error::NotPollable`]; [`Error::NotReadWrite`]; [`Error::UnsupportedDatafd`];
    /// [`Error::InsideFilter`]; [`Error::Os`]. After any of them everything is as it was.
    pub fn add_datafd(
        &self,
        source: DatafdSource<'_>,
        request: ChannelRequest,
    ) -> Result<Datafd, Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        if !self.audiences().datafd.was_asked() {
            return Err(Error::NotificationsNotEnabled);
        }
        let (entry, fd) = shared.datafds.add(source, request, &shared.tx.poller)?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// Removes a datafd, named by its [`Datafd`], by the caller's descriptor or by its number. What
    /// was written to it and not read yet is lost; a descriptor that the caller brought stays open
    /// with its flags as they are: it is borrowed here, so that nobody can close it by naming it.
    /// Works on a datafd that failed, and from any notification.
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`]; [`Error::InsideFilter`].
    pub fn remove_datafd(&self, datafd: &impl AsRawFd) -> Result<(), Error> {
        self.take_datafd(datafd.as_raw_fd(), None)
    }

    /// Removes a datafd; if a token is given, only the one that has it.
    pub(crate) fn take_datafd(&self, number: RawFd, token: Option<Token>) -> Result<(), Error> {
        let shared = self.shared();
        shared.outside_filter()?;
        shared.datafds.remove(number, token, &shared.tx.poller, &shared.rx.poller)
    }

    /// The datafd of a channel.
    ///
    /// # Errors
    /// [`Error::ChannelNotInUse`]; [`Error::Os`] if a descriptor that the caller brought cannot be
    /// duplicated.
    pub fn datafd(&self, channel: Channel) -> Result<Datafd, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        let fd = entry.descriptor()?;
        Ok(Datafd::new(self, &entry, fd))
    }

    /// The channel of a datafd, named as in [`Handle::remove_datafd`].
    ///
    /// # Errors
    /// [`Error::UnknownDatafd`].
    pub fn channel_of(&self, datafd: &impl AsRawFd) -> Result<Channel, Error> {
        let fd = datafd.as_raw_fd();
        let entry = self.shared().datafds.by_number(fd).ok_or(Error::UnknownDatafd { fd })?;
        Ok(entry.channel)
    }

    /// What is known of the datafd of a channel.
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

    /// The channels that have a datafd, in ascending order.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        self.shared().datafds.list().into_iter().map(|(channel, _)| channel).collect()
    }
}
