//! Backpressure: what becomes of packets that find no room in their socket.
//!
//! Each socket is in one of three states, which apply to data packets. An open socket costs one atomic
//! load.
//!
//! ```text
//!                  a packet finds no room            takes nothing for the send timeout
//!         ┌──────┐ ───────────────────────▶ ┌──────┐ ─────────────────────────────────▶ ┌───────┐
//!    ●───▶│ Open │                          │ Full │◀──┐ takes a packet:                │ Stuck │
//!         └──────┘ ◀─────────────────────── └──────┘ ──┘ the timeout starts again       └───────┘
//!            ▲       no packet is blocked       ▲                                         │   │
//!            │                                  │   takes a packet, others are blocked    │   │
//!            │                                  └─────────────────────────────────────────┘   │
//!            │                                      takes a packet, none is blocked           │
//!            └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | state | a packet that arrives now | a packet that is blocked |
//! |---|---|---|
//! | Open | is sent | (there is none) |
//! | Full | is blocked behind the others | is retried, and expires once others overtook it for [`MAX_TURNS`] timeouts |
//! | Stuck | is blocked if others are, or else tried, and dropped if there is no room | is retried, and expires if there is no room |
//!
//! So a link that takes nothing costs a sender one timeout, not one per message. A caller of `send` gives up after
//! one timeout in any case. Control packets go first:
//! while some of them are blocked, data leaves the next room to them for [`CONTROL_HEAD_START`], once per
//! time that the socket takes data. They expire after [`CONTROL_TIMEOUT`], whatever the state.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use knet_engine::SocketId;
use parking_lot::Mutex;

/// The default of [`HandleBuilder::send_timeout`](crate::HandleBuilder): longer than the longest packet
/// run that the kernel cuts (GSO) takes over a link of 5 Mbit/s.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_millis(200);
/// How many send timeouts a packet waits for its turn while the socket takes others.
const MAX_TURNS: u32 = 50;
/// How long data lets blocked control packets go first. The thread that retries those may be busy.
const CONTROL_HEAD_START: Duration = Duration::from_millis(10);
/// How long a control packet waits for room: its content is soon outdated.
pub(crate) const CONTROL_TIMEOUT: Duration = Duration::from_millis(50);
/// When a full socket is retried although it does not report room. It reports room only once half of its
/// buffer is free, which takes a slow link long: there may be room for a packet much earlier.
const SOCKET_PAUSE: Duration = Duration::from_millis(2);
/// How long a flush of the datafds waits for room in full links.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// When a device is retried whose queue is full, or has all that may wait in it. It never reports room.
const DEVICE_PAUSE: Duration = Duration::from_millis(1);

/// The sockets of a handle that are not open, for all its threads.
#[derive(Debug)]
pub(crate) struct Backpressure {
    send_timeout: Duration,
    any: AtomicBool,
    sockets: Mutex<Vec<Socket>>,
}

#[derive(Debug)]
struct Socket {
    id: SocketId,
    state: State,
    /// How many batches of packets are blocked.
    blocked: usize,
    /// Until when data lets control packets go first.
    control_until: Option<Instant>,
}

/// See the module's diagram. `moved` is when the socket last took a packet, or was found full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Open,
    Full { moved: Instant },
    Stuck { moved: Instant },
}

/// What to do with a batch of data packets that has not been tried yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    Send,
    /// It is blocked behind others, and counts as blocked from now on.
    Blocked,
}

/// What to do with a batch of data packets that is blocked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    Send,
    /// Control packets go first.
    Later(RetryAt),
    /// The packets are to be dropped, and do not count as blocked any longer.
    Expired,
}

/// What has no room for a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoRoom {
    /// The buffer of the socket.
    Socket,
    /// The queue of the device.
    Device,
    /// What may wait for the device at once ([`crate::io::queue_limit`]). The queue is known to shrink if
    /// `drains`.
    Queue { drains: bool },
}

/// When blocked packets are retried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RetryAt {
    /// At the latest.
    pub(crate) latest: Instant,
    /// Also as soon as the socket reports room.
    pub(crate) when_writable: bool,
}

impl RetryAt {
    /// Schedules a retry.
    pub(crate) fn after(no_room: NoRoom, now: Instant) -> Self {
        let pause = if no_room == NoRoom::Socket { SOCKET_PAUSE } else { DEVICE_PAUSE };
        Self { latest: now + pause, when_writable: no_room == NoRoom::Socket }
    }

    /// Schedules the first try of packets behind others that are blocked.
    pub(crate) fn behind_others(now: Instant) -> Self {
        Self { latest: now + SOCKET_PAUSE, when_writable: true }
    }
}

impl Backpressure {
    pub(crate) fn new(send_timeout: Duration) -> Self {
        Self { send_timeout, any: AtomicBool::new(false), sockets: Mutex::default() }
    }

    /// Returns how long a socket may take nothing before it is stuck.
    pub(crate) fn send_timeout(&self) -> Duration {
        self.send_timeout
    }

    /// Decides about a new batch of data packets.
    pub(crate) fn admit(&self, id: SocketId) -> Admission {
        let behind = self.find(id, |socket| {
            socket.blocked += usize::from(socket.blocked > 0);
            socket.blocked > 0
        });
        match behind {
            Some(true) => Admission::Blocked,
            Some(false) | None => Admission::Send,
        }
    }

