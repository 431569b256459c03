//! Sockets without room: who waits for it, for how long, and when nobody does.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use knet_engine::SocketId;
use knet_transport::SendError;
use parking_lot::Mutex;

use crate::errno::ENOBUFS;

/// What the threads of a handle know of full sockets. Costs one look at a flag while none is full.
///
/// Packets wait for room for as long as the socket takes some now and then. One that took none for the
/// time that they wait at most is stuck: nobody waits for it again until it takes a packet, so that it
/// costs whoever sends one wait, not one for each message.
#[derive(Debug)]
pub(crate) struct FullSockets {
    patience: Duration,
    any: AtomicBool,
    sockets: Mutex<Vec<FullSocket>>,
}

#[derive(Debug)]
struct FullSocket {
    id: SocketId,
    /// When it took a packet last, or was found full.
    moved: Instant,
    /// How many batches of packets wait for room.
    waiting: usize,
    stuck: bool,
    /// Until when the packets of messages let control packets go first.
    control_until: Option<Instant>,
}

impl FullSockets {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, any: AtomicBool::new(false), sockets: Mutex::default() }
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// A batch of packets begins to wait for room.
    pub(crate) fn begin(&self, id: SocketId, now: Instant) {
        self.change(id, now, |socket| {
            if socket.waiting == 0 && !socket.stuck {
                socket.moved = now;
            }
            socket.waiting += 1;
        });
    }

    /// It waits no longer, because it has left, or because there was no room for too long.
    pub(crate) fn end(&self, id: SocketId, in_vain: bool) {
        self.look(id, |socket| {
            socket.waiting = socket.waiting.saturating_sub(1);
            socket.stuck |= in_vain;
        });
    }

    /// Control packets wait for room as well. They have one head start each time that the socket took
    /// something, or those who send messages would never find out that it takes nothing.
    pub(crate) fn let_control_go_first(&self, id: SocketId, now: Instant) {
        self.change(id, now, |socket| {
            socket.control_until = socket.control_until.or(now.checked_add(HEAD_START));
        });
    }

    /// The socket took packets of messages, or refused one for a reason that has nothing to do with room.
    pub(crate) fn moved(&self, id: SocketId) {
        self.look(id, |socket| {
            socket.moved = Instant::now();
            socket.stuck = false;
            socket.control_until = None;
        });
    }

    /// The socket is gone.
    pub(crate) fn forget(&self, id: SocketId) {
        self.look(id, |socket| {
            socket.stuck = false;
            socket.waiting = 0;
            socket.control_until = None;
        });
    }

    /// Whether packets should not even be tried, because others wait for room already.
    pub(crate) fn is_waited_for(&self, id: SocketId) -> bool {
        self.look(id, |socket| socket.waiting > 0).unwrap_or(false)
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_stuck(&self, id: SocketId) -> bool {
        self.patience.is_zero() || self.look(id, |socket| socket.stuck).unwrap_or(false)
    }

    /// Whether packets of messages should leave the next room to control packets.
    pub(crate) fn is_for_control(&self, id: SocketId, now: Instant) -> bool {
        let until = self.look(id, |socket| socket.control_until).flatten();
        until.is_some_and(|until| now < until)
    }

    /// Whether packets have waited too long: the socket took nothing in all the time.
    pub(crate) fn is_over(&self, id: SocketId, now: Instant) -> bool {
        let moved = self.look(id, |socket| socket.moved);
        // What is not known to be full is gone, which the next try shows.
        moved.is_some_and(|moved| now.saturating_duration_since(moved) >= self.patience)
    }

    /// Whether packets are given up of which none has left since then, though the socket takes others:
    /// there may never be room for them.
    pub(crate) fn is_passed_over(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.patience.saturating_mul(MAX_TURNS)
    }

    fn look<T>(&self, id: SocketId, look: impl FnOnce(&mut FullSocket) -> T) -> Option<T> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let mut sockets = self.sockets.lock();
        let answer = sockets.iter_mut().find(|socket| socket.id == id).map(look);
        let now = Instant::now();
        sockets.retain(|socket| {
            let is_for_control = socket.control_until.is_some_and(|until| now < until);
            socket.waiting > 0 || socket.stuck || is_for_control
        });
        self.any.store(!sockets.is_empty(), Relaxed);
        answer
    }

    fn change(&self, id: SocketId, now: Instant, change: impl FnOnce(&mut FullSocket)) {
        let mut sockets = self.sockets.lock();
        self.any.store(true, Relaxed);
        if let Some(socket) = sockets.iter_mut().find(|socket| socket.id == id) {
            return change(socket);
        }
        let mut socket =
            FullSocket { id, moved: now, waiting: 0, stuck: false, control_until: None };
        change(&mut socket);
        sockets.push(socket);
    }
}

/// When to try again to send packets that found no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    /// At the latest, though nobody says that there is room.
    pub(crate) until: Instant,
    /// Whether the kernel says when there is room.
    pub(crate) is_told: bool,
}

impl Pause {
    /// Behind others that wait.
    pub(crate) fn behind_others(now: Instant) -> Self {
        Self { until: now + SOCKET_PAUSE, is_told: true }
    }

