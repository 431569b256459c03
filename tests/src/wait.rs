//! Waits for events, always for the event itself and always with a deadline.

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use kronosnet::{Datafd, EventStream, MAX_MESSAGE};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The time after which a test gives up. Long enough for a busy machine: a passing test takes
/// milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until there is something to read, an end of file included.
///
/// # Panics
/// At the deadline.
#[track_caller]
pub fn readable(fd: impl AsFd) {
    assert!(readable_within(&fd, DEADLINE), "nothing to read from {:?}", fd.as_fd());
}

/// Waits until something can be written, or the other end is closed.
///
/// # Panics
/// At the deadline.
#[track_caller]
pub fn writable(fd: impl AsFd) {
    let ready = ready_within(&fd, PollFlags::POLLOUT, DEADLINE);
    assert!(ready, "{:?} stays full", fd.as_fd());
}

/// Returns `true` if there is something to read now.
pub fn is_readable(fd: impl AsFd) -> bool {
    readable_within(&fd, Duration::ZERO)
}

/// Returns `true` if there is something to read, or will be within `timeout`.
///
/// # Panics
/// If it cannot be polled.
pub fn readable_within(fd: impl AsFd, timeout: Duration) -> bool {
    ready_within(&fd, PollFlags::POLLIN, timeout)
}

fn ready_within(fd: &impl AsFd, flags: PollFlags, timeout: Duration) -> bool {
    let timeout = PollTimeout::try_from(timeout).expect("a timeout of seconds fits");
    let mut fds = [PollFd::new(fd.as_fd(), flags)];
    loop {
        match poll(&mut fds, timeout) {
            Ok(ready) => return ready > 0,
            Err(Errno::EINTR) => {}
            Err(errno) => panic!("failed to poll {:?}: {errno}", fd.as_fd()),
        }
    }
}

/// Waits for the next message of a datafd that the handle made.
///
/// # Panics
/// At the deadline, and if receiving fails.
#[track_caller]
pub fn receive(datafd: &Datafd) -> Vec<u8> {
    let mut buffer = vec![0; MAX_MESSAGE];
    readable(datafd);
    let length = datafd.recv(&mut buffer).expect("it is readable");
    buffer.truncate(length);
    buffer
}

/// Waits for the next message of a datafd that satisfies `like`, and discards those before it.
///
/// # Panics
/// At the deadline, and if receiving fails.
#[track_caller]
pub fn next_message(datafd: &Datafd, mut like: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let give_up = Instant::now() + DEADLINE;
    while Instant::now() < give_up {
        let message = receive(datafd);
        if like(&message) {
            return message;
        }
    }
    panic!("no such message came");
}

/// Reads once from a descriptor of the application: a message, or what a stream has.
///
/// # Panics
/// At the deadline, and if reading fails.
#[track_caller]
pub fn read(fd: impl AsFd) -> Vec<u8> {
    let mut buffer = vec![0; 2 * MAX_MESSAGE];
    readable(&fd);
    let length = nix::unistd::read(fd, &mut buffer).expect("it is readable");
    buffer.truncate(length);
    buffer
}

/// Waits for the next event of a stream.
///
/// # Panics
/// At the deadline.
#[track_caller]
pub fn next<T: Debug>(events: &EventStream<T>) -> T {
    events.recv_timeout(DEADLINE).expect("no event came").event
}

/// Waits for the next event of a stream that satisfies `like`, and discards those before it.
///
/// # Panics
/// At the deadline.
#[track_caller]
pub fn next_like<T: Debug>(events: &EventStream<T>, mut like: impl FnMut(&T) -> bool) -> T {
    let give_up = Instant::now() + DEADLINE;
    while let Ok(notification) = events.recv_deadline(give_up) {
        if like(&notification.event) {
            return notification.event;
        }
    }
    panic!("no such event came");
}

/// Asserts that no event arrives during `interval`.
///
/// # Panics
/// If an event comes.
#[track_caller]
pub fn silent<T: Debug>(events: &EventStream<T>, interval: Duration) {
    match events.recv_timeout(interval) {
        Err(RecvTimeoutError::Timeout) => {}
        other => panic!("{other:?} instead of silence"),
    }
}

/// Waits for a condition that no event reports, such as a counter, and checks it a thousand times a
/// second.
///
/// # Panics
/// At the deadline.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < give_up, "did not happen in time: {what}");
        // The thread that is waited for may need this processor.
        thread::park_timeout(Duration::from_millis(1));
    }
}
