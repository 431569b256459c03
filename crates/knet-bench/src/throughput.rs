//! Messages in one direction, as fast as the window allows.

use std::ops::Range;

use knet_fd::{ReceiveBatch, SendBatch};

use crate::credits::Credits;
use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::numbered::{self, Numbered};
use crate::patience::{STALL_TIMEOUT, Waited, no_progress, readable, writable};
use crate::plan::{Plan, Via};

/// The sending side.
pub(crate) struct Sender<'a, E> {
    endpoint: &'a E,
    plan: &'a Plan,
    credits: Credits<'a, E>,
    messages: Numbered,
    batch: SendBatch,
}

impl<'a, E: Endpoint> Sender<'a, E> {
    pub(crate) fn new(endpoint: &'a E, plan: &'a Plan, credits: Credits<'a, E>) -> Self {
        let messages = Numbered::new(plan.batch, plan.size);
        Self { endpoint, plan, credits, messages, batch: SendBatch::new(plan.batch) }
    }

    /// Sends the messages with these numbers, and waits until all of them have been received.
    ///
    /// # Errors
    /// [`BenchError`].
    pub(crate) fn send(&mut self, numbers: Range<u64>) -> Result<(), BenchError> {
        let expected = numbers.end - numbers.start;
        let mut sent = numbers.start;
        let mut received = numbers.start;
        while received < numbers.end {
            let room = (received + self.plan.window).min(numbers.end).saturating_sub(sent);
            received = if room > 0 {
                sent += self.send_some(sent, room)?;
                // There is still room, so do not wait for credit.
                self.credits.latest(received)?
            } else {
                let more = self.credits.wait_for_more(received)?;
                more.map_err(|ended| no_progress(ended, received - numbers.start, expected))?
            };
        }
        Ok(())
    }

    /// Sends up to `room` messages, numbered from `first`. Returns how many were sent.
    fn send_some(&mut self, first: u64, room: u64) -> Result<u64, BenchError> {
        // At most the batch size, so it fits.
        let count = room.min(self.plan.batch as u64) as usize;
        let messages = self.messages.from(first, count);
        match self.plan.via {
            Via::Datafd => {
                let datafd = self.endpoint.datafd(Lane::Data);
                let taken = self.batch.send(datafd, messages);
                let taken = taken.map_err(BenchError::failed("writing to the datafd"))?;
                if taken < count && writable(self.endpoint, Lane::Data)? != Waited::Ready {
                    return Err(BenchError::failed("writing to the datafd")("it stays full"));
                }
                Ok(taken as u64)
            }
            Via::Send => {
                for message in messages {
                    self.endpoint.send(message).map_err(BenchError::failed("sending"))?;
                }
                Ok(count as u64)
            }
        }
    }
}

/// The receiving side.
pub(crate) struct Receiver<'a, E> {
    endpoint: &'a E,
    plan: &'a Plan,
    credits: Credits<'a, E>,
    batch: ReceiveBatch,
}

impl<'a, E: Endpoint> Receiver<'a, E> {
    pub(crate) fn new(endpoint: &'a E, plan: &'a Plan, credits: Credits<'a, E>) -> Self {
        Self { endpoint, plan, credits, batch: ReceiveBatch::new(plan.batch, 0, plan.size) }
    }

    /// Receives the messages with these numbers, in any order, and returns credit for them.
    ///
    /// # Errors
    /// [`BenchError`].
    pub(crate) fn receive(&mut self, numbers: Range<u64>) -> Result<(), BenchError> {
        let datafd = self.endpoint.datafd(Lane::Data);
        let expected = numbers.end - numbers.start;
        let mut received = 0;
        let mut credited = 0;
        // A duplicate in place of a lost message changes the sum.
        let mut sum = 0_u128;
        while received < expected {
            let outcome = self.batch.receive(datafd);
            let outcome = outcome.map_err(BenchError::failed("reading from the datafd"))?;
            for message in self.batch.iter() {
                sum += u128::from(numbered::number(message, self.plan.size)?);
            }
            received += outcome.messages as u64;
            // The last messages may be fewer than a step.
            if received - credited >= self.plan.credit_step() || received >= expected {
                self.credits.give(numbers.start + received)?;
                credited = received;
            }
            if outcome.end_of_file {
                return Err(BenchError::Closed);
            }
            if outcome.would_block() {
                match readable(self.endpoint, Lane::Data, STALL_TIMEOUT)? {
                    Waited::Ready => {}
                    ended => return Err(no_progress(ended, received, expected)),
                }
            }
        }
        if sum == numbers.map(u128::from).sum() { Ok(()) } else { Err(BenchError::Duplicate) }
    }
}