    /// Records that packets of a new batch found no room. Returns when to retry them; `None` if the
    /// socket is stuck and they are to be dropped.
    pub(crate) fn block(&self, id: SocketId, no_room: NoRoom, now: Instant) -> Option<RetryAt> {
        let is_stuck = |socket: &mut Socket| matches!(socket.state, State::Stuck { .. });
        if self.send_timeout.is_zero() || self.find(id, is_stuck) == Some(true) {
            return None;
        }
        self.begin(id, now);
        Some(RetryAt::after(no_room, now))
    }

    /// Decides whether blocked packets are retried now. `since` is when one of their batch last left, or
    /// when it was blocked.
    pub(crate) fn turn(&self, id: SocketId, since: Instant, now: Instant) -> Turn {
        let control_until = self.find(id, |socket| socket.control_until).flatten();
        if control_until.is_none_or(|until| until <= now) {
            return Turn::Send;
        }
        if self.is_overtaken(since, now) {
            self.end(id);
            return Turn::Expired;
        }
        // By the clock alone: the poller would report room at once.
        Turn::Later(RetryAt { when_writable: false, ..RetryAt::behind_others(now) })
    }

    /// Records that blocked packets found no room again. Returns when to retry them; `None` if they
    /// have expired and are to be dropped.
    pub(crate) fn block_again(
        &self,
        id: SocketId,
        no_room: NoRoom,
        since: Instant,
        now: Instant,
    ) -> Option<RetryAt> {
        let is_stuck = self.find(id, |socket| {
            let (State::Full { moved } | State::Stuck { moved }) = socket.state else {
                return false;
            };
            // A device that takes what is queued is not stuck, though it leaves no room yet.
            let moved = if no_room == (NoRoom::Queue { drains: true }) { now } else { moved };
            let is_stuck = now.saturating_duration_since(moved) >= self.send_timeout;
            match &mut socket.state {
                State::Full { moved: then } if !is_stuck => *then = moved,
                state => *state = State::Stuck { moved },
            }
            is_stuck
        });
        // A socket that is not known here is closed, which the next retry shows.
        if is_stuck == Some(true) || self.is_overtaken(since, now) {
            self.end(id);
            return None;
        }
        Some(RetryAt::after(no_room, now))
    }

    /// Records that a blocked batch has left, or is dropped for another reason.
    pub(crate) fn end(&self, id: SocketId) {
        self.find(id, |socket| {
            socket.blocked = socket.blocked.saturating_sub(1);
            if let (0, State::Full { .. }) = (socket.blocked, socket.state) {
                socket.state = State::Open;
            }
        });
    }

    /// Records that the socket took data packets, or refused one for a reason other than room.
    pub(crate) fn record_progress(&self, id: SocketId) {
        self.find(id, |socket| {
            let moved = Instant::now();
            socket.state = if socket.blocked > 0 { State::Full { moved } } else { State::Open };
            socket.control_until = None;
        });
    }

    /// Lets control packets that are blocked go first. They have one head start per time that the socket
    /// takes data, or data could never find out that it is stuck.
    pub(crate) fn let_control_go_first(&self, id: SocketId, now: Instant) {
        self.insert(id, |socket| {
            socket.control_until = socket.control_until.or(now.checked_add(CONTROL_HEAD_START));
        });
    }

    /// Forgets a socket that is closed.
    pub(crate) fn forget(&self, id: SocketId) {
        self.find(id, |socket| {
            *socket = Socket { id, state: State::Open, blocked: 0, control_until: None };
        });
    }

    fn begin(&self, id: SocketId, now: Instant) {
        self.insert(id, |socket| {
            if socket.state == State::Open {
                socket.state = State::Full { moved: now };
            }
            socket.blocked += 1;
        });
    }

    /// Returns `true` if the socket may have taken others for so long that it never takes these.
    fn is_overtaken(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.send_timeout.saturating_mul(MAX_TURNS)
    }

    fn find<T>(&self, id: SocketId, use_socket: impl FnOnce(&mut Socket) -> T) -> Option<T> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let mut sockets = self.sockets.lock();
        let answer = sockets.iter_mut().find(|socket| socket.id == id).map(use_socket);
        let now = Instant::now();
        sockets.retain(|socket| {
            socket.state != State::Open || socket.control_until.is_some_and(|until| now < until)
        });
        self.any.store(!sockets.is_empty(), Relaxed);
        answer
    }

    fn insert(&self, id: SocketId, use_socket: impl FnOnce(&mut Socket)) {
        let mut sockets = self.sockets.lock();
        self.any.store(true, Relaxed);
        if let Some(socket) = sockets.iter_mut().find(|socket| socket.id == id) {
            return use_socket(socket);
        }
        let mut socket = Socket { id, state: State::Open, blocked: 0, control_until: None };
        use_socket(&mut socket);
        sockets.push(socket);
    }
}

#[cfg(test)]
impl Backpressure {
    /// Makes packets find a socket full, until [`Backpressure::make_room`].
    pub(crate) fn fill(&self, id: SocketId, now: Instant) {
        self.begin(id, now);
    }

    pub(crate) fn make_room(&self, id: SocketId) {
        self.end(id);
        self.record_progress(id);
    }

    pub(crate) fn has_blocked(&self, id: SocketId) -> bool {
        self.find(id, |socket| socket.blocked > 0).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
