//! Runs: both endpoints in one process, or one endpoint in each of two processes.

use std::thread;

use crate::cost::{Cost, Meter, resident_bytes};
use crate::credits::{Credits, LocalCredits};
use crate::endpoint::Endpoint;
use crate::error::BenchError;
use crate::greeting::Role;
use crate::latency;
use crate::plan::{Mode, Plan};
use crate::rendezvous;
use crate::report::Report;
use crate::throughput::{Receiver, Sender};

/// Measures two endpoints in this process: `near` sends to `far`. The report covers both. `subject` is
/// the name of what is measured.
///
/// # Errors
/// [`BenchError`], also if a message is lost.
///
/// # Example
/// ```
/// use knet_bench::{DirectEndpoint, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// let report = knet_bench::run(&plan, "socket pair", &near, &far)?;
/// println!("{:.0} messages per second", report.messages_per_second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn run<E: Endpoint>(
    plan: &Plan,
    subject: &str,
    near: &E,
    far: &E,
) -> Result<Report, BenchError> {
    let credits = LocalCredits::default();
    thread::scope(|scope| {
        let answering = scope.spawn(|| answer(plan, far, Credits::Local(&credits)));
        let called = call(plan, subject, near, Credits::Local(&credits));
        let answered = answering.join().map_err(|_| BenchError::Panicked)?;
        // If both failed, the receiver's error is most likely the cause.
        answered?;
        called
    })
}

/// Measures as the sender; another process calls [`receive`] with the same plan. The report covers this
/// process only.
///
/// # Errors
/// [`BenchError`], also if a message is lost, the other process has another plan, or it is gone.
///
/// # Example
/// With two threads in place of the processes:
/// ```
/// use std::thread;
///
/// use knet_bench::{DirectEndpoint, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// let report = thread::scope(|scope| {
///     scope.spawn(|| knet_bench::receive(&plan, "far", &far));
///     knet_bench::send(&plan, "near", &near)
/// })?;
/// assert_eq!(report.messages, 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn send<E: Endpoint>(plan: &Plan, subject: &str, endpoint: &E) -> Result<Report, BenchError> {
    rendezvous::greet(endpoint, plan, Role::Send)?;
    let report = call(plan, subject, endpoint, Credits::Remote(endpoint))?;
    rendezvous::say_goodbye(endpoint)?;
    Ok(report)
}

/// Measures as the receiver; another process calls [`send`] with the same plan. The report covers this
/// process only.
///
/// # Errors
/// [`BenchError`], also if a message is lost, the other process has another plan, or it is gone.
///
/// # Example
/// With two threads in place of the processes:
/// ```
/// use std::thread;
///
/// use knet_bench::{DirectEndpoint, Plan};
///
/// let (near, far) = DirectEndpoint::pair()?;
/// let mut plan = Plan::default();
/// plan.count = 1000;
/// let report = thread::scope(|scope| {
///     scope.spawn(|| knet_bench::send(&plan, "near", &near));
///     knet_bench::receive(&plan, "far", &far)
/// })?;
/// assert_eq!(report.lost, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn receive<E: Endpoint>(
    plan: &Plan,
    subject: &str,
    endpoint: &E,
) -> Result<Report, BenchError> {
    rendezvous::greet(endpoint, plan, Role::Receive)?;
    let cost = answer(plan, endpoint, Credits::Remote(endpoint))?;
    let report = Report::new(plan, subject, cost, resident_bytes()?);
    rendezvous::wait_for_goodbye(endpoint)?;
    Ok(report)
}

/// Runs the sender: a warm-up, then the measurement.
fn call<E: Endpoint>(
    plan: &Plan,
    subject: &str,
    endpoint: &E,
    credits: Credits<'_, E>,
) -> Result<Report, BenchError> {
    let (warm_up, total) = (plan.warm_up(), plan.warm_up() + plan.count);
    if plan.mode == Mode::Latency {
        latency::call(endpoint, plan, warm_up)?;
        let meter = Meter::start()?;
        let latency = latency::call(endpoint, plan, plan.count)?;
        let report = Report::new(plan, subject, meter.stop()?, resident_bytes()?);
        return Ok(Report { latency: Some(latency), ..report });
    }
    let mut sender = Sender::new(endpoint, plan, credits);
    sender.send(0..warm_up)?;
    let meter = Meter::start()?;
    // The numbers continue, so that a late message of the warm-up is detected.
    sender.send(warm_up..total)?;
    Ok(Report::new(plan, subject, meter.stop()?, resident_bytes()?))
}

