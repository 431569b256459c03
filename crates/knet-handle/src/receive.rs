//! Receiving in the application's thread.

use knet_channel::Channel;
use knet_fd::Received;

use crate::error::Error;
use crate::shared::Shared;

/// Takes the next message out of a datafd that the handle made.
pub(crate) fn recv(shared: &Shared, channel: Channel, buffer: &mut [u8]) -> Result<usize, Error> {
    if buffer.is_empty() {
        return Err(Error::EmptyBuffer);
    }
    let entry = shared.channels.get(channel).ok_or(Error::ChannelNotInUse(channel))?;
    let application = entry.application.clone().ok_or(Error::NotOurDatafd(channel))?;
    drop(entry);
    match knet_fd::receive(&*application, buffer) {
        Ok(Received::Message { len, truncated: false }) => Ok(len),
        Ok(Received::Message { .. }) => {
            Err(Error::BufferTooSmall { channel, buffer: buffer.len() })
        }
        Ok(Received::WouldBlock) => Err(Error::WouldBlock(channel)),
        Ok(Received::EndOfFile) => Err(Error::DatafdClosed(channel)),
        Err(error) => Err(Error::Os { what: "receiving from a datafd", errno: error.errno() }),
    }
}
