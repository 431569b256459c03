//! Synchronizes the two processes of a run at its start and end.
//!
//! A host drops messages from a host that it has not found reachable yet. So the first message of a run
//! would be lost if only the sender were ready.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use knet_fd::{Received, Sent};

use crate::error::BenchError;
use crate::readiness::{STALL_TIMEOUT, readable};

/// Starts a run on the sender's side: repeats a hello until the receiver answers.
///
/// # Errors
/// [`BenchError`]; [`BenchError::Stalled`] if the receiver does not answer.
pub(crate) fn call(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    let deadline = Instant::now() + STALL_TIMEOUT;
    while Instant::now() < deadline {
        send_word(lane, HELLO)?;
        if wait_for_word(lane, HELLO, HELLO_INTERVAL)? {
            return Ok(());
        }
    }
    Err(BenchError::Stalled { seconds: STALL_TIMEOUT.as_secs(), received: 0, expected: 1 })
}

/// Starts a run on the receiver's side: waits for a hello and answers it.
///
/// # Errors
/// [`BenchError`]; [`BenchError::Stalled`] if none arrives.
pub(crate) fn answer(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    if wait_for_word(lane, HELLO, STALL_TIMEOUT)? {
        return send_word(lane, HELLO);
    }
    Err(BenchError::Stalled { seconds: STALL_TIMEOUT.as_secs(), received: 0, expected: 1 })
}

/// Ends a run on the sender's side, when it has received the last credit.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn say_goodbye(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    send_word(lane, BYE)
}

/// Ends a run on the receiver's side: waits until the sender has received the last credit. Its goodbye
/// may be lost, because it does not wait for an answer, so the wait ends after [`GOODBYE_TIMEOUT`].
///
/// # Errors
/// [`BenchError`].
pub(crate) fn wait_for_goodbye(lane: BorrowedFd<'_>) -> Result<(), BenchError> {
    wait_for_word(lane, BYE, GOODBYE_TIMEOUT).map(|_| ())
}

fn send_word(lane: BorrowedFd<'_>, word: &[u8]) -> Result<(), BenchError> {
    match knet_fd::send(lane, word).map_err(BenchError::failed("writing to the datafd"))? {
        Sent::Sent { .. } => Ok(()),
        // Nothing else has been sent on the lane, so it cannot be full.
        Sent::WouldBlock => Err(BenchError::failed("writing to the datafd")("it is full")),
    }
}

/// Waits for a word, and discards other messages. Returns `false` after `timeout`.
fn wait_for_word(lane: BorrowedFd<'_>, word: &[u8], timeout: Duration) -> Result<bool, BenchError> {
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
/// How often the hello is repeated.
const HELLO_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for the sender to receive the last credit.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

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
            // The first hello is lost, as if the receiver were not ready yet.
            assert!(wait_for_word(far, HELLO, STALL_TIMEOUT).unwrap());
            answer(far).unwrap();
            calling.join().unwrap().unwrap();
        });
        say_goodbye(near).unwrap();
        wait_for_goodbye(far).unwrap();
    }
}
