//! How two processes find each other before a run, and part after it.
//!
//! A host takes no messages from one that it has not found yet, so the first message of a run would be
//! lost if only the sender were ready.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use knet_fd::{Received, Sent};

use crate::error::BenchError;
use crate::readiness::{PATIENCE, readable};

/// The sender's first words: says hello until the receiver does so too.
///
/// # Errors
/// [`BenchError`], also if it never answers.
pub(crate) fn call(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        say(lane, HELLO)?;
        if hear(lane, HELLO, AGAIN)? {
            return Ok(());
        }
    }
    Err(BenchError::Stalled { seconds: PATIENCE.as_secs(), received: 0, wanted: 1 })
}

/// The receiver's: waits for a hello and answers it.
///
/// # Errors
/// [`BenchError`], also if none comes.
pub(crate) fn answer(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    if hear(lane, HELLO, PATIENCE)? {
        return say(lane, HELLO);
    }
    Err(BenchError::Stalled { seconds: PATIENCE.as_secs(), received: 0, wanted: 1 })
}

/// The sender has heard all that it needs.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn part(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    say(lane, BYE)
}

/// Waits until the sender has heard of the last message. It has so when its goodbye is overdue: that
/// may be lost, for nobody waits for it to arrive.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn stay_until_parted(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    hear(lane, BYE, LAST_CREDIT).map(|_| ())
}

fn say(lane: BorrowedFd<'_>, word: &[u8]) -> Result<(), BenchError> {
    match knet_fd::send(lane, word).map_err(BenchError::failed("writing to the datafd"))? {
        Sent::Sent { .. } => Ok(()),
        Sent::WouldBlock => Err(BenchError::failed("writing to the datafd")("it is full")),
    }
}

/// Waits for a word, whatever else comes; false if it does not come in time.
fn hear(lane: BorrowedFd<'_>, word: &[u8], timeout: Duration) -> Result<bool, BenchError> {
    let deadline = Instant::now() + timeout;
    let mut buffer = [0; 16];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if !readable(lane, left)? {
            return Ok(false);
        }
        let received = knet_fd::receive(lane, &mut buffer);
        match received.map_err(BenchError::failed("reading from the datafd"))? {
            Received::Message { len, .. } if buffer[..len] == *word => return Ok(true),
            Received::Message { .. } | Received::WouldBlock => {}
            Received::EndOfFile => return Err(BenchError::Closed),
        }
    }
}

const HELLO: &[u8] = b"hello";
const BYE: &[u8] = b"bye";
/// After what time hello is said again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long the last credit may take to arrive.
const LAST_CREDIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::thread;

    use knet_fd::{PairType, SocketPair};

    use super::*;

    #[test]
    fn hello_is_repeated_until_it_is_answered() {
        let pair = SocketPair::new(PairType::SeqPacket, 1 << 16).unwrap();
        let (near, far) = (pair.left.as_fd(), pair.right.as_fd());
        thread::scope(|scope| {
            let calling = scope.spawn(|| call(near));
            // The first one is lost on somebody who is not ready yet.
            assert!(hear(far, HELLO, PATIENCE).unwrap());
            answer(far).unwrap();
            calling.join().unwrap().unwrap();
        });
        part(near).unwrap();
        stay_until_parted(far).unwrap();
    }
}
