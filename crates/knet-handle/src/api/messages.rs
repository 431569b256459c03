//! Sending and receiving in the caller's thread.

use std::os::fd::AsFd;

use knet_channel::Channel;
use knet_fd::Received;

use crate::api::handle::Handle;
use crate::error::Error;
use crate::operation::Operation;
use crate::send_report::SendReport;
use crate::tx::plan::Addressing;

/// # Messages
impl Handle {
    /// Sends a message of 1 to 65536 bytes to the other hosts, in the caller's thread. The message passes
    /// the filter and the links as if it had been written to the channel's datafd.
    ///
    /// Returns once the kernel has accepted the packets of the message, with the hosts that it was sent to.
    /// Blocks while a link is full, for no longer than
    /// [`HandleConfig::send_timeout`](crate::HandleConfig::send_timeout).
    ///
    /// # Errors
    /// - [`Error::MessageSize`]; [`Error::ChannelNotInUse`]; [`Error::ForwardingOff`].
    /// - [`Error::FilterRejected`], [`Error::FilterNoDestination`] or [`Error::FilterChannel`] by the
    ///   filter's decision.
    /// - [`Error::NoReachableHost`] if no destination is reachable.
    /// - [`Error::NotSent`] if the kernel accepted the whole message for none of the destinations.
    /// - [`Error::InsideFilter`].
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Error, MAX_MESSAGE};
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// # let events = handle.datafd_events();
    /// # handle.set_forwarding(true)?;
    /// let datafd = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?;
    /// let report = handle.send(datafd.channel(), b"hello")?;
    /// assert_eq!(report.delivered().collect::<Vec<_>>(), [itself.id()]);
    ///
    /// let mut buffer = [0; 100];
    /// let length = loop {
    ///     match handle.recv(datafd.channel(), &mut buffer) {
    ///         Err(Error::WouldBlock(_)) => std::thread::yield_now(),
    ///         received => break received?,
    ///     }
    /// };
    /// assert_eq!(&buffer[..length], b"hello");
    ///
    /// let too_long = vec![0; MAX_MESSAGE + 1];
    /// let error = handle.send(datafd.channel(), &too_long).unwrap_err();
    /// assert!(matches!(error, Error::MessageSize { length } if length == too_long.len()));
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn send(&self, channel: Channel, message: &[u8]) -> Result<SendReport, Error> {
        self.transmit(channel, message, Addressing::Any)
    }

    /// Sends a message to exactly one host, which the filter specifies (`knet_send_sync`). Otherwise like
    /// [`Handle::send`].
    ///
    /// # Errors
    /// - Those of [`Handle::send`].
    /// - [`Error::NoFilter`].
    /// - [`Error::NotUnicast`] if the filter specified all hosts, or more than one.
    ///
    /// # Examples
    ///
    /// ```
    /// use knet_handle::{Error, Verdict};
    ///
    /// # use knet_handle::{ChannelRequest, DatafdSource, Handle, HostId, LinkConfig, LinkId};
    /// # let handle = Handle::new(HostId::new(1))?;
    /// # let itself = handle.add_host(handle.host_id())?;
    /// # itself.add_link(LinkId::new(0)?, LinkConfig::loopback())?.enable()?;
    /// # let events = handle.datafd_events();
    /// # handle.set_forwarding(true)?;
    /// let channel = handle.add_datafd(DatafdSource::Create, ChannelRequest::Any)?.channel();
    /// assert!(matches!(handle.send_sync(channel, b"hello"), Err(Error::NoFilter)));
    ///
    /// handle.set_filter(|message| {
    ///     message.add_destination(message.own());
    ///     Verdict::Destinations
    /// })?;
    /// assert_eq!(handle.send_sync(channel, b"hello")?.hosts, 1);
    /// # Ok::<(), knet_handle::Error>(())
    /// ```
    pub fn send_sync(&self, channel: Channel, message: &[u8]) -> Result<SendReport, Error> {
        self.transmit(channel, message, Addressing::Unicast)
    }

    fn transmit(
        &self,
        channel: Channel,
        message: &[u8],
        addressing: Addressing,
    ) -> Result<SendReport, Error> {
        let shared = self.shared();
        shared.accept_call()?;
        if message.is_empty() || message.len() > knet_wire::MAX_MESSAGE {
            return Err(Error::MessageSize { length: message.len() });
        }
        if addressing == Addressing::Unicast && shared.filter().is_none() {
            return Err(Error::NoFilter);
        }
        if shared.datafds.get(channel).is_none() {
            return Err(Error::ChannelNotInUse(channel));
        }
        let transmitters = self.transmitters();
        transmitters.with(|transmitter| transmitter.send(shared, channel, message, addressing))
    }

    /// Receives a message of a channel whose datafd the handle created, and returns its length in bytes.
    /// Never blocks.
    ///
    /// # Errors
    /// - [`Error::WouldBlock`] if no message is available.
    /// - [`Error::ChannelNotInUse`]; [`Error::EmptyBuffer`].
    /// - [`Error::NotOurDatafd`] if the application brought the datafd.
    /// - [`Error::BufferTooSmall`] if the message did not fit. It is lost.
    /// - [`Error::DatafdClosed`]; [`Error::Os`].
    pub fn recv(&self, channel: Channel, buffer: &mut [u8]) -> Result<usize, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        // The entry must not be kept across a system call.
        let application = entry.created().cloned();
        drop(entry);
        recv(channel, application, buffer)
    }
}

/// Receives a message from the application's end of a datafd, which exists only if the handle created the
/// datafd.
pub(crate) fn recv(
    channel: Channel,
    application: Option<impl AsFd>,
    buffer: &mut [u8],
) -> Result<usize, Error> {
    if buffer.is_empty() {
        return Err(Error::EmptyBuffer);
    }
    let application = application.ok_or(Error::NotOurDatafd(channel))?;
    match knet_fd::receive(application, buffer) {
        Ok(Received::Message { len, truncated: false }) => Ok(len),
        Ok(Received::Message { .. }) => {
            Err(Error::BufferTooSmall { channel, buffer: buffer.len() })
        }
        Ok(Received::WouldBlock) => Err(Error::WouldBlock(channel)),
        Ok(Received::EndOfFile) => Err(Error::DatafdClosed(channel)),
        Err(error) => Err(Error::os(Operation::ReceiveFromDatafd, error.errno(), error)),
    }
}