/// Runs the receiver. Returns the cost of the measurement, including the wait for its start.
fn answer<E: Endpoint>(
    plan: &Plan,
    endpoint: &E,
    credits: Credits<'_, E>,
) -> Result<Cost, BenchError> {
    let (warm_up, total) = (plan.warm_up(), plan.warm_up() + plan.count);
    if plan.mode == Mode::Latency {
        latency::answer(endpoint, plan, warm_up)?;
        let meter = Meter::start()?;
        latency::answer(endpoint, plan, plan.count)?;
        return meter.stop();
    }
    let mut receiver = Receiver::new(endpoint, plan, credits);
    receiver.receive(0..warm_up)?;
    let meter = Meter::start()?;
    receiver.receive(warm_up..total)?;
    meter.stop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{DirectEndpoint, Lane};
    use crate::patience::{STALL_TIMEOUT, Waited, readable};

    fn plan(text: &str) -> Plan {
        let arguments: Vec<_> = text.split_whitespace().collect();
        crate::plan::parsed(&arguments).unwrap()
    }

    fn endpoints() -> (DirectEndpoint, DirectEndpoint) {
        DirectEndpoint::pair().unwrap()
    }

    #[test]
    fn every_message_of_a_run_is_counted() {
        let (near, far) = endpoints();
        for text in [
            "--count 1000 --size 64 --window 7 --batch 3",
            "--count 1 --size 8 --window 1 --batch 1",
            "--count 500 --size 65536 --window 4",
            "--count 1000 --size 64 --window 8 --via send",
        ] {
            let plan = plan(text);
            let report = run(&plan, "nothing", &near, &far).unwrap();
            assert_eq!((report.messages, report.lost), (plan.count, 0), "{text}");
            assert!(report.messages_per_second > 0.0 && report.latency.is_none(), "{text}");
        }
    }

    #[test]
    fn round_trips_are_timed() {
        let (near, far) = endpoints();
        for text in ["--mode latency --count 100", "--mode latency --count 100 --via send"] {
            let report = run(&plan(text), "nothing", &near, &far).unwrap();
            let latency = report.latency.unwrap();
            assert!(0.0 < latency.median && latency.median <= latency.p99, "{latency:?}");
            assert!(latency.p99 <= latency.p999, "{latency:?}");
        }
    }

    #[test]
    fn the_endpoints_may_be_in_two_processes() {
        for text in ["--count 1000 --window 8", "--mode latency --count 100"] {
            let (near, far) = endpoints();
            let plan = plan(text);
            thread::scope(|scope| {
                let receiving = scope.spawn(|| receive(&plan, "far", &far));
                assert_eq!(send(&plan, "near", &near).unwrap().messages, plan.count);
                assert_eq!(receiving.join().unwrap().unwrap().messages, plan.count);
            });
        }
    }

    #[test]
    fn a_foreign_message_is_an_error() {
        let (near, far) = endpoints();
        near.send(b"hello").unwrap();
        let error = answer(&plan("--count 10"), &far, Credits::Local(&LocalCredits::default()));
        let error = error.unwrap_err();
        assert!(
            matches!(error, BenchError::UnexpectedMessage { length: 5, expected: 1024 }),
            "{error}"
        );
    }

    #[test]
    fn a_duplicate_does_not_make_up_for_a_lost_message() {
        let (near, far) = endpoints();
        for number in [0_u64, 1, 1, 3] {
            near.send(&number.to_le_bytes()).unwrap();
        }
        let plan = plan("--count 10 --size 8");
        let mut receiver = Receiver::new(&far, &plan, Credits::Remote(&far));
        assert!(matches!(receiver.receive(0..4), Err(BenchError::Duplicate)));
    }

    #[test]
    fn the_sender_keeps_within_the_window() {
        let (near, far) = endpoints();
        let plan = plan("--count 100 --size 8 --window 10");
        let credits = LocalCredits::default();
        thread::scope(|scope| {
            let sending = || Sender::new(&near, &plan, Credits::Local(&credits)).send(0..100);
            let sending = scope.spawn(sending);
            let mut received = 0;
            let mut batch = knet_fd::ReceiveBatch::new(64, 0, 8);
            while received < 100 {
                let ready = readable(&far, Lane::Data, STALL_TIMEOUT).unwrap();
                assert_eq!(ready, Waited::Ready);
                received += batch.receive(far.datafd(Lane::Data)).unwrap().messages as u64;
                if received % 10 == 0 {
                    assert_eq!(
                        batch.receive(far.datafd(Lane::Data)).unwrap().messages,
                        0,
                        "at {received}"
                    );
                    Credits::<DirectEndpoint>::Local(&credits).give(received).unwrap();
                }
            }
            sending.join().unwrap().unwrap();
        });
    }

    /// An endpoint whose peer is gone.
    struct Abandoned(DirectEndpoint);

    impl Endpoint for Abandoned {
        fn datafd(&self, lane: Lane) -> std::os::fd::BorrowedFd<'_> {
            self.0.datafd(lane)
        }

        fn send(&self, message: &[u8]) -> std::io::Result<()> {
            self.0.send(message)
        }

        fn is_connected(&self) -> bool {
            false
        }
    }

    #[test]
    fn nothing_waits_for_a_peer_that_is_gone() {
        let expect_lost = |run: fn(&Plan, &Abandoned) -> Result<(), BenchError>, text| {
            let (near, _far) = endpoints();
            let error = run(&plan(text), &Abandoned(near)).unwrap_err();
            assert!(matches!(error, BenchError::PeerLost { received: 0, .. }), "{error}");
        };
        thread::scope(|scope| {
            for text in ["--count 1000", "--count 1000 --mode latency"] {
                scope.spawn(|| expect_lost(|plan, near| send(plan, "near", near).map(drop), text));
                scope.spawn(|| {
                    expect_lost(
                        |plan, near| call(plan, "", near, Credits::Remote(near)).map(drop),
                        text,
                    );
                });
                scope.spawn(|| {
                    expect_lost(
                        |plan, near| answer(plan, near, Credits::Remote(near)).map(drop),
                        text,
                    );
                });
            }
        });
    }
}
