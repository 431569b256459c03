//! Reports for sources that are ready, have hung up or failed.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use knet_poller::{Event, Events, Interest, Poller, Token};

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for at least one event.
fn wait(poller: &Poller) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    let count = poller.wait(&mut events, Some(PATIENCE)).unwrap();
    assert_eq!(count, events.len());
    assert_ne!(count, 0, "nothing became ready");
    events.iter().collect()
}

/// Returns the events that are there without waiting.
fn poll_now(poller: &Poller) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    events.iter().collect()
}

#[test]
fn readiness_is_reported_until_it_is_dealt_with() {
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&far, Token(3), Interest::READ).unwrap();
    assert_eq!(poll_now(&poller), []);

    near.write_all(b"ab").unwrap();
    for _ in 0..3 {
        let events = wait(&poller);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].token, Token(3));
        assert!(events[0].readable && !events[0].writable);
        assert!(!events[0].hangup && !events[0].error);
    }
    far.read_exact(&mut [0]).unwrap();
    assert_eq!(wait(&poller).len(), 1, "one byte is left");
    far.read_exact(&mut [0]).unwrap();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn only_the_requested_readiness_is_reported() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"x").unwrap();
    let poller = Poller::new().unwrap();

    poller.add(&far, Token(1), Interest::NONE).unwrap();
    assert_eq!(poll_now(&poller), []);
    poller.modify(&far, Token(1), Interest::WRITE).unwrap();
    let event = wait(&poller)[0];
    assert!(event.writable && !event.readable);
    poller.modify(&far, Token(2), Interest::READ).unwrap();
    let event = wait(&poller)[0];
    assert!(event.readable && !event.writable);
    assert_eq!(event.token, Token(2), "modify also changes the token");
    poller.modify(&far, Token(2), Interest::READ | Interest::WRITE).unwrap();
    let event = wait(&poller)[0];
    assert!(event.readable && event.writable);
    poller.modify(&far, Token(2), Interest::NONE).unwrap();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn a_hang_up_is_reported_without_any_interest() {
    let (near, far) = UnixStream::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&far, Token(1), Interest::NONE).unwrap();
    assert_eq!(poll_now(&poller), []);
    drop(near);
    let event = wait(&poller)[0];
    assert!(event.hangup && !event.readable && !event.writable);
    assert_eq!(wait(&poller).len(), 1, "and again until the source is removed");
    poller.remove(&far).unwrap();
    assert_eq!(poll_now(&poller), []);
}

#[test]
fn a_peer_that_only_stops_sending_is_readable_and_not_hung_up() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&far, Token(1), Interest::READ).unwrap();
    near.shutdown(Shutdown::Write).unwrap();
    let event = wait(&poller)[0];
    assert!(event.readable && !event.hangup);
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_empty_pipe_without_writer_has_hung_up_and_nothing_else() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&reader, Token(1), Interest::READ).unwrap();
    drop(writer);
    let event = wait(&poller)[0];
    assert!(event.hangup && !event.readable && !event.error);
}

#[test]
fn a_pipe_without_reader_is_an_error() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&writer, Token(1), Interest::NONE).unwrap();
    drop(reader);
    let event = wait(&poller)[0];
    assert!(event.error && !event.readable && !event.writable);
}

#[test]
fn more_ready_sources_than_the_capacity_are_reported_in_turns() {
    let poller = Poller::new().unwrap();
    let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().unwrap()).collect();
    for (token, (_, far)) in pairs.iter().enumerate() {
        poller.add(far, Token(token as u64), Interest::WRITE).unwrap();
    }
    let mut events = Events::with_capacity(1);
    let mut seen = [false; 20];
    for _ in 0..20 {
        let count = poller.wait(&mut events, Some(PATIENCE)).unwrap();
        assert!((1..=2).contains(&count));
        for event in &events {
            seen[event.token.0 as usize] = true;
        }
    }
    assert_eq!(seen, [true; 20]);
}

#[test]
fn a_source_added_while_a_thread_waits_is_reported_to_it() {
    let poller = Poller::new().unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&poller));
        poller.add(&far, Token(5), Interest::READ).unwrap();
        near.write_all(b"x").unwrap();
        assert_eq!(waiting.join().unwrap()[0].token, Token(5));
    });
}
