//! One link to a host: who is at its other end, its settings and its state, with a machine for each
//! question that is asked of it: is it alive, how long a packet does it take, whom does it let in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use knet_wire::{CryptoSizes, MAX_MESSAGE, MTU_HEADER_LEN, Ping, path_overhead};

use crate::config::{PacketTag, PingTimers, SocketId};
use crate::event::{DownReason, LinkState};
use crate::stats::{LinkCounters, LinkStats};
use crate::timers::Deadline;

mod acl;
pub(crate) use acl::AccessList;
pub use acl::{AclAction, AclEntry, AclEntryError, AclError};
mod black_hole;
mod heard;
pub(crate) use heard::Heard;
mod heartbeat;
use heartbeat::Heartbeat;
pub(crate) use heartbeat::Pong;
mod history;
use history::History;
pub use history::LinkChange;
mod path_mtu;
pub(crate) use path_mtu::{Conditions, PathMtu};
mod remote;
pub use remote::{DynamicPeer, LinkKind, LinkPeer};

/// A configured link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: LinkPeer,
    pub(crate) priority: u8,
    pub(crate) tag: PacketTag,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) counters: Arc<LinkCounters>,
    pub(crate) deadline: Deadline,
    /// What its pings said of the peer's numbers.
    pub(crate) heard: Heard,
    pub(crate) mtu: PathMtu,
    /// From where the peer of a dynamic link may speak.
    pub(crate) acl: AccessList,
    /// The last ping from where the peer is not known to be, to be answered when it turns out to be
    /// the peer's.
    pub(crate) newcomer: Option<(SocketAddr, Ping)>,
    /// Why the last ping could not leave, if it could not.
    refused: Option<i32>,
    /// Since when pings cannot leave, as long as no pong comes.
    refused_since: Option<Instant>,
    enabled: bool,
    state: LinkState,
    /// When it came up or went down, or was made.
    since: Instant,
    history: History,
}

impl Link {
    pub(crate) fn new(now: Instant, peer: LinkPeer) -> Self {
        Self {
            peer,
            priority: 0,
            tag: PacketTag::default(),
            heartbeat: Heartbeat::new(now),
            counters: Arc::default(),
            deadline: Deadline::default(),
            heard: Heard::default(),
            mtu: PathMtu::default(),
            acl: AccessList::default(),
            newcomer: None,
            refused: None,
            refused_since: None,
            enabled: false,
            state: LinkState::Down(DownReason::Disabled),
            since: now,
            history: History::default(),
        }
    }

    /// Starts watching the link. It comes up when enough pongs came.
    pub(crate) fn enable(&mut self, now: Instant) {
        self.enabled = true;
        let known = self.peer.is_known();
        let waits = if known { DownReason::NoPongYet } else { DownReason::NoPeerYet };
        self.set_state(now, LinkState::Down(waits));
        self.heartbeat.start(now);
    }

    /// Stops watching the link; whether it was up. What was known of the peer is forgotten, so that
    /// a link enabled later does not come up on stale knowledge.
    pub(crate) fn disable(&mut self, now: Instant) -> bool {
        self.enabled = false;
        self.take_down(now, DownReason::Disabled)
    }

    /// Calls the link up; whether it was down.
    pub(crate) fn bring_up(&mut self, now: Instant) -> bool {
        let was_down = !self.state.is_up();
        if was_down {
            self.set_state(now, LinkState::Up);
            self.history.add(now, self.state);
            self.counters.record_up();
        }
        was_down
    }

    /// Calls the link down for this reason; whether it was up.
    pub(crate) fn take_down(&mut self, now: Instant, reason: DownReason) -> bool {
        let was_up = self.state.is_up();
        self.set_state(now, LinkState::Down(reason));
        if was_up {
            self.history.add(now, self.state);
            self.counters.record_down();
        }
        self.heartbeat.restart(now);
        self.peer.lose();
        was_up
    }

    /// A ping is about to leave.
    pub(crate) fn ping_sent(&mut self, now: Instant) {
        self.refused = None;
        self.heartbeat.ping_sent(now);
    }

    /// The last ping did not leave, for this reason. A link that is down is so for that reason now. Of
    /// one that is up, whether that goes on for as long as a ping is waited for to be answered: then
    /// it was repeated, and what was missing is not back.
    pub(crate) fn ping_refused(&mut self, now: Instant, errno: i32) -> bool {
        self.refused = Some(errno);
        let answered = self.heartbeat.last_pong();
        let since = self.refused_since.filter(|&since| answered.is_none_or(|pong| pong < since));
        let since = *self.refused_since.insert(since.unwrap_or(now));
        let state = LinkState::Down(DownReason::TransportError { errno });
        if self.enabled && !self.state.is_up() && self.state != state {
            self.set_state(now, state);
        }
        self.state.is_up() && since + self.heartbeat.answer_time() <= now
    }

    /// Why it is given up after so much silence: because pings could not even leave, or else because
    /// of the silence itself.
    pub(crate) fn why_silent(&self, silence: Duration) -> DownReason {
        match self.refused {
            Some(errno) => DownReason::TransportError { errno },
            None => DownReason::PongTimeout { silence },
        }
    }

    /// The peer of a dynamic link is at this address now, and watched there. Gives back where it was
    /// known to be last.
    pub(crate) fn learn(&mut self, now: Instant, address: SocketAddr) -> Option<SocketAddr> {
        let known = self.peer.path().is_some();
        if !known {
            self.heartbeat.start(now);
        } else if !self.state.is_up() {
            self.heartbeat.restart(now);
        }
        if self.state == LinkState::Down(DownReason::NoPeerYet) {
            self.set_state(now, LinkState::Down(DownReason::NoPongYet));
        }
        self.peer.learn(address)
    }

