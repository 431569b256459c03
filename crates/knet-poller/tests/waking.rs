//! Wake-ups from any thread: never lost, and coalesced.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{Events, Interest, Poller, Token, Waker};

const PATIENCE: Duration = Duration::from_secs(10);

fn shareable<T: Send + Sync>(_: &T) {}

#[test]
fn poller_and_waker_may_be_shared() {
    let poller = Poller::new().unwrap();
    shareable(&poller);
    shareable::<Waker>(&poller.waker());
}

#[test]
fn a_wake_up_before_the_wait_is_kept_and_reported_once() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(1);
    for _ in 0..100 {
        poller.waker().wake().unwrap();
    }
    assert_eq!(poller.wait(&mut events, Some(PATIENCE)).unwrap(), 0);
    assert!(events.woken());
    assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    assert!(!events.woken(), "a hundred wake-ups coalesce");
    poller.waker().wake().unwrap();
    poller.wait(&mut events, Some(PATIENCE)).unwrap();
    assert!(events.woken(), "the next one counts again");
}

#[test]
fn a_wake_up_ends_a_wait_without_timeout() {
    let poller = Poller::new().unwrap();
    let waker = poller.waker();
    let (report, woken) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let mut events = Events::with_capacity(1);
        poller.wait(&mut events, None).unwrap();
        report.send(events.woken()).unwrap();
    });
    waker.wake().unwrap();
    assert_eq!(woken.recv_timeout(PATIENCE), Ok(true));
    waiting.join().unwrap();
}

#[test]
fn a_wake_up_does_not_use_the_capacity_for_events() {
    let poller = Poller::new().unwrap();
    let (_near, far) = UnixStream::pair().unwrap();
    poller.add(&far, Token(0), Interest::WRITE).unwrap();
    poller.waker().wake().unwrap();
    let mut events = Events::with_capacity(1);
    assert_eq!(poller.wait(&mut events, Some(PATIENCE)).unwrap(), 1);
    assert!(events.woken());
    assert_eq!(events.iter().next().unwrap().token, Token(0));
}

#[test]
fn each_wake_up_releases_a_waiting_thread() {
    const THREADS: usize = 4;
    let poller = Poller::new().unwrap();
    let waker = poller.waker();
    thread::scope(|scope| {
        let (report, woken) = mpsc::channel();
        for _ in 0..THREADS {
            let (poller, report) = (&poller, report.clone());
            scope.spawn(move || {
                let mut events = Events::with_capacity(1);
                poller.wait(&mut events, Some(PATIENCE)).unwrap();
                report.send(events.woken()).unwrap();
            });
        }
        for _ in 0..THREADS {
            waker.wake().unwrap();
            assert_eq!(woken.recv_timeout(PATIENCE), Ok(true));
        }
    });
}

/// Each producer publishes work, wakes a consumer, and continues once the work has been taken. A consumer
/// checks for work only when it is woken, so that one lost wake-up blocks everybody. Wake-ups of the
/// producers arrive at every moment of a consumer's wait.
fn produce_and_consume(consumers: usize) {
    const EACH: usize = 10_000;
    let poller = Poller::new().unwrap();
    let work: [AtomicBool; 3] = Default::default();
    let busy = AtomicUsize::new(work.len());
    thread::scope(|scope| {
        for left in &work {
            scope.spawn(|| {
                let waker = poller.waker();
                for _ in 0..EACH {
                    // Relaxed: the wake-up alone has to make the work visible.
                    left.store(true, Ordering::Relaxed);
                    waker.wake().unwrap();
                    let deadline = Instant::now() + PATIENCE;
                    while left.load(Ordering::Relaxed) {
                        assert!(Instant::now() < deadline, "no consumer was woken");
                        thread::yield_now();
                    }
                }
                busy.fetch_sub(1, Ordering::SeqCst);
                waker.wake().unwrap();
            });
        }
        for _ in 0..consumers {
            scope.spawn(|| {
                let mut events = Events::with_capacity(1);
                while busy.load(Ordering::SeqCst) > 0 {
                    poller.wait(&mut events, Some(PATIENCE)).unwrap();
                    assert!(events.woken(), "a wake-up was lost");
                    work.iter().for_each(|left| left.store(false, Ordering::Relaxed));
                }
                // The other consumer may still wait although all work is done.
                poller.waker().wake().unwrap();
            });
        }
    });
}

#[test]
fn no_wake_up_is_lost_by_a_single_consumer() {
    produce_and_consume(1);
}

#[test]
fn no_wake_up_is_lost_between_two_consumers() {
    produce_and_consume(2);
}

#[test]
fn a_waker_that_outlives_its_poller_does_nothing() {
    let waker = Poller::new().unwrap().waker();
    waker.wake().unwrap();
    waker.clone().wake().unwrap();
}
