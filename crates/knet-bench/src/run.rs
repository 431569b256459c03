//! The runs: both ends in one process, or one end in each of two.

use std::thread;

use crate::cost::{Cost, Meter, resident_bytes};
use crate::credits::{Credits, LocalCredits};
use crate::endpoint::{Endpoint, Lane};
use crate::error::BenchError;
use crate::latency;
use crate::plan::{Mode, Plan};
use crate::rendezvous;
use crate::report::Report;
use crate::throughput::{Receiver, Sender};

/// Measures what is between two ends in this process: `near` sends to `far`. The report is about
/// both. `subject` names what is measured.
///
/// # Errors
/// [`BenchError`], also if a message was lost.
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
        // If both failed, it is most likely the receiver that knows why.
        answered?;
        called
    })
}

/// Measures from the side that sends; the other process calls [`receive`] with the same plan. The
/// report is about this process.
///
/// # Errors
/// [`BenchError`], also if a message was lost.
pub fn send<E: Endpoint>(plan: &Plan, subject: &str, endpoint: &E) -> Result<Report, BenchError> {
    let credits = endpoint.datafd(Lane::Credits);
    rendezvous::call(credits)?;
    let report = call(plan, subject, endpoint, Credits::Remote(credits))?;
    rendezvous::part(credits)?;
    Ok(report)
}

/// Measures from the side that receives; the other process calls [`send`] with the same plan.
///
/// # Errors
/// [`BenchError`], also if a message was lost.
pub fn receive<E: Endpoint>(
    plan: &Plan,
    subject: &str,
    endpoint: &E,
) -> Result<Report, BenchError> {
    let credits = endpoint.datafd(Lane::Credits);
    rendezvous::answer(credits)?;
    let cost = answer(plan, endpoint, Credits::Remote(credits))?;
    let report = Report::new(plan, subject, cost, resident_bytes()?);
    rendezvous::stay_until_parted(credits)?;
    Ok(report)
}

/// The side that has the first word: a warm-up, then the measurement.
fn call<E: Endpoint>(
    plan: &Plan,
    subject: &str,
    endpoint: &E,
    credits: Credits<'_>,
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
    sender.send(warm_up..total)?;
    Ok(Report::new(plan, subject, meter.stop()?, resident_bytes()?))
}

/// The side that receives or answers; what the measurement cost, waiting for its start included.
fn answer<E: Endpoint>(
    plan: &Plan,
    endpoint: &E,
    credits: Credits<'_>,
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
    use std::io;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    use clap::Parser;
    use knet_fd::{PairType, SocketPair};

    use super::*;
    use crate::readiness::{PATIENCE, readable};

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        plan: Plan,
    }

    fn plan(text: &str) -> Plan {
        let words = ["bench"].into_iter().chain(text.split_whitespace());
        Args::try_parse_from(words).unwrap().plan
    }

    /// An end of two socket pairs: nothing is between it and the other end.
    struct Direct {
        data: OwnedFd,
        credits: OwnedFd,
    }

    impl Endpoint for Direct {
        fn datafd(&self, lane: Lane) -> BorrowedFd<'_> {
            match lane {
                Lane::Data => self.data.as_fd(),
                Lane::Credits => self.credits.as_fd(),
            }
        }

        fn send(&self, message: &[u8]) -> io::Result<()> {
            let sent = knet_fd::send(&self.data, message).map_err(io::Error::other)?;
            if sent == knet_fd::Sent::WouldBlock {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        }
    }

    fn ends() -> (Direct, Direct) {
        let pair = || SocketPair::new(PairType::SeqPacket, 1 << 20).unwrap();
        let (data, credits) = (pair(), pair());
        (
            Direct { data: data.left, credits: credits.left },
            Direct { data: data.right, credits: credits.right },
        )
    }

    #[test]
    fn every_message_of_a_run_is_counted() {
        let (near, far) = ends();
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
        let (near, far) = ends();
        for text in ["--mode latency --count 100", "--mode latency --count 100 --via send"] {
            let report = run(&plan(text), "nothing", &near, &far).unwrap();
            let latency = report.latency.unwrap();
            assert!(0.0 < latency.median && latency.median <= latency.p99, "{latency:?}");
            assert!(latency.p99 <= latency.p999, "{latency:?}");
        }
    }

    #[test]
    fn the_ends_may_be_in_two_processes() {
        for text in ["--count 1000 --window 8", "--mode latency --count 100"] {
            let (near, far) = ends();
            let plan = plan(text);
            thread::scope(|scope| {
                let receiving = scope.spawn(|| receive(&plan, "far", &far));
                assert_eq!(send(&plan, "near", &near).unwrap().messages, plan.count);
                assert_eq!(receiving.join().unwrap().unwrap().messages, plan.count);
            });
        }
    }

    #[test]
    fn a_message_of_somebody_else_is_found() {
        let (near, far) = ends();
        near.send(b"hello").unwrap();
        let error = answer(&plan("--count 10"), &far, Credits::Local(&LocalCredits::default()));
        let error = error.unwrap_err();
        assert!(
            matches!(error, BenchError::UnexpectedMessage { length: 5, wanted: 1024 }),
            "{error}"
        );
    }

    #[test]
    fn a_message_that_comes_twice_makes_up_for_none_that_is_missing() {
        let (near, far) = ends();
        for number in [0_u64, 1, 1, 3] {
            near.send(&number.to_le_bytes()).unwrap();
        }
        let plan = plan("--count 10 --size 8");
        let mut receiver = Receiver::new(&far, &plan, Credits::Remote(far.datafd(Lane::Credits)));
        assert!(matches!(receiver.receive(0..4), Err(BenchError::Duplicate)));
    }

    #[test]
    fn the_sender_keeps_within_the_window() {
        let (near, far) = ends();
        let plan = plan("--count 100 --size 8 --window 10");
        let credits = LocalCredits::default();
        thread::scope(|scope| {
            let sending = || Sender::new(&near, &plan, Credits::Local(&credits)).send(0..100);
            let sending = scope.spawn(sending);
            let mut received = 0;
            let mut batch = knet_fd::ReceiveBatch::new(64, 0, 8);
            while received < 100 {
                assert!(readable(far.datafd(Lane::Data), PATIENCE).unwrap());
                received += batch.receive(&far.data).unwrap().messages as u64;
                if received % 10 == 0 {
                    assert_eq!(batch.receive(&far.data).unwrap().messages, 0, "at {received}");
                    Credits::Local(&credits).give(received).unwrap();
                }
            }
            sending.join().unwrap().unwrap();
        });
    }
}