    fn set_state(&mut self, now: Instant, state: LinkState) {
        // A link that is down is refused again and again: it is down since the first time.
        if self.state.is_up() != state.is_up() {
            self.since = now;
        }
        self.state = state;
    }

    /// Starts counting anew. What the link is and has measured stays: its state, its mean latency.
    pub(crate) fn clear_stats(&mut self) {
        self.counters.clear();
        self.history.clear();
        self.heartbeat.forget_latency_range();
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether data may be sent on it.
    pub(crate) fn is_usable(&self) -> bool {
        self.enabled && self.state.is_up()
    }

    /// Whether a packet from there is let in, as far as the access list is concerned.
    pub(crate) fn lets_in(&self, lists_on: bool, source: IpAddr) -> bool {
        self.peer.kind() != LinkKind::Dynamic || !lists_on || self.acl.accepts(source)
    }

    /// The most payload bytes a packet may carry: by the MTU set by hand, else by the one that was
    /// found, else by the smallest that the address family promises (`spec/wire.md` 9).
    pub(crate) fn data_mtu(&self, manual: Option<u16>, crypto: CryptoSizes) -> usize {
        if self.peer == LinkPeer::Loopback {
            return MAX_MESSAGE;
        }
        let version = self.peer.ip_version();
        let found = self.mtu.verified().unwrap_or_else(|| version.min_onwire());
        let onwire = manual.map_or(found, usize::from);
        crypto.app_mtu(onwire.saturating_sub(path_overhead(version))).unwrap_or(1)
    }

    pub(crate) fn status(
        &self,
        now: Instant,
        manual_mtu: Option<u16>,
        crypto: CryptoSizes,
    ) -> LinkStatus {
        let headers = path_overhead(self.peer.ip_version()) + MTU_HEADER_LEN;
        let latency = self.heartbeat.latency();
        let age = |at: Instant| now.saturating_duration_since(at);
        LinkStatus {
            enabled: self.enabled,
            state: self.state,
            state_age: age(self.since),
            kind: self.peer.kind(),
            socket: self.peer.socket(),
            remote: self.peer.remote(),
            peer_known: self.peer.is_known(),
            priority: self.priority,
            ping_timers: self.heartbeat.timers(),
            pong_count: self.heartbeat.pong_count(),
            good_pongs: self.heartbeat.good_pongs(),
            last_pong: self.heartbeat.last_pong().map(age),
            last_answered_ping: self.heartbeat.newest_answered().map(age),
            latency: latency.mean(),
            latency_min: latency.min(),
            latency_max: latency.max(),
            latency_samples: latency.samples(),
            data_mtu: self.data_mtu(manual_mtu, crypto),
            overhead: headers + crypto.salt + crypto.hash,
            path_mtu: self.mtu.verified(),
            searching_mtu: self.mtu.is_searching(),
            stats: self.counters.read(),
            history: self.history.read(now),
        }
    }
}

/// A link's settings and state at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// Whether it is administratively enabled.
    pub enabled: bool,
    /// Whether it carries data, and if not why.
    pub state: LinkState,
    /// For how long it has been up, or down for whatever reasons.
    pub state_age: Duration,
    /// How the peer's address is known.
    pub kind: LinkKind,
    /// The driver's socket that sends and receives for it; `None` for a loopback link.
    pub socket: Option<SocketId>,
    /// The peer's address: the given one, or where the peer of a dynamic link was found last;
    /// `None` before it was.
    pub remote: Option<SocketAddr>,
    /// Whether it is known where the peer is. Always so with a given address; with a dynamic link
    /// from when the peer was found until the link goes down (libknet's `dynconnected`).
    pub peer_known: bool,
    /// The higher wins under the passive policy. 0 to 255, default 0.
    pub priority: u8,
    /// How it is watched.
    pub ping_timers: PingTimers,
    /// How many good pongs bring it up. 1 to 255.
    pub pong_count: u8,
    /// How many good pongs came since it went down, at most `pong_count`.
    pub good_pongs: u8,
    /// The age of the last pong; `None` if none came since the link went down.
    pub last_pong: Option<Duration>,
    /// How long ago the newest of all pings that were answered had left; `None` if none was. What
    /// was sent over the link before then has come to its end or is lost, unless the network
    /// reorders.
    pub last_answered_ping: Option<Duration>,
    /// The mean round trip; `None` before the first pong.
    pub latency: Option<Duration>,
    /// The least the mean has been since the statistics were cleared; `None` before the next pong.
    pub latency_min: Option<Duration>,
    /// The most the mean has been since then.
    pub latency_max: Option<Duration>,
    /// Over how many round trips the mean is taken, at most the timers' precision.
    pub latency_samples: u32,
    /// The most payload bytes that one packet on it carries.
    pub data_mtu: usize,
    /// How many bytes of a whole IP packet are not for payload: the headers of IP, UDP and knet, as MTU
    /// arithmetic charges them, and what encryption adds but for padding (`spec/wire.md` 9).
    pub overhead: usize,
    /// The longest IP packet that was seen to arrive, in bytes; `None` until one was looked for.
    pub path_mtu: Option<usize>,
    /// Whether the path MTU is being searched.
    pub searching_mtu: bool,
    /// Its counters.
    pub stats: LinkStats,
    /// The last 16 times that it came up and the last 16 that it went down, oldest first.
    pub history: Vec<LinkChange>,
}
