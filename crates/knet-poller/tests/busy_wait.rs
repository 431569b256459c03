//! A busy wait keeps all guarantees of a wait.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{BusyWait, Events, Interest, Poller, Token};

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any wait takes here, so that polling never ends.
const LONG: Duration = Duration::from_secs(3600);

/// Creates a busy wait that polls, because it has seen short waits.
fn polling(poller: &Poller, events: &mut Events) -> BusyWait {
    let mut busy_wait = BusyWait::new(LONG);
    for _ in 0..2 {
        poller.waker().wake().unwrap();
        assert_eq!(busy_wait.wait(poller, events, Some(PATIENCE)).unwrap(), 0);
        assert!(events.woken());
        busy_wait.record_work();
    }
    assert!(!busy_wait.polling_time().is_zero());
    busy_wait
}

#[test]
fn an_event_that_arrives_while_polling_is_reported() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    poller.add(&far, Token(3), Interest::READ).unwrap();
    let mut busy_wait = polling(&poller, &mut events);
    thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|number| near.write_all(&[number]).unwrap()));
        for number in 0..200 {
            assert_eq!(busy_wait.wait(&poller, &mut events, Some(PATIENCE)).unwrap(), 1);
            assert_eq!(events.iter().next().unwrap().token, Token(3));
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
            busy_wait.record_work();
        }
    });
}

#[test]
fn a_wake_up_ends_a_busy_wait() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    let mut busy_wait = polling(&poller, &mut events);
    thread::scope(|scope| {
        scope.spawn(|| poller.waker().wake().unwrap());
        assert_eq!(busy_wait.wait(&poller, &mut events, None).unwrap(), 0);
    });
    assert!(events.woken());
}

#[test]
fn a_busy_wait_never_expires_early() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    for max in [Duration::ZERO, Duration::from_micros(50), LONG] {
        let mut busy_wait = BusyWait::new(max);
        for micros in [0, 1, 30, 300, 1_001, 5_000, 30, 1] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            assert_eq!(busy_wait.wait(&poller, &mut events, Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout, "{timeout:?} ended early");
            assert!(!events.woken());
        }
        poller.waker().wake().unwrap();
        busy_wait.wait(&poller, &mut events, None).unwrap();
        busy_wait.record_work();
    }
}
