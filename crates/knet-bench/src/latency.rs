//! Round trips, one message at a time.

use std::thread;
use std::time::Instant;

use hdrhistogram::Histogram;
use knet_fd::{Received, Sent};

use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::numbered::Numbered;
use crate::patience::{STALL_TIMEOUT, Waited, no_progress, readable, writable};
use crate::plan::{Plan, Via};
use crate::report::Latency;

/// Sends `rounds` messages, each one when the previous one has returned.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn call<E: Endpoint>(
    endpoint: &E,
    plan: &Plan,
    rounds: u64,
) -> Result<Latency, BenchError> {
    // From 1 ns to one minute with three digits. Recording a value takes a few nanoseconds.
    let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3);
    let mut histogram = histogram.map_err(BenchError::failed("creating a histogram"))?;
    let mut messages = Numbered::new(1, plan.size);
    let mut buffer = vec![0; plan.size];
    for round in 0..rounds {
        if !plan.pause.is_zero() {
            // PAUSE: the plan asks for messages that are apart in time.
            thread::sleep(plan.pause);
        }
        let start = Instant::now();
        for message in messages.from(round, 1) {
            send_one(endpoint, plan, message)?;
        }
        match receive_one(endpoint, plan, &mut buffer)? {
            Waited::Ready => {}
            ended => return Err(no_progress(ended, round, rounds)),
        }
        let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        histogram.saturating_record(nanoseconds);
        if buffer.first_chunk() != Some(&round.to_le_bytes()) {
            return Err(BenchError::Duplicate);
        }
    }
    Ok(Latency::from_nanoseconds(&histogram))
}

/// Returns `rounds` messages to the sender.
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
        match receive_one(endpoint, plan, &mut buffer)? {
            Waited::Ready => {}
            ended => return Err(no_progress(ended, round, rounds)),
        }
        send_one(endpoint, plan, &buffer)?;
    }
    Ok(())
}

fn send_one<E: Endpoint>(endpoint: &E, plan: &Plan, message: &[u8]) -> Result<(), BenchError> {
    if plan.via == Via::Send {
        return endpoint.send(message).map_err(BenchError::failed("sending"));
    }
    let datafd = endpoint.datafd(Lane::Data);
    while knet_fd::send(datafd, message).map_err(BenchError::failed("writing to the datafd"))?
        == Sent::WouldBlock
    {
        if writable(endpoint, Lane::Data)? != Waited::Ready {
            return Err(BenchError::failed("writing to the datafd")("it stays full"));
        }
    }
    Ok(())
}

/// Waits for a message, at most for [`STALL_TIMEOUT`], and receives it.
fn receive_one<E: Endpoint>(
    endpoint: &E,
    plan: &Plan,
    buffer: &mut [u8],
) -> Result<Waited, BenchError> {
    let datafd = endpoint.datafd(Lane::Data);
    loop {
        match readable(endpoint, Lane::Data, STALL_TIMEOUT)? {
            Waited::Ready => {}
            ended => return Ok(ended),
        }
        let received = knet_fd::receive(datafd, buffer);
        match received.map_err(BenchError::failed("reading from the datafd"))? {
            Received::Message { len, truncated: false } if len == plan.size => {
                return Ok(Waited::Ready);
            }
            Received::Message { len, .. } => {
                return Err(BenchError::UnexpectedMessage { length: len, expected: plan.size });
            }
            Received::EndOfFile => return Err(BenchError::Closed),
            Received::WouldBlock => {}
        }
    }
}
