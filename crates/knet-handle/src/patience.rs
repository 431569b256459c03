//! Sending through sockets that may be full: how long a packet waits for room, and when not at all.

use std::thread;
use std::time::{Duration, Instant};

use knet_engine::SocketId;
use knet_transport::{Datagram, SendBatch, SendError, SendErrorKind, UdpSocket};

use crate::errno::ENOBUFS;

/// Sends one packet, or gives back the errno with which the kernel refused it. Calls `retried` each
/// time that it is tried again after waiting for room.
pub(crate) fn send_one(
    socket: &UdpSocket,
    batch: &mut SendBatch,
    datagram: Datagram<'_>,
    patience: &mut Patience,
    retried: impl Fn(),
) -> Result<(), i32> {
    loop {
        let Some(error) = socket.send(batch, &[datagram]).error else { return Ok(()) };
        let again = match error.kind() {
            SendErrorKind::Pending => patience.once_more(),
            SendErrorKind::WouldBlock => {
                let again = patience.wait(socket, &error);
                if again {
                    retried();
                }
                again
            }
            _ => false,
        };
        if !again {
            return Err(error.errno());
        }
    }
}

/// The sockets that took nothing while they were last waited for.
///
/// Nobody waits for them again until they take a packet: a link that is stuck costs everybody else
/// one wait, not one for each packet.
#[derive(Debug, Default)]
pub(crate) struct StuckSockets(Vec<SocketId>);

impl StuckSockets {
    /// The patience with a socket that is about to be sent through.
    pub(crate) fn patience(&self, socket: SocketId) -> Patience {
        let waits = if self.0.contains(&socket) { 0 } else { MAX_WAITS };
        Patience { waits, pending: MAX_PENDING, until: None }
    }

    /// Remembers whether the socket took anything.
    pub(crate) fn note(&mut self, socket: SocketId, took: bool, patience: &Patience) {
        if took {
            self.forget(socket);
        } else if patience.is_over() && !self.0.contains(&socket) {
            self.0.push(socket);
        }
    }

    /// The socket works, or is gone.
    pub(crate) fn forget(&mut self, socket: SocketId) {
        self.0.retain(|&stuck| stuck != socket);
    }
}

/// How much longer the packets of one socket are tried.
#[derive(Debug)]
pub(crate) struct Patience {
    /// How often room is waited for, counted so that nothing goes on for ever; 0 when it is over.
    waits: u32,
    /// How many more errors of other packets may come in the way.
    pending: u32,
    /// Until when room is waited for; set with the first wait.
    until: Option<Instant>,
}

impl Patience {
    /// Waits for room, with no lock held; whether it is worth another try.
    pub(crate) fn wait(&mut self, socket: &UdpSocket, error: &SendError) -> bool {
        let Some(left) = self.left(Instant::now()) else { return false };
        if error.errno() != ENOBUFS {
            // The kernel says so only when half of the buffer is free, which takes a slow link long:
            // there may be room for a packet much earlier.
            let waited = socket.wait_writable(left.min(SOCKET_PAUSE));
            return waited.is_ok() || self.end();
        }
        // PAUSE: the queue of the device is full, and no poll tells when it has room.
        thread::sleep(left.min(DEVICE_PAUSE));
        true
    }

    /// Whether a packet should be tried again that an old ICMP message came in the way of. Not for
    /// ever: the number may be the packet's own after all.
    pub(crate) fn once_more(&mut self) -> bool {
        let more = self.pending > 0;
        self.pending = self.pending.saturating_sub(1);
        more
    }

    fn is_over(&self) -> bool {
        self.waits == 0
    }

    fn end(&mut self) -> bool {
        self.waits = 0;
        false
    }

    /// How long room may be waited for now, `None` if no longer.
    fn left(&mut self, now: Instant) -> Option<Duration> {
        let until = *self.until.get_or_insert(now + FULL_SOCKET_PATIENCE);
        let left = until.saturating_duration_since(now);
        if self.is_over() || left.is_zero() {
            self.end();
            return None;
        }
        self.waits -= 1;
        Some(left)
    }
}

/// How long a full socket is waited for.
const FULL_SOCKET_PATIENCE: Duration = Duration::from_millis(50);
/// After how long a full socket is tried again although it does not call itself writable.
const SOCKET_PAUSE: Duration = Duration::from_millis(2);
/// How long a device whose queue is full is left alone.
const DEVICE_PAUSE: Duration = Duration::from_millis(1);
/// How often room is waited for at most.
const MAX_WAITS: u32 = 64;
/// How many errors of other packets may come in the way of those that are sent together.
const MAX_PENDING: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_that_is_over_stays_over() {
        let now = Instant::now();
        let mut patience = StuckSockets::default().patience(SocketId(1));
        assert_eq!(patience.left(now), Some(FULL_SOCKET_PATIENCE));
        assert_eq!(patience.left(now + DEVICE_PAUSE), Some(FULL_SOCKET_PATIENCE - DEVICE_PAUSE));
        for _ in 0..1000 {
            assert_eq!(patience.left(now + FULL_SOCKET_PATIENCE), None);
            assert_eq!(patience.left(now), None);
        }
        assert!(patience.is_over());
    }

    #[test]
    fn reasons_that_should_pass_are_not_waited_out_for_ever() {
        let now = Instant::now();
        let mut patience = StuckSockets::default().patience(SocketId(1));
        let tries = (0..1000).filter(|_| patience.left(now).is_some()).count();
        assert!(tries < 100, "{tries}");
        assert!(patience.is_over());
        assert!((0..1000).filter(|_| patience.once_more()).count() < 10);
    }

    #[test]
    fn a_socket_that_took_nothing_is_not_waited_for_until_it_takes_something() {
        let (full, fine) = (SocketId(1), SocketId(2));
        let mut stuck = StuckSockets::default();
        let mut patience = stuck.patience(full);
        stuck.note(full, false, &patience);
        assert!(!stuck.patience(full).is_over(), "it was not waited for to the end");
        patience.end();
        for _ in 0..2 {
            stuck.note(full, false, &patience);
            assert!(stuck.patience(full).is_over());
            assert!(!stuck.patience(fine).is_over());
        }
        stuck.note(full, true, &patience);
        assert!(!stuck.patience(full).is_over());
    }
}
