//! Writing messages to stream sockets and devices, which are not written in batches.
//!
//! A stream may take only the beginning of a message. The rest is kept and written before anything
//! else, so that a stream never carries half a message followed by another.

use knet_channel::Channel;
use knet_fd::Sent;
use knet_poller::{Interest, Poller, Token};

use crate::datafds::table::{Entry, Traffic};
use crate::errno::{EAGAIN, ENOBUFS};
use crate::log::{Causes, Log, log};

/// How far a write of several messages got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Written {
    /// How many messages were written, from the first on.
    pub(crate) messages: usize,
    /// Why the next one was not.
    pub(crate) errno: Option<i32>,
}

impl Written {
    fn until(messages: usize, errno: i32) -> Self {
        Self { messages, errno: Some(errno) }
    }
}

/// Writes messages until one does not fit. While the rest of a message is kept, `poller` watches the
/// datafd for room, under a token that
/// [`channel_of_rest`] recognises.
pub(crate) fn write<'a>(
    poller: &Poller,
    log: Log,
    entry: &Entry,
    messages: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Written {
    let count = messages.len();
    if let Err(errno) = write_rest(poller, entry) {
        return Written::until(0, errno);
    }
    for (index, message) in messages.enumerate() {
        match write_some(entry, message) {
            Ok(length) if length == message.len() => {}
            Ok(0) => return Written::until(index, EAGAIN),
            Ok(length) => {
                keep_rest(poller, log, entry, message.get(length..).unwrap_or_default());
                // The message counts as written. The next has to wait for the rest of this one.
                let messages = index + 1;
                return Written { messages, errno: (messages < count).then_some(EAGAIN) };
            }
            Err(errno) => return Written::until(index, errno),
        }
    }
    Written { messages: count, errno: None }
}

/// Writes what is left of a message that a stream took the beginning of.
///
/// # Errors
/// `EAGAIN` if some of it is still left; otherwise the errno because of which the rest was discarded.
pub(crate) fn write_rest(poller: &Poller, entry: &Entry) -> Result<(), i32> {
    let mut rest = entry.take_rest();
    if rest.is_empty() {
        return Ok(());
    }
    let written = match write_some(entry, &rest) {
        Ok(written) => written,
        Err(errno) => {
            // Nothing more can be written to it, ever.
            unwatch(poller, entry);
            return Err(errno);
        }
    };
    rest.drain(..written);
    if rest.is_empty() {
        unwatch(poller, entry);
        return Ok(());
    }
    entry.keep_rest(rest);
    Err(EAGAIN)
}

/// Writes as much as fits. Returns the number of bytes, 0 if there is no room.
fn write_some(entry: &Entry, bytes: &[u8]) -> Result<usize, i32> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let sent = match entry.traffic {
            Traffic::Device => entry.calls.write(entry, rest),
            Traffic::Stream | Traffic::Messages => knet_fd::send(entry, rest),
        };
        match sent {
            Ok(Sent::Sent { len: 0 } | Sent::WouldBlock) => break,
            Ok(Sent::Sent { len }) => written += len,
            // A message that was begun has to be finished, or the stream loses its place; and a
            // shortage of memory passes.
            Err(error) if written > 0 || error.errno() == ENOBUFS => break,
            Err(error) => return Err(error.errno()),
        }
    }
    Ok(written)
}

fn keep_rest(poller: &Poller, log: Log, entry: &Entry, rest: &[u8]) {
    entry.keep_rest(rest.to_vec());
    watch(poller, log, entry);
}

/// Watches a datafd for room, if the rest of a message waits for it.
pub(crate) fn watch(poller: &Poller, log: Log, entry: &Entry) {
    if entry.rest_len() == 0 {
        return;
    }
    if let Err(error) = poller.add(entry, rest_token(entry.channel), Interest::WRITE) {
        // The rest is then written when the next message comes.
        log!(warn, log, Datafd, channel = %entry.channel, error = %Causes(&error), "watching a datafd for room failed");
    }
}

/// Stops watching a datafd for room.
pub(crate) fn unwatch(poller: &Poller, entry: &Entry) {
    // Not watched if that failed in `watch`.
    let _ = poller.remove(entry);
}

/// The tokens of the rx poller from here on stand for datafds that are watched for room, those below for
/// sockets.
const FIRST_REST: u64 = 1 << 63;

fn rest_token(channel: Channel) -> Token {
    Token(FIRST_REST + channel.index() as u64)
}

/// Returns the channel whose datafd is watched for room under `token`, or `None` if the token stands for
/// something else.
pub(crate) fn channel_of_rest(token: Token) -> Option<Channel> {
    let index = token.0.checked_sub(FIRST_REST)?;
    u8::try_from(index).ok().and_then(|index| Channel::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use knet_poller::Events;

    use super::*;
    use crate::datafds::table::Origin;
    use crate::errno::EPIPE;

    const CHANNEL: Channel = Channel::ALL[7];

    /// A stream socket as a datafd, and the end that the application reads.
    fn stream() -> (Entry, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        (Entry::new(Token(0), CHANNEL, 5, Traffic::Stream, near.into(), Origin::Lent), far)
    }

    fn is_writable(poller: &Poller) -> bool {
        let mut events = Events::with_capacity(1);
        poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().any(|event| channel_of_rest(event.token) == Some(CHANNEL))
    }

    #[test]
    fn a_message_that_fits_in_part_counts_as_written_and_its_rest_goes_first() {
        let (poller, (entry, mut far)) = (Poller::new().unwrap(), stream());
        // Longer than the buffer of any socket here.
        let long = vec![1; 64 << 20];
        let messages = [&long[..], b"next"].into_iter();
        let first = write(&poller, Log::default(), &entry, messages);
        assert_eq!(first, Written { messages: 1, errno: Some(EAGAIN) });
        assert_eq!(
            write(&poller, Log::default(), &entry, [&b"next"[..]].into_iter()),
            Written::until(0, EAGAIN)
        );
        assert!(!is_writable(&poller));

        let mut read = 0;
        let mut buffer = vec![0; 1 << 20];
        while read < long.len() {
            read += far.read(&mut buffer).unwrap();
            if is_writable(&poller) {
                let _ = write_rest(&poller, &entry);
            }
        }
        assert_eq!(read, long.len());
        assert!(!is_writable(&poller), "it is watched no longer");
        let next = write(&poller, Log::default(), &entry, [&b"next"[..]].into_iter());
        assert_eq!(next, Written { messages: 1, errno: None });
        assert_eq!(far.read(&mut buffer).unwrap(), 4);
    }

    #[test]
    fn a_rest_that_can_never_be_written_is_given_up() {
        let (poller, (entry, far)) = (Poller::new().unwrap(), stream());
        let long = vec![1; 64 << 20];
        assert_eq!(write(&poller, Log::default(), &entry, [&long[..]].into_iter()).errno, None);
        drop(far);
        assert_eq!(write_rest(&poller, &entry), Err(EPIPE));
        assert!(!is_writable(&poller), "it is watched no longer");
        assert_eq!(write_rest(&poller, &entry), Ok(()), "nothing is left");
    }

    #[test]
    fn tokens_of_sockets_are_no_channels() {
        assert_eq!(channel_of_rest(Token(1)), None);
        assert_eq!(channel_of_rest(Token(u64::MAX)), None);
        for channel in Channel::ALL {
            assert_eq!(channel_of_rest(rest_token(channel)), Some(channel));
        }
    }
}
