//! Sending and receiving in the caller's thread.

use std::os::fd::AsFd;

use knet_channel::Channel;
use knet_fd::Received;

use crate::api::handle::Handle;
use crate::error::{Error, Operation};
use crate::send_report::SendReport;
use crate::tx::plan::Addressing;

impl Handle {
    /// Sends a message of 1 to 65536 bytes to the other hosts: through the filter and over the
    /// links, as if it had been written to the channel's datafd, but in the caller's thread, and
    /// with an answer. Returns when the kernel has taken the message's packets.
    ///
    /// # Errors
    /// [`Error::MessageSize`]; [`Error::ChannelNotInUse`]; [`Error::ForwardingOff`];
    /// [`Error::FilterRejected`]; [`Error::FilterNoDestination`]; [`Error::FilterChannel`];
    /// [`Error::NoReachableHost`] if no destination is reachable, and [`Error::NotSent`] if the kernel did not take
    /// the whole message for any, both with the reason for each; [`Error::InsideFilter`].
    pub fn send(&self, channel: Channel, message: &[u8]) -> Result<SendReport, Error> {
        self.transmit(channel, message, Addressing::Any)
    }

    /// As [`Handle::send`], to exactly one host, which the filter names (`knet_send_sync`).
    ///
    /// # Errors
    /// Those of [`Handle::send`]; [`Error::NoFilter`]; [`Error::NotUnicast`] if the filter named
    /// everybody or more than one.
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
        shared.outside_filter()?;
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

    /// Receives a message that came for a channel whose datafd the handle made, without waiting.
    /// Gives its length in bytes.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] if none is there; [`Error::EmptyBuffer`]; [`Error::ChannelNotInUse`];
    /// [`Error::NotOurDatafd`] if the caller brought the datafd; [`Error::BufferTooSmall`] if the
    /// message did not fit, which loses it; [`Error::DatafdClosed`]; [`Error::Os`].
    pub fn recv(&self, channel: Channel, buffer: &mut [u8]) -> Result<usize, Error> {
        let entry = self.shared().datafds.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
        // Not the entry, which is not to be kept over a system call.
        let application = entry.application.clone();
        drop(entry);
        recv(channel, application, buffer)
    }
}

/// Takes the next message out of the application's end of a datafd; there is none if the handle did not
/// make it.
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
