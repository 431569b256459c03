//! Sending through sockets that may be full: how long a packet waits for room, and when not at all.

use std::thread;
use std::time::{Duration, Instant};

use knet_engine::SocketId;
use knet_transport::{Datagram, SendBatch, SendError, SendErrorKind, UdpSocket};

use crate::errno::ENOBUFS;

/// Sends datagrams of one socket, calls `sent` with the place of each that the kernel took, and
/// gives back the errno of the last that it refused. A full socket is waited for, but not for long:
/// nobody else's packets may wait for this one's.
pub(crate) fn send_all(
    socket: &UdpSocket,
    batch: &mut SendBatch,
    datagrams: &[Datagram<'_>],
    patience: &mut Patience,
    mut sent: impl FnMut(usize),
) -> Option<i32> {
    let mut refused = None;
    let mut next = 0;
    while let Some(rest) = datagrams.get(next..).filter(|rest| !rest.is_empty()) {
        let progress = socket.send(batch, rest);
        (next..next + progress.sent).for_each(&mut sent);
        next += progress.sent;
        let Some(error) = progress.error else { continue };
        if !patience.try_again(socket, &error) {
            refused = Some(error.errno());
            next += 1;
        }
    }
    refused
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
        let tries = if self.0.contains(&socket) { 1 } else { MAX_TRIES };
        Patience { tries, until: None }
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

/// How much longer the packets of one system call are tried.
#[derive(Debug)]
pub(crate) struct Patience {
    /// How many tries are left, counted so that nothing goes on for ever; 0 when it is over.
    tries: u32,
    /// Until when room is waited for; set with the first wait.
    until: Option<Instant>,
}

impl Patience {
    /// Whether a packet that was refused should be tried again, after a wait for room if that is
    /// what it takes.
    pub(crate) fn try_again(&mut self, socket: &UdpSocket, error: &SendError) -> bool {
        match error.kind() {
            // An old ICMP message about another packet came up; this one was not even tried.
            SendErrorKind::Pending => self.once_more(),
            SendErrorKind::WouldBlock => {
                let Some(left) = self.left(Instant::now()) else { return false };
                if error.errno() != ENOBUFS {
                    return socket.wait_writable(left).unwrap_or(false) || self.end();
                }
                // PAUSE: the queue of the device is full, and no poll tells when it has room.
                thread::sleep(left.min(DEVICE_PAUSE));
                true
            }
            _ => false,
        }
    }

    fn is_over(&self) -> bool {
        self.tries == 0
    }

    fn end(&mut self) -> bool {
        self.tries = 0;
        false
    }

    fn once_more(&mut self) -> bool {
        self.tries = self.tries.saturating_sub(1);
        self.tries > 0
    }

    /// How long room may be waited for now, `None` if no longer.
    fn left(&mut self, now: Instant) -> Option<Duration> {
        let until = *self.until.get_or_insert(now + FULL_SOCKET_PATIENCE);
        let left = until.saturating_duration_since(now);
        if left.is_zero() {
            self.end();
        }
        self.once_more().then_some(left)
    }
}

/// How long a full socket is waited for.
const FULL_SOCKET_PATIENCE: Duration = Duration::from_millis(50);
/// How long a device whose queue is full is left alone.
const DEVICE_PAUSE: Duration = Duration::from_millis(1);
/// How often one call is repeated for reasons that should pass.
const MAX_TRIES: u32 = 64;

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
            assert!(!patience.once_more());
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
    }

    #[test]
    fn a_socket_that_took_nothing_is_not_waited_for_until_it_takes_something() {
        let (full, fine) = (SocketId(1), SocketId(2));
        let mut stuck = StuckSockets::default();
        let mut patience = stuck.patience(full);
        stuck.note(full, false, &patience);
        assert!(stuck.patience(full).once_more(), "it was not waited for to the end");
        patience.end();
        for _ in 0..2 {
            stuck.note(full, false, &patience);
            assert!(!stuck.patience(full).once_more());
            assert!(stuck.patience(fine).once_more());
        }
        stuck.note(full, true, &patience);
        assert!(stuck.patience(full).once_more());
    }
}
