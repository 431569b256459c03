//! One link to a host: its peer, settings and state, its heartbeat, its path MTU and its access
//! list.

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
mod conditions;
pub(crate) use conditions::Conditions;
mod heard;
pub(crate) use heard::Heard;
mod heartbeat;
use heartbeat::Heartbeat;
pub(crate) use heartbeat::Pong;
mod history;
use history::History;
pub use history::LinkChange;
mod narrow;
mod own_address;
use own_address::OwnAddress;
mod moves;
pub(crate) use moves::Move;
use moves::Moves;
mod path_mtu;
pub(crate) use path_mtu::PathMtu;
mod probe;
mod reason;
mod remote;
mod report_check;
pub(crate) use remote::same_machine;
pub use remote::{DynamicPeer, LinkKind, LinkPeer};
pub(crate) use report_check::CheckStep;
use report_check::ReportCheck;

/// A configured link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: LinkPeer,
    pub(crate) priority: u8,
    pub(crate) tag: PacketTag,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) check: ReportCheck,
    pub(crate) counters: Arc<LinkCounters>,
    pub(crate) deadline: Deadline,
    /// The numbers in the pings of its peer.
    pub(crate) heard: Heard,
    pub(crate) mtu: PathMtu,
    /// Our own address, if the socket is bound to all of them.
    pub(crate) own_address: OwnAddress,
    /// From where the peer of a dynamic link may send.
    pub(crate) acl: AccessList,
    /// How the peer of a dynamic link moved.
    pub(crate) moves: Moves,
    /// The last ping from an unknown address, to be answered once that address is known to be the
    /// peer's.
    pub(crate) unverified: Option<(SocketAddr, Ping)>,
    /// The error with which the kernel refused the last ping, if it did.
    refused: Option<i32>,
    /// When the kernel first refused a ping since the last pong.
    refused_since: Option<Instant>,
    /// The error with which the kernel refuses to receive from its socket, if it does.
    receive_error: Option<i32>,
    enabled: bool,
    state: LinkState,
    /// When there was evidence of the state, or of the reason of being down, for the last time.
    confirmed: Instant,
    /// When it came up or went down, or was created.
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
            check: ReportCheck::default(),
            counters: Arc::default(),
            deadline: Deadline::default(),
            heard: Heard::default(),
            mtu: PathMtu::default(),
            own_address: OwnAddress::default(),
            acl: AccessList::default(),
            moves: Moves::default(),
            unverified: None,
            refused: None,
            refused_since: None,
            receive_error: None,
            enabled: false,
            state: LinkState::Down(DownReason::Disabled),
            confirmed: now,
            since: now,
            history: History::default(),
        }
    }

    /// Starts the heartbeat. The link comes up after enough pongs.
    pub(crate) fn enable(&mut self, now: Instant) {
        self.enabled = true;
        self.set_state(now, LinkState::Down(self.waiting_reason()));
        self.heartbeat.start(now);
    }

    /// Stops the heartbeat. Returns `true` if the link was up. The pongs so far are forgotten, so
    /// that a link that is enabled later does not come up on stale ones.
    pub(crate) fn disable(&mut self, now: Instant) -> bool {
        self.disable_because(now, DownReason::Disabled)
    }

    /// Does the same as [`Link::disable`], for another reason.
    pub(crate) fn disable_because(&mut self, now: Instant, reason: DownReason) -> bool {
        self.enabled = false;
        self.take_down(now, reason)
    }

    /// Brings the link up. Returns `true` if it was down. A link whose path is too narrow for data
    /// stays down, with that as its reason.
    pub(crate) fn bring_up(&mut self, now: Instant) -> bool {
        if self.mtu.is_too_narrow() {
            self.set_state(now, LinkState::Down(self.too_narrow_reason()));
            return false;
        }
        let was_down = !self.state.is_up();
        if was_down {
            self.set_state(now, LinkState::Up);
            self.history.add(now, self.state);
            self.counters.record_up();
        }
        was_down
    }

    /// Takes a link that is up down if its path is too narrow for data, and brings it up if it no
    /// longer is and the link was `held` down for nothing else ([`Link::is_held_down`]). Returns the
    /// new state if it changed.
    ///
    /// A link that is down for its path keeps its pongs and its peer, and the discovery goes on.
    pub(crate) fn judge_path(&mut self, now: Instant, held: bool) -> Option<LinkState> {
        if self.mtu.is_too_narrow() && self.state.is_up() {
            self.set_state(now, LinkState::Down(self.too_narrow_reason()));
            self.history.add(now, self.state);
            self.counters.record_down();
            self.check.stop();
            return Some(self.state);
        }
        (held && self.bring_up(now)).then_some(self.state)
    }

    /// Returns `true` if it is down because its path is too narrow for data, and for nothing else.
    pub(crate) fn is_held_down(&self) -> bool {
        self.enabled && !self.state.is_up() && self.heartbeat.is_good() && self.mtu.is_too_narrow()
    }

    fn too_narrow_reason(&self) -> DownReason {
        DownReason::PathTooNarrow { least: self.peer.ip_version().min_onwire() }
    }

    /// Takes the link down for this reason. Returns `true` if it was up.
    pub(crate) fn take_down(&mut self, now: Instant, reason: DownReason) -> bool {
        let was_up = self.state.is_up();
        self.set_state(now, LinkState::Down(reason));
        if was_up {
            self.history.add(now, self.state);
            self.counters.record_down();
        }
        self.heartbeat.restart(now);
        self.check.stop();
        self.mtu.stop();
        self.peer.lose();
        self.own_address.link_down();
        was_up
    }

    /// Handles a report that the peer cannot be reached, which anybody may have sent. A link that
    /// is up is checked. One that is down has a new reason, unless its peer has answered.
    pub(crate) fn unreachable_reported(&mut self, now: Instant, errno: i32) {
        if self.state.is_up() {
            self.check.report(now, errno);
        } else if self.heartbeat.good_pongs() == 0 {
            self.set_state(now, LinkState::Down(DownReason::TransportError { errno }));
        }
    }

    /// Returns what the check after such a report requires now.
    pub(crate) fn poll_check(&mut self, now: Instant) -> CheckStep {
        self.check.poll(now, self.heartbeat.check_spacing())
    }

    /// Notes that the driver did not run for `duration` until now. Answers may wait in the socket.
    pub(crate) fn add_stall(&mut self, now: Instant, duration: Duration) {
        self.heartbeat.add_stall(now, duration);
        self.check.start_over(now);
    }

    /// Returns the time of the next ping, of the next step of a check, or of the pong timeout,
    /// whichever comes first.
    pub(crate) fn next_heartbeat(&self, now: Instant) -> Option<Instant> {
        let (ping, expiry) = (self.heartbeat.next_ping(now), self.heartbeat.next_expiry());
        ping.into_iter().chain(expiry).chain(self.check.next_timeout(now)).min()
    }

    /// Notes that a ping is about to leave. A forced one does not replace the next timed one:
    /// otherwise no timed ping would leave while every interval has a forced one.
    pub(crate) fn ping_sent(&mut self, now: Instant, timed: bool) {
        let refused = self.refused.take().is_some();
        self.drop_stale_reason(now, refused);
        if timed {
            self.heartbeat.ping_sent(now);
        }
    }

    /// Notes that the kernel refused a ping. That becomes the reason of a link that is down.
    ///
    /// Returns `true` if the link is up and its pings have been refused for as long as an answer
    /// may take: then the ping was repeated, and what was missing is not back.
    pub(crate) fn ping_refused(&mut self, now: Instant, errno: i32) -> bool {
        self.refused = Some(errno);
        let answered = self.heartbeat.last_pong();
        let since = self.refused_since.filter(|&since| answered.is_none_or(|pong| pong < since));
        let since = *self.refused_since.insert(since.unwrap_or(now));
        let state = LinkState::Down(self.refusal_reason(errno));
        if self.enabled && !self.state.is_up() {
            self.set_state(now, state);
        }
        self.state.is_up() && since + self.heartbeat.answer_time() <= now
    }

    /// Notes that the kernel refuses to receive from the link's socket, or no longer does. That becomes
    /// the reason of a link that is down.
    pub(crate) fn set_receive_error(&mut self, now: Instant, errno: Option<i32>) {
        let before = std::mem::replace(&mut self.receive_error, errno);
        if before != errno && self.enabled && !self.state.is_up() {
            self.set_state(now, LinkState::Down(self.waiting_reason()));
        }
    }

    /// Returns why the link goes down after a silence: the error that kept pongs from being received, or
    /// pings from leaving, or else the silence itself.
    pub(crate) fn silence_reason(&self, silence: Duration) -> DownReason {
        match (self.receive_error, self.own_address.lost(), self.refused) {
            (Some(errno), ..) => DownReason::ReceiveError { errno },
            (None, Some(address), _) => DownReason::OwnAddressLost { address },
            (None, None, Some(errno)) => DownReason::TransportError { errno },
            (None, None, None) => DownReason::PongTimeout { silence },
        }
    }

    /// Returns why the link is down if the kernel refuses its pings.
    pub(crate) fn refusal_reason(&self, errno: i32) -> DownReason {
        match self.own_address.lost() {
            Some(address) => DownReason::OwnAddressLost { address },
            None => DownReason::TransportError { errno },
        }
    }

    /// Returns why the link is down while it waits for its first pongs.
    fn waiting_reason(&self) -> DownReason {
        match self.receive_error {
            Some(errno) => DownReason::ReceiveError { errno },
            None if self.peer.is_known() => DownReason::NoPongYet,
            None => DownReason::NoPeerYet,
        }
    }

    /// Returns why the link goes down after a check without an answer: the error that kept its
    /// pings from leaving, or else what was reported.
    pub(crate) fn unreachable_reason(&self, reported: i32) -> DownReason {
        DownReason::TransportError { errno: self.refused.unwrap_or(reported) }
    }

    /// Sets the address of a dynamic link's peer, and starts the heartbeat there. Returns the
    /// address before.
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
        // The reason of a link that is down may change; it is down since the first one.
        if self.state.is_up() != state.is_up() {
            self.since = now;
        }
        self.state = state;
        self.confirmed = now;
    }

    /// Resets the counters and the history. The state and the mean latency stay.
    pub(crate) fn clear_stats(&mut self) {
        self.counters.clear();
        self.history.clear();
        self.heartbeat.forget_latency_range();
    }

    /// Returns `true` if the link is administratively enabled.
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Returns `true` if messages may be sent on it.
    pub(crate) fn is_usable(&self) -> bool {
        self.enabled && self.state.is_up()
    }

    /// Returns `true` if the access list accepts packets from this address, or does not apply.
    pub(crate) fn admits(&self, lists_on: bool, source: IpAddr) -> bool {
        self.peer.kind() != LinkKind::Dynamic || !lists_on || self.acl.accepts(source)
    }

    /// Returns how many bytes of payload a packet can carry: by the manual MTU, else by the
    /// one that was found, else by the smallest that the IP version guarantees.
    pub(crate) fn data_mtu(&self, manual: Option<u16>, crypto: CryptoSizes) -> usize {
        if self.peer == LinkPeer::Loopback {
            return MAX_MESSAGE;
        }
        let version = self.peer.ip_version();
        let found = self.mtu.verified().unwrap_or_else(|| version.min_onwire());
        let onwire = manual.map_or(found, usize::from);
        crypto.app_mtu(onwire.saturating_sub(path_overhead(version))).unwrap_or(1)
    }

    /// Returns the settings, state and counters.
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
            own_address: self.own_address.get(),
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

