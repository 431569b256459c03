//! Credit: the receiver reports how many messages it has received, which keeps the sender within the
//! window.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use knet_fd::{Received, Sent};
use parking_lot::{Condvar, Mutex};

use crate::error::BenchError;
use crate::numbered::NUMBER;
use crate::readiness::{STALL_TIMEOUT, readable, writable};

/// How credit travels from the receiver to the sender: as the total number of received messages.
#[derive(Debug)]
pub(crate) enum Credits<'a> {
    /// Within the process.
    Local(&'a LocalCredits),
    /// Between processes, as messages of eight bytes.
    Remote(BorrowedFd<'a>),
}

/// A number that one thread increases and another waits for.
#[derive(Debug, Default)]
pub(crate) struct LocalCredits {
    received: Mutex<u64>,
    increased: Condvar,
}

impl Credits<'_> {
    /// Reports to the sender how many messages have been received.
    pub(crate) fn give(&self, received: u64) -> Result<(), BenchError> {
        match self {
            Self::Local(credits) => {
                *credits.received.lock() = received;
                credits.increased.notify_one();
                Ok(())
            }
            Self::Remote(fd) => give_remote(*fd, received),
        }
    }

    /// Returns the latest report of the receiver, at least `known`.
    pub(crate) fn latest(&self, known: u64) -> Result<u64, BenchError> {
        match self {
            Self::Local(credits) => Ok(known.max(*credits.received.lock())),
            Self::Remote(fd) => latest_remote(*fd, known),
        }
    }

    /// Waits until the receiver reports more than `known`. Returns `None` after [`STALL_TIMEOUT`].
    pub(crate) fn wait_for_more(&self, known: u64) -> Result<Option<u64>, BenchError> {
        let deadline = Instant::now() + STALL_TIMEOUT;
        match self {
            Self::Local(credits) => {
                let mut received = credits.received.lock();
                let waiting = |received: &mut u64| *received <= known;
                credits.increased.wait_while_until(&mut received, waiting, deadline);
                Ok(Some(*received).filter(|&received| received > known))
            }
            Self::Remote(fd) => loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if !readable(*fd, left)? {
                    return Ok(None);
                }
                let latest = latest_remote(*fd, known)?;
                if latest > known {
                    return Ok(Some(latest));
                }
            },
        }
    }
}

fn give_remote(fd: BorrowedFd<'_>, received: u64) -> Result<(), BenchError> {
    let number = received.to_le_bytes();
    while knet_fd::send(fd, &number).map_err(BenchError::failed("returning credit"))?
        == Sent::WouldBlock
    {
        if !writable(fd)? {
            return Err(BenchError::failed("returning credit")("the datafd stays full"));
        }
    }
    Ok(())
}

/// Reads all reports. They may be reordered, so the highest one counts.
fn latest_remote(fd: BorrowedFd<'_>, known: u64) -> Result<u64, BenchError> {
    let mut latest = known;
    let mut number = [0; NUMBER];
    loop {
        match knet_fd::receive(fd, &mut number).map_err(BenchError::failed("receiving credit"))? {
            Received::Message { len: NUMBER, truncated: false } => {
                latest = latest.max(u64::from_le_bytes(number));
            }
            Received::Message { len, .. } => {
                return Err(BenchError::UnexpectedMessage { length: len, expected: NUMBER });
            }
            Received::EndOfFile => return Err(BenchError::Closed),
            Received::WouldBlock => return Ok(latest),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::thread;

    use knet_fd::{PairType, SocketPair};

    use super::*;

    #[test]
    fn the_sender_receives_credit_while_it_waits() {
        let local = LocalCredits::default();
        thread::scope(|scope| {
            scope.spawn(|| Credits::Local(&local).give(7));
            assert_eq!(Credits::Local(&local).wait_for_more(3).unwrap(), Some(7));
        });
        assert_eq!(Credits::Local(&local).latest(0).unwrap(), 7);
    }

    #[test]
    fn the_highest_of_reordered_reports_counts() {
        let pair = SocketPair::new(PairType::SeqPacket, 1 << 16).unwrap();
        for received in [32, 96, 64] {
            Credits::Remote(pair.left.as_fd()).give(received).unwrap();
        }
        let credits = Credits::Remote(pair.right.as_fd());
        assert_eq!(credits.wait_for_more(0).unwrap(), Some(96));
        assert_eq!(credits.latest(96).unwrap(), 96);
    }

    #[test]
    fn other_messages_on_the_channel_are_an_error() {
        let pair = SocketPair::new(PairType::SeqPacket, 1 << 16).unwrap();
        let _ = knet_fd::send(&pair.left, b"hello").unwrap();
        let error = Credits::Remote(pair.right.as_fd()).latest(0).unwrap_err();
        assert!(
            matches!(error, BenchError::UnexpectedMessage { length: 5, expected: 8 }),
            "{error}"
        );
    }
}
