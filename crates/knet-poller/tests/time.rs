//! Timeouts: never early, and not affected by signals.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{Events, Poller};
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_wait_never_expires_early() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(1);
    for micros in [0, 1, 300, 999, 1_000, 1_001, 20_500] {
        let timeout = Duration::from_micros(micros);
        let start = Instant::now();
        assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout, "{timeout:?} ended early");
        assert!(!events.woken());
    }
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Installs a handler for SIGUSR1 that counts and interrupts system calls.
#[allow(unsafe_code)]
fn catch_signals() {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler only touches an atomic, which is allowed in a signal handler, and no other
    // code in this test program sets or relies on SIGUSR1.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
}

/// Lets a thread wait while it keeps receiving signals, and wakes it after `wake_after` of them.
/// Returns how long it waited and whether it was woken.
fn wait_under_signals(timeout: Option<Duration>, wake_after: usize) -> (Duration, bool) {
    let poller = Poller::new().unwrap();
    SIGNALS.store(0, Ordering::Relaxed);
    thread::scope(|scope| {
        let (announce, announced) = mpsc::channel();
        let (report, reported) = mpsc::channel();
        // Keeps the thread alive as long as it is sent signals.
        let (release, released) = mpsc::channel::<()>();
        let poller = &poller;
        scope.spawn(move || {
            let mut events = Events::with_capacity(1);
            let start = Instant::now();
            announce.send(pthread_self()).unwrap();
            let outcome = poller.wait(&mut events, timeout).map_err(|error| error.errno());
            report.send((outcome, start.elapsed(), events.woken())).unwrap();
            released.recv().unwrap_err();
        });
        let waiter = announced.recv_timeout(PATIENCE).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let (outcome, elapsed, woken) = loop {
            assert!(Instant::now() < deadline, "the signals keep the wait from ending");
            pthread_kill(waiter, Signal::SIGUSR1).unwrap();
            if SIGNALS.load(Ordering::Relaxed) >= wake_after {
                poller.waker().wake().unwrap();
            }
            if let Ok(report) = reported.recv_timeout(Duration::from_micros(500)) {
                break report;
            }
        };
        drop(release);
        assert_eq!(outcome, Ok(0));
        assert!(SIGNALS.load(Ordering::Relaxed) > 10, "too few signals to prove anything");
        (elapsed, woken)
    })
}

/// One test for both cases, because the handler and its counter are global to the process.
#[test]
fn signals_neither_end_nor_lengthen_a_wait() {
    catch_signals();
    let timeout = Duration::from_millis(200);
    let (elapsed, woken) = wait_under_signals(Some(timeout), usize::MAX);
    assert!(elapsed >= timeout && !woken);

    let (_, woken) = wait_under_signals(None, 50);
    assert!(woken);
}