/// A link's settings, state and counters at one moment. Returned by
/// [`Engine::link_status`](crate::Engine::link_status).
///
/// # Examples
///
/// ```
/// # use std::time::Instant;
/// # use knet_engine::{Engine, EngineConfig, LinkPath, SocketId};
/// # use knet_wire::{HostId, LinkId};
/// # let (now, peer, link) = (Instant::now(), HostId::new(2), LinkId::new(0)?);
/// # let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
/// # let mut engine = Engine::new(now, &config);
/// # engine.add_host(peer)?;
/// let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
/// engine.add_link(now, peer, link, path)?;
/// engine.set_link_enabled(now, peer, link, true)?;
/// let status = engine.link_status(now, peer, link)?;
/// assert_eq!(status.state.to_string(), "down: not enough pongs yet");
/// assert_eq!((status.good_pongs, status.pong_count), (0, 5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LinkStatus {
    /// `true` if it is administratively enabled.
    pub enabled: bool,
    /// Whether it carries messages, and if not, why.
    pub state: LinkState,
    /// For how long it has been up, or down for any reason.
    pub state_age: Duration,
    /// How the peer's address is known.
    pub kind: LinkKind,
    /// The driver's socket that sends and receives for it; `None` for a loopback link.
    pub socket: Option<SocketId>,
    /// The peer's address: the given one, or the one that was learned last; `None` before that.
    pub remote: Option<SocketAddr>,
    /// The own address that the peer speaks to, from which packets leave; `None` while it is not
    /// known, and if the socket is bound to one address.
    pub own_address: Option<IpAddr>,
    /// `true` if the peer is believed to be at `remote`. With a given address always; on a dynamic
    /// link from when the peer was found until the link goes down (libknet's `dynconnected`).
    pub peer_known: bool,
    /// The highest wins under [`Policy::Passive`](crate::Policy::Passive). 0 to 255, default 0.
    pub priority: u8,
    /// The timers of its heartbeat.
    pub ping_timers: PingTimers,
    /// How many pongs in time bring it up, 1 to 255.
    pub pong_count: u8,
    /// How many pongs came in time since it went down, at most `pong_count`.
    pub good_pongs: u8,
    /// The age of the last pong; `None` if none came since the link went down.
    pub last_pong: Option<Duration>,
    /// How long ago the newest ping that was answered left; `None` if none was answered. Packets
    /// sent before it have arrived or are lost, unless the network reorders.
    pub last_answered_ping: Option<Duration>,
    /// The mean round trip; `None` before the first pong.
    pub latency: Option<Duration>,
    /// The lowest mean since the statistics were cleared; `None` before the next pong.
    pub latency_min: Option<Duration>,
    /// The highest mean since then.
    pub latency_max: Option<Duration>,
    /// How many round trips the mean covers, at most the precision of the timers.
    pub latency_samples: u32,
    /// How many bytes of payload a packet on it can carry.
    pub data_mtu: usize,
    /// How many bytes of a whole IP packet are not payload: the headers of IP, UDP and knet, and
    /// what encryption adds apart from padding (`docs/wire-format.md`, "Length arithmetic").
    pub overhead: usize,
    /// The longest IP packet known to arrive, in bytes; `None` before a search found one, or if
    /// the path does not carry the least size.
    pub path_mtu: Option<usize>,
    /// `true` while a search for the path MTU runs.
    pub searching_mtu: bool,
    /// Its counters.
    pub stats: LinkStats,
    /// The last 16 times that it came up and the last 16 that it went down, oldest first.
    pub history: Vec<LinkChange>,
}
