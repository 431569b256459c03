//! One message at a time, there and back.

use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;
use knet_fd::{Received, Sent};

use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::numbered::Numbered;
use crate::plan::{Plan, Via};
use crate::readiness::{PATIENCE, readable, writable};
use crate::report::Latency;

/// Sends `rounds` messages, each when the one before has come back.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn call<E: Endpoint>(
    endpoint: &E,
    plan: &Plan,
    rounds: u64,
) -> Result<Latency, BenchError> {
    // From 1 ns to a minute, with three digits: recording in it costs a few nanoseconds.
    let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3);
    let mut histogram = histogram.map_err(BenchError::failed("making a histogram"))?;
    let mut messages = Numbered::new(1, plan.size);
    let mut buffer = vec![0; plan.size];
    for round in 0..rounds {
        if !plan.pause.is_zero() {
            // PAUSE: that is what is measured: messages that come apart.
            thread::sleep(plan.pause);
        }
        let start = Instant::now();
        for message in messages.from(round, 1) {
            hand_over(endpoint, plan, message)?;
        }
        if !take(endpoint, plan, &mut buffer)? {
            let seconds = PATIENCE.as_secs();
            return Err(BenchError::Stalled { seconds, received: round, wanted: rounds });
        }
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        histogram.saturating_record(nanoseconds);
        if buffer.first_chunk() != Some(&round.to_le_bytes()) {
            return Err(BenchError::Duplicate);
        }
    }
    Ok(Latency::from_nanoseconds(&histogram))
}

/// Sends `rounds` messages back as they come.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn answer<E: Endpoint>(
    endpoint: &E,
    plan: &Plan,
    rounds: u64,
) -> Result<(), BenchError> {
    let mut buffer = vec![0; plan.size];
    for round in 0..rounds {
        if !take(endpoint, plan, &mut buffer)? {
            let seconds = PATIENCE.as_secs();
            return Err(BenchError::Stalled { seconds, received: round, wanted: rounds });
        }
        hand_over(endpoint, plan, &buffer)?;
    }
    Ok(())
}

fn hand_over<E: Endpoint>(endpoint: &E, plan: &Plan, message: &[u8]) -> Result<(), BenchError> {
    if plan.via == Via::Send {
        return endpoint.send(message).map_err(BenchError::failed("sending"));
    }
    let datafd = endpoint.datafd(Lane::Data);
    while knet_fd::send(datafd, message).map_err(BenchError::failed("writing to the datafd"))?
        == Sent::WouldBlock
    {
        if !writable(datafd)? {
            return Err(BenchError::failed("writing to the datafd")("it stays full"));
        }
    }
    Ok(())
}

/// Waits for a message and takes it; false if none comes.
fn take<E: Endpoint>(endpoint: &E, plan: &Plan, buffer: &mut [u8]) -> Result<bool, BenchError> {
    let datafd = endpoint.datafd(Lane::Data);
    loop {
        if !readable(datafd, PATIENCE)? {
            return Ok(false);
        }
        let received = knet_fd::receive(datafd, buffer);
        match received.map_err(BenchError::failed("reading from the datafd"))? {
            Received::Message { len, truncated: false } if len == plan.size => return Ok(true),
            Received::Message { len, .. } => {
                return Err(BenchError::UnexpectedMessage { length: len, wanted: plan.size });
            }
            Received::EndOfFile => return Err(BenchError::Closed),
            Received::WouldBlock => {}
        }
    }
}
