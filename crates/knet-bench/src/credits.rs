//! Credit: the receiver reports how many messages it has received, which keeps the sender within the
//! window.

use std::time::Instant;

use knet_fd::{Received, Sent};
use parking_lot::{Condvar, Mutex};

use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::greeting::Greeting;
use crate::numbered::NUMBER;
use crate::patience::{STALL_TIMEOUT, Waited, readable, writable};

/// How credit travels from the receiver to the sender: as the total number of received messages.
#[derive(Debug)]
pub(crate) enum Credits<'a, E> {
    /// Within the process.
    Local(&'a LocalCredits),
    /// Between processes, as messages of eight bytes on the lane of this endpoint.
    Remote(&'a E),
}

/// A number that one thread increases and another waits for.
#[derive(Debug, Default)]
pub(crate) struct LocalCredits {
    received: Mutex<u64>,
    increased: Condvar,
}

impl<E: Endpoint> Credits<'_, E> {
    /// Reports to the sender how many messages have been received.
    pub(crate) fn give(&self, received: u64) -> Result<(), BenchError> {
        match self {
            Self::Local(credits) => {
                *credits.received.lock() = received;
                credits.increased.notify_one();
                Ok(())
            }
            Self::Remote(endpoint) => give_remote(*endpoint, received),
        }
    }

    /// Returns the latest report of the receiver, at least `known`.
    pub(crate) fn latest(&self, known: u64) -> Result<u64, BenchError> {
        match self {
            Self::Local(credits) => Ok(known.max(*credits.received.lock())),
            Self::Remote(endpoint) => latest_remote(*endpoint, known),
        }
    }

    /// Waits until the receiver reports more than `known`. Returns why the wait ended if it does not.
    pub(crate) fn wait_for_more(&self, known: u64) -> Result<Result<u64, Waited>, BenchError> {
        let deadline = Instant::now() + STALL_TIMEOUT;
        match self {
            Self::Local(credits) => {
                let mut received = credits.received.lock();
                let waiting = |received: &mut u64| *received <= known;
                credits.increased.wait_while_until(&mut received, waiting, deadline);
                Ok(if *received > known { Ok(*received) } else { Err(Waited::Timeout) })
            }
            Self::Remote(endpoint) => loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match readable(*endpoint, Lane::Credits, left)? {
                    Waited::Ready => {}
                    ended => return Ok(Err(ended)),
                }
                let latest = latest_remote(*endpoint, known)?;
                if latest > known {
                    return Ok(Ok(latest));
                }
            },
        }
    }
}

fn give_remote(endpoint: &impl Endpoint, received: u64) -> Result<(), BenchError> {
    let number = received.to_le_bytes();
    let lane = endpoint.datafd(Lane::Credits);
    while knet_fd::send(lane, &number).map_err(BenchError::failed("returning credit"))?
        == Sent::WouldBlock
    {
        if writable(endpoint, Lane::Credits)? != Waited::Ready {
            return Err(BenchError::failed("returning credit")("the datafd stays full"));
        }
    }
    Ok(())
}

/// Reads all reports. They may be reordered, so the highest one counts.
fn latest_remote(endpoint: &impl Endpoint, known: u64) -> Result<u64, BenchError> {
    let lane = endpoint.datafd(Lane::Credits);
    let mut latest = known;
    let mut message = [0; Greeting::MAX_LEN];
    loop {
        let received = knet_fd::receive(lane, &mut message);
        match received.map_err(BenchError::failed("receiving credit"))? {
            Received::Message { len, truncated: false } => {
                let message = &message[..len];
                match message.try_into() {
                    Ok(number) => latest = latest.max(u64::from_le_bytes(number)),
                    // A greeting that was repeated before ours arrived.
                    Err(_) if Greeting::is_one(message) => {}
                    Err(_) => return Err(unexpected(len)),
                }
            }
            Received::Message { len, .. } => return Err(unexpected(len)),
            Received::EndOfFile => return Err(BenchError::Closed),
            Received::WouldBlock => return Ok(latest),
        }
    }
}

fn unexpected(length: usize) -> BenchError {
    BenchError::UnexpectedMessage { length, expected: NUMBER }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::endpoint::DirectEndpoint;

    #[test]
    fn the_sender_receives_credit_while_it_waits() {
        let local = LocalCredits::default();
        let credits = || Credits::<DirectEndpoint>::Local(&local);
        thread::scope(|scope| {
            scope.spawn(|| credits().give(7));
            assert_eq!(credits().wait_for_more(3).unwrap(), Ok(7));
        });
        assert_eq!(credits().latest(0).unwrap(), 7);
    }

    #[test]
    fn the_highest_of_reordered_reports_counts() {
        let (near, far) = DirectEndpoint::pair().unwrap();
        for received in [32, 96, 64] {
            Credits::Remote(&far).give(received).unwrap();
        }
        let credits = Credits::Remote(&near);
        assert_eq!(credits.wait_for_more(0).unwrap(), Ok(96));
        assert_eq!(credits.latest(96).unwrap(), 96);
    }

    #[test]
    fn other_messages_on_the_channel_are_an_error() {
        let (near, far) = DirectEndpoint::pair().unwrap();
        let _ = knet_fd::send(far.datafd(Lane::Credits), b"other").unwrap();
        let error = Credits::Remote(&near).latest(0).unwrap_err();
        assert!(
            matches!(error, BenchError::UnexpectedMessage { length: 5, expected: 8 }),
            "{error}"
        );
    }
}
