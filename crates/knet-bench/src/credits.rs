//! The window: how far the sender may run ahead of the receiver.

use std::os::fd::BorrowedFd;
use std::time::Instant;

use knet_fd::{Received, Sent};
use parking_lot::{Condvar, Mutex};

use crate::error::BenchError;
use crate::numbered::NUMBER;
use crate::readiness::{PATIENCE, readable, writable};

/// The way that credit takes back from the receiver: how many messages it has received in all.
#[derive(Debug)]
pub(crate) enum Credits<'a> {
    /// Within the process.
    Local(&'a LocalCredits),
    /// As messages of eight bytes.
    Remote(BorrowedFd<'a>),
}

/// A number that one thread raises and another waits for.
#[derive(Debug, Default)]
pub(crate) struct LocalCredits {
    received: Mutex<u64>,
    raised: Condvar,
}

impl Credits<'_> {
    /// Tells the sender how many messages have been received.
    pub(crate) fn give(&self, received: u64) -> Result<(), BenchError> {
        match self {
            Self::Local(credits) => {
                *credits.received.lock() = received;
                credits.raised.notify_one();
                Ok(())
            }
            Self::Remote(fd) => give_remote(*fd, received),
        }
    }

    /// What the receiver has said last, at least `known`.
    pub(crate) fn latest(&self, known: u64) -> Result<u64, BenchError> {
        match self {
            Self::Local(credits) => Ok(known.max(*credits.received.lock())),
            Self::Remote(fd) => latest_remote(*fd, known),
        }
    }

    /// Waits until the receiver has said more than `known`; none if that takes too long.
    pub(crate) fn wait_for_more(&self, known: u64) -> Result<Option<u64>, BenchError> {
        let deadline = Instant::now() + PATIENCE;
        match self {
            Self::Local(credits) => {
                let mut received = credits.received.lock();
                let waiting = |received: &mut u64| *received <= known;
                credits.raised.wait_while_until(&mut received, waiting, deadline);
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
    while knet_fd::send(fd, &number).map_err(BenchError::failed("giving credit"))?
        == Sent::WouldBlock
    {
        if !writable(fd)? {
            return Err(BenchError::failed("giving credit")("the datafd stays full"));
        }
    }
    Ok(())
}

/// Credits may overtake each other on their way; the highest counts.
fn latest_remote(fd: BorrowedFd<'_>, known: u64) -> Result<u64, BenchError> {
    let mut latest = known;
    let mut number = [0; NUMBER];
    loop {
        match knet_fd::receive(fd, &mut number).map_err(BenchError::failed("taking credit"))? {
            Received::Message { len: NUMBER, truncated: false } => {
                latest = latest.max(u64::from_le_bytes(number));
            }
            Received::Message { len, .. } => {
                return Err(BenchError::UnexpectedMessage { length: len, wanted: NUMBER });
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
    fn the_sender_learns_of_credit_while_it_waits() {
        let local = LocalCredits::default();
        thread::scope(|scope| {
            scope.spawn(|| Credits::Local(&local).give(7));
            assert_eq!(Credits::Local(&local).wait_for_more(3).unwrap(), Some(7));
        });
        assert_eq!(Credits::Local(&local).latest(0).unwrap(), 7);
    }

    #[test]
    fn of_credits_in_any_order_the_highest_counts() {
        let pair = SocketPair::new(PairType::SeqPacket, 1 << 16).unwrap();
        for received in [32, 96, 64] {
            Credits::Remote(pair.left.as_fd()).give(received).unwrap();
        }
        let credits = Credits::Remote(pair.right.as_fd());
        assert_eq!(credits.wait_for_more(0).unwrap(), Some(96));
        assert_eq!(credits.latest(96).unwrap(), 96);
    }

    #[test]
    fn something_else_on_the_channel_is_found() {
        let pair = SocketPair::new(PairType::SeqPacket, 1 << 16).unwrap();
        let _ = knet_fd::send(&pair.left, b"hello").unwrap();
        let error = Credits::Remote(pair.right.as_fd()).latest(0).unwrap_err();
        assert!(matches!(error, BenchError::UnexpectedMessage { length: 5, wanted: 8 }), "{error}");
    }
}
