//! Waits that look before they sleep keep all promises of a wait.

// Clippy knows tests, but not the functions that they call.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{BusyWait, Events, Interest, Poller, Token};

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any wait takes here: looking never gives up.
const LONG: Duration = Duration::from_secs(3600);

/// One that looks before it sleeps: it has seen a short wait.
fn looking(poller: &Poller, events: &mut Events) -> BusyWait {
    let mut busy_wait = BusyWait::new(LONG);
    for _ in 0..2 {
        poller.waker().wake().unwrap();
        assert_eq!(busy_wait.wait(poller, events, Some(PATIENCE)).unwrap(), 0);
        assert!(events.woken());
    }
    busy_wait
}

#[test]
fn what_comes_while_it_looks_is_reported() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    poller.add(&far, Token(3), Interest::READ).unwrap();
    let mut busy_wait = looking(&poller, &mut events);
    thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|number| near.write_all(&[number]).unwrap()));
        for number in 0..200 {
            assert_eq!(busy_wait.wait(&poller, &mut events, Some(PATIENCE)).unwrap(), 1);
            assert_eq!(events.iter().next().unwrap().token, Token(3));
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [number]);
        }
    });
}

#[test]
fn a_wake_up_from_outside_ends_it() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    let mut busy_wait = looking(&poller, &mut events);
    thread::scope(|scope| {
        scope.spawn(|| poller.waker().wake().unwrap());
        assert_eq!(busy_wait.wait(&poller, &mut events, None).unwrap(), 0);
    });
    assert!(events.woken());
}

#[test]
fn it_is_never_over_early() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(4);
    for most in [Duration::ZERO, Duration::from_micros(50), LONG] {
        let mut busy_wait = BusyWait::new(most);
        for micros in [0, 1, 30, 300, 1_001, 5_000, 30, 1] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            assert_eq!(busy_wait.wait(&poller, &mut events, Some(timeout)).unwrap(), 0);
            assert!(start.elapsed() >= timeout, "{timeout:?} ended early");
            assert!(!events.woken());
        }
        poller.waker().wake().unwrap();
        busy_wait.wait(&poller, &mut events, None).unwrap();
    }
}
