//! Writing messages to stream sockets and devices, which do not take them by the batch.
//!
//! A stream may take only the beginning of a message. The rest is kept and written before anything
//! else, so that a stream never carries half a message followed by another.

use knet_fd::Sent;
use knet_poller::{Interest, Token};

use crate::core::shared::Shared;
use crate::datafds::table::{Entry, Traffic};
use crate::errno::{EAGAIN, ENOBUFS};

/// How many messages were written, and the errno of why the next was not.
pub(crate) type Written = (usize, Option<i32>);

/// Writes messages until one does not fit.
pub(crate) fn write<T>(shared: &Shared, entry: &Entry, messages: &[(T, &[u8])]) -> Written {
    if let Err(errno) = write_rest(shared, entry) {
        return (0, Some(errno));
    }
    for (index, (_, message)) in messages.iter().enumerate() {
        match write_some(entry, message) {
            Ok(length) if length == message.len() => {}
            Ok(0) => return (index, Some(EAGAIN)),
            Ok(length) => {
                keep_rest(shared, entry, message.get(length..).unwrap_or_default());
                // The message counts as written. The next has to wait for the rest of this one.
                let more = index + 1 < messages.len();
                return (index + 1, more.then_some(EAGAIN));
            }
            Err(errno) => return (index, Some(errno)),
        }
    }
    (messages.len(), None)
}

/// Writes what is left of a message. An error of `EAGAIN` means that some of it still is.
pub(crate) fn write_rest(shared: &Shared, entry: &Entry) -> Result<(), i32> {
    let mut rest = entry.take_rest();
    if rest.is_empty() {
        return Ok(());
    }
    let written = match write_some(entry, &rest) {
        Ok(written) => written,
        Err(errno) => {
            // Nothing more of it can be written, ever.
            unwatch(shared, entry);
            return Err(errno);
        }
    };
    rest.drain(..written);
    if rest.is_empty() {
        unwatch(shared, entry);
        return Ok(());
    }
    entry.keep_rest(rest);
    Err(EAGAIN)
}

/// Writes as much as fits; 0 if nothing does.
fn write_some(entry: &Entry, bytes: &[u8]) -> Result<usize, i32> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let sent = match entry.traffic {
            Traffic::Device => knet_fd::write(entry, rest),
            Traffic::Stream | Traffic::Messages => knet_fd::send(entry, rest),
        };
        match sent {
            Ok(Sent::Sent { len: 0 } | Sent::WouldBlock) => break,
            Ok(Sent::Sent { len }) => written += len,
            // What was begun has to be finished, or the stream loses its place; and a shortage of
            // memory passes.
            Err(error) if written > 0 || error.errno() == ENOBUFS => break,
            Err(error) => return Err(error.errno()),
        }
    }
    Ok(written)
}

fn keep_rest(shared: &Shared, entry: &Entry, rest: &[u8]) {
    entry.keep_rest(rest.to_vec());
    let token = Token(WRITING + entry.channel.index() as u64);
    if let Err(error) = shared.rx.poller.add(entry, token, Interest::WRITE) {
        // The rest is then written when the next message comes.
        tracing::warn!(channel = %entry.channel, %error, "a datafd cannot be watched for writing");
    }
}

fn unwatch(shared: &Shared, entry: &Entry) {
    // Not watched if that failed above.
    let _ = shared.rx.poller.remove(entry);
}

/// Tokens of the rx poller from here on are channels whose datafd is waited for; those below are
/// sockets.
pub(crate) const WRITING: u64 = 1 << 63;
