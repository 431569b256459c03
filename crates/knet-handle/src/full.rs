//! Sockets without room: how long packets wait for it, and when not at all.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use knet_engine::SocketId;
use knet_transport::SendError;
use parking_lot::Mutex;

use crate::errno::ENOBUFS;

/// What the threads of a handle know of full sockets.
///
/// A socket that took nothing while packets waited for room is stuck: nobody waits for it again until it
/// takes a packet. So it costs whoever sends one wait, not one for each message.
#[derive(Debug)]
pub(crate) struct FullSockets {
    /// How long packets wait for room.
    patience: Duration,
    /// Whether any is stuck, to be asked for each batch of packets.
    any: AtomicBool,
    stuck: Mutex<Vec<SocketId>>,
}

impl FullSockets {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, any: AtomicBool::new(false), stuck: Mutex::default() }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn is_stuck(&self, socket: SocketId) -> bool {
        self.any.load(Relaxed) && self.stuck.lock().contains(&socket)
    }

    /// It took a packet, or is gone.
    pub(crate) fn took(&self, socket: SocketId) {
        if self.any.load(Relaxed) {
            let mut stuck = self.stuck.lock();
            stuck.retain(|&other| other != socket);
            self.any.store(!stuck.is_empty(), Relaxed);
        }
    }

    /// It took nothing for as long as packets wait for room.
    pub(crate) fn took_nothing(&self, socket: SocketId) {
        let mut stuck = self.stuck.lock();
        if !stuck.contains(&socket) {
            stuck.push(socket);
        }
        self.any.store(true, Relaxed);
    }

    /// Packets find no room in a socket, as this error says, and wait from now on.
    pub(crate) fn wait(&self, error: &SendError, now: Instant) -> Wait {
        let mut wait = Wait { until: now.checked_add(self.patience), again: now, is_told: false };
        wait.go_on(error, now);
        wait
    }
}

/// How packets wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// When they are given up; without, never.
    until: Option<Instant>,
    /// When to try again although nobody says that there is room.
    pub(crate) again: Instant,
    /// Whether the kernel says when there is room.
    pub(crate) is_told: bool,
}

impl Wait {
    /// There was no room again.
    pub(crate) fn go_on(&mut self, error: &SendError, now: Instant) {
        // The queue of a device that is full never says anything. And a socket says so only when half of
        // its buffer is free, which takes a slow link long: there may be room for a packet much earlier.
        self.is_told = error.errno() != ENOBUFS;
        self.again = now + if self.is_told { SOCKET_PAUSE } else { DEVICE_PAUSE };
        if let Some(until) = self.until {
            self.again = self.again.min(until);
        }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// How long packets wait for room if nothing else is said.
pub(crate) const PATIENCE: Duration = Duration::from_millis(50);
/// After how long a full socket is tried again although it does not call itself writable.
const SOCKET_PAUSE: Duration = Duration::from_millis(2);
/// How long a device whose queue is full is left alone.
const DEVICE_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_took_nothing_is_stuck_until_it_takes_something() {
        let (full, other) = (SocketId(1), SocketId(2));
        let sockets = FullSockets::new(PATIENCE);
        sockets.took(full);
        assert!(!sockets.is_stuck(full));
        for _ in 0..2 {
            sockets.took_nothing(full);
            sockets.took(other);
            assert!(sockets.is_stuck(full) && !sockets.is_stuck(other));
        }
        sockets.took_nothing(other);
        sockets.took(full);
        assert!(!sockets.is_stuck(full) && sockets.is_stuck(other));
        sockets.took(other);
        assert!(!sockets.any.load(Relaxed));
    }
}