    /// After this error.
    pub(crate) fn after(error: &SendError, now: Instant) -> Self {
        // The queue of a device that is full never says anything. And a socket says so only when half of
        // its buffer is free, which takes a slow link long: there may be room for a packet much earlier.
        let is_told = error.errno() != ENOBUFS;
        Self { until: now + if is_told { SOCKET_PAUSE } else { DEVICE_PAUSE }, is_told }
    }
}

/// How long a socket may take nothing before packets are given up, if nothing else is said: longer than
/// a packet of the greatest length that the kernel cuts (GSO) takes over a link of 5 Mbit/s.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);
/// How many times as long packets wait for their turn where others find room.
const MAX_TURNS: u32 = 10;
/// For how long messages let control packets go first, whose thread may be busy.
const HEAD_START: Duration = Duration::from_millis(10);
/// After how long a full socket is tried again although it does not call itself writable.
const SOCKET_PAUSE: Duration = Duration::from_millis(2);
/// How long a device whose queue is full is left alone.
const DEVICE_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: SocketId = SocketId(1);
    const OTHER: SocketId = SocketId(2);

    #[test]
    fn a_socket_that_took_nothing_is_stuck_until_it_takes_something() {
        let (sockets, now) = (FullSockets::new(PATIENCE), Instant::now());
        sockets.moved(FULL);
        assert!(!sockets.is_stuck(FULL));
        for socket in [FULL, OTHER] {
            sockets.begin(socket, now);
        }
        sockets.end(FULL, true);
        sockets.moved(OTHER);
        sockets.end(OTHER, false);
        assert!(sockets.is_stuck(FULL) && !sockets.is_stuck(OTHER));
        assert!(!sockets.is_waited_for(FULL), "nobody does");
        sockets.moved(FULL);
        assert!(!sockets.is_stuck(FULL));
        assert!(!sockets.any.load(Relaxed), "all is forgotten");
    }

    #[test]
    fn as_long_as_a_socket_takes_packets_nobody_has_waited_too_long() {
        let (sockets, start) = (FullSockets::new(PATIENCE), Instant::now());
        sockets.begin(FULL, start);
        assert!(!sockets.is_over(FULL, start + PATIENCE - Duration::from_micros(1)));
        assert!(sockets.is_over(FULL, start + PATIENCE));
        // Somebody else found room, a moment ago.
        sockets.moved(FULL);
        assert!(!sockets.is_over(FULL, start + PATIENCE));
        sockets.begin(FULL, start);
        sockets.end(FULL, false);
        assert!(sockets.is_waited_for(FULL), "one is left");
        sockets.forget(FULL);
        assert!(!sockets.is_over(FULL, start + 2 * PATIENCE) && !sockets.is_waited_for(FULL));
    }

    #[test]
    fn control_packets_go_first_but_not_for_ever() {
        let (sockets, now) = (FullSockets::new(PATIENCE), Instant::now());
        let late = now + HEAD_START;
        sockets.begin(FULL, now);
        sockets.let_control_go_first(FULL, now);
        assert!(sockets.is_for_control(FULL, now) && !sockets.is_for_control(OTHER, now));
        sockets.let_control_go_first(FULL, late);
        assert!(!sockets.is_for_control(FULL, late), "the socket took nothing since");
        sockets.moved(FULL);
        sockets.let_control_go_first(FULL, late);
        assert!(sockets.is_for_control(FULL, late));
        sockets.end(FULL, false);
        sockets.moved(FULL);
        assert!(!sockets.any.load(Relaxed), "all is forgotten");
    }

    #[test]
    fn a_socket_that_nobody_asks_for_again_is_forgotten_all_the_same() {
        let (sockets, now) = (FullSockets::new(PATIENCE), Instant::now());
        sockets.let_control_go_first(FULL, now.checked_sub(HEAD_START).unwrap());
        assert!(!sockets.is_stuck(OTHER));
        assert!(!sockets.any.load(Relaxed), "all is forgotten");
    }

    #[test]
    fn packets_are_not_passed_over_for_ever() {
        let (sockets, start) = (FullSockets::new(PATIENCE), Instant::now());
        assert!(!sockets.is_passed_over(start, start + 9 * PATIENCE));
        assert!(sockets.is_passed_over(start, start + 10 * PATIENCE));
        let for_ever = FullSockets::new(Duration::MAX);
        assert!(!for_ever.is_passed_over(start, start + 1000 * PATIENCE));
    }

    #[test]
    fn who_has_no_patience_does_not_wait_at_all() {
        assert!(FullSockets::new(Duration::ZERO).is_stuck(FULL));
    }

    #[test]
    fn what_happened_before_packets_wait_is_not_held_against_the_socket() {
        let (sockets, start) = (FullSockets::new(PATIENCE), Instant::now());
        sockets.let_control_go_first(FULL, start);
        let later = start + 2 * PATIENCE;
        sockets.begin(FULL, later);
        assert!(!sockets.is_over(FULL, later));
        assert!(sockets.is_over(FULL, later + PATIENCE));
    }
}
