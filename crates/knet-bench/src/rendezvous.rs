//! Synchronizes the two processes of a run at its start and end.
//!
//! A host drops messages from a host that it has not found reachable yet. So the first message of a run
//! would be lost if only the sender were ready. The plans are compared too: two that differ would wait
//! for each other in vain.

use std::io;
use std::time::{Duration, Instant};

use knet_fd::{Received, Sent};

use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::greeting::{Greeting, Role};
use crate::patience::{LOST_AFTER, STALL_TIMEOUT, Waited, readable};
use crate::plan::Plan;

/// Starts a run: repeats a greeting until that of the other process arrives, and compares the plans.
///
/// # Errors
/// [`BenchError`]; [`BenchError::NoAnswer`] if none arrives.
pub(crate) fn greet(endpoint: &impl Endpoint, plan: &Plan, role: Role) -> Result<(), BenchError> {
    let deadline = Instant::now() + STALL_TIMEOUT;
    let ours = Greeting::new(plan, role);
    let message = ours.encode();
    let mut connected_at = Instant::now();
    loop {
        send(endpoint, &message)?;
        let next = deadline.min(Instant::now() + GREETING_INTERVAL);
        if let Some(theirs) = receive(endpoint, next, Greeting::decode)? {
            // The other process may not have been ready for the greetings so far.
            send(endpoint, &message)?;
            return ours.check(role, &theirs);
        }
        if endpoint.is_connected() {
            connected_at = Instant::now();
        } else if connected_at.elapsed() >= LOST_AFTER {
            return Err(BenchError::PeerLost { received: 0, expected: plan.count });
        }
        if Instant::now() >= deadline {
            return Err(BenchError::NoAnswer { seconds: STALL_TIMEOUT.as_secs() });
        }
    }
}

/// Ends a run on the sender's side, when it has received the last credit.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn say_goodbye(endpoint: &impl Endpoint) -> Result<(), BenchError> {
    send(endpoint, BYE)
}

/// Ends a run on the receiver's side: waits until the sender has received the last credit. Its goodbye
/// may be lost, because it does not wait for an answer, so the wait ends after [`GOODBYE_TIMEOUT`] or
/// when the sender is gone.
///
/// # Errors
/// [`BenchError`].
pub(crate) fn wait_for_goodbye(endpoint: &impl Endpoint) -> Result<(), BenchError> {
    let is_bye = |message: &[u8]| Ok((message == BYE).then_some(()));
    match receive(endpoint, Instant::now() + GOODBYE_TIMEOUT, is_bye) {
        Ok(_) | Err(BenchError::PeerLost { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn send(endpoint: &impl Endpoint, message: &[u8]) -> Result<(), BenchError> {
    let lane = endpoint.datafd(Lane::Credits);
    match knet_fd::send(lane, message) {
        Ok(Sent::Sent { .. }) => Ok(()),
        // Nothing else has been sent on the lane, so it cannot be full.
        Ok(Sent::WouldBlock) => Err(BenchError::failed("writing to the datafd")("it is full")),
        Err(error) if io::Error::from(error.source).kind() == io::ErrorKind::BrokenPipe => {
            Err(BenchError::Closed)
        }
        Err(error) => Err(BenchError::failed("writing to the datafd")(error)),
    }
}

/// Waits for a message that `decode` accepts, and discards others. Returns `None` at the deadline.
fn receive<T>(
    endpoint: &impl Endpoint,
    deadline: Instant,
    decode: impl Fn(&[u8]) -> Result<Option<T>, BenchError>,
) -> Result<Option<T>, BenchError> {
    let lane = endpoint.datafd(Lane::Credits);
    let mut buffer = [0; Greeting::MAX_LEN];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match readable(endpoint, Lane::Credits, left)? {
            Waited::Ready => {}
            Waited::Timeout => return Ok(None),
            Waited::PeerLost => return Err(BenchError::PeerLost { received: 0, expected: 0 }),
        }
        let received = knet_fd::receive(lane, &mut buffer);
        match received.map_err(BenchError::failed("reading from the datafd"))? {
            Received::Message { len, .. } => {
                if let Some(decoded) = decode(&buffer[..len])? {
                    return Ok(Some(decoded));
                }
            }
            Received::WouldBlock => {}
            Received::EndOfFile => return Err(BenchError::Closed),
        }
    }
}

const BYE: &[u8] = b"bye";
/// How often the greeting is repeated.
const GREETING_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait for the sender to receive the last credit.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::endpoint::DirectEndpoint;

    #[test]
    fn a_greeting_is_repeated_until_it_is_answered() {
        let (near, far) = DirectEndpoint::pair().unwrap();
        let plan = Plan::default();
        thread::scope(|scope| {
            let calling = scope.spawn(|| greet(&near, &plan, Role::Send));
            // The first greeting is lost, as if the receiver were not ready yet.
            let soon = Instant::now() + STALL_TIMEOUT;
            assert!(receive(&far, soon, Greeting::decode).unwrap().is_some());
            greet(&far, &plan, Role::Receive).unwrap();
            calling.join().unwrap().unwrap();
        });
        say_goodbye(&near).unwrap();
        wait_for_goodbye(&far).unwrap();
    }

    #[test]
    fn both_sides_learn_that_their_plans_differ() {
        let (near, far) = DirectEndpoint::pair().unwrap();
        let other = Plan { size: 64, ..Plan::default() };
        thread::scope(|scope| {
            let calling = scope.spawn(|| greet(&near, &Plan::default(), Role::Send));
            let ends = [greet(&far, &other, Role::Receive), calling.join().unwrap()];
            for end in ends {
                let error = end.unwrap_err();
                assert!(matches!(error, BenchError::PlanDiffers { name: "--size", .. }), "{error}");
            }
        });
    }

    #[test]
    fn two_senders_and_two_receivers_learn_it() {
        for role in [Role::Send, Role::Receive] {
            let (near, far) = DirectEndpoint::pair().unwrap();
            let plan = Plan::default();
            thread::scope(|scope| {
                let calling = scope.spawn(|| greet(&near, &plan, role));
                for end in [greet(&far, &plan, role), calling.join().unwrap()] {
                    let error = end.unwrap_err();
                    assert!(matches!(error, BenchError::SameRole { .. }), "{error}");
                }
            });
        }
    }
}
