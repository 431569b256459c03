//! Receiving in the application's thread.

use std::os::fd::AsFd;

use knet_channel::Channel;
use knet_fd::Received;

use crate::error::Error;

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
        Err(error) => Err(Error::Os { what: "receiving from a datafd", errno: error.errno() }),
    }
}
