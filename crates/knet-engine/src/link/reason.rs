//! Why a link is down: a reason is replaced when later evidence contradicts it
//! (`docs/protocol.md`, "Link states").

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Link, Pong};
use crate::event::{DownReason, LinkState};

impl Link {
    /// Notes that a packet of the peer was accepted. If it comes from the very address that pings go
    /// to, a process of the peer is there.
    pub(crate) fn peer_heard(&mut self, now: Instant, source: SocketAddr) {
        // Without the IPv6 scope, which only one of the two may have.
        let is_there = self
            .peer
            .remote()
            .is_some_and(|remote| (remote.ip(), remote.port()) == (source.ip(), source.port()));
        if let LinkState::Down(reason) = self.state {
            // What the kernel refuses to send is not contradicted by what arrives.
            let denied = denies_packets(reason) || is_address_lost(reason);
            if is_there && self.refused.is_none() && denied {
                self.set_state(now, LinkState::Down(DownReason::NoPongYet));
            }
        }
    }

    /// Handles an authentic pong whose ping left at `sent`. Unless it is an old one, packets pass in
    /// both directions.
    pub(crate) fn pong_received(&mut self, now: Instant, sent: Instant) -> Pong {
        let pong = self.heartbeat.pong_received(now, sent);
        if pong != Pong::Stale {
            self.check.pong(now);
        }
        if let (LinkState::Down(reason), true) = (self.state, pong != Pong::Stale) {
            let is_silence = matches!(reason, DownReason::PongTimeout { .. });
            if denies_packets(reason) || is_address_lost(reason) || is_silence {
                self.set_state(now, LinkState::Down(DownReason::NoPongYet));
            }
        }
        pong
    }

    /// Notes why a packet from the address of the peer was not accepted. That becomes the reason of a
    /// link that is down, unless the kernel refuses to send its pings.
    pub(crate) fn stray_heard(&mut self, now: Instant, reason: DownReason) {
        if self.enabled && !self.state.is_up() && self.refused.is_none() {
            self.set_state(now, LinkState::Down(reason));
        }
    }

    /// Drops a reason that has not been confirmed for a while, although pings left. `refused` says
    /// whether the kernel refused the last of them.
    pub(super) fn drop_stale_reason(&mut self, now: Instant, refused: bool) {
        let LinkState::Down(reason) = self.state else { return };
        let fresh = UNCONFIRMED.saturating_add(self.heartbeat.timers().interval.saturating_mul(2));
        let age = now.saturating_duration_since(self.confirmed);
        if !refused && denies_packets(reason) && age > fresh {
            self.set_state(now, LinkState::Down(DownReason::NoPongYet));
        }
    }
}

/// Returns `true` if a packet of the peer contradicts this reason.
fn denies_packets(reason: DownReason) -> bool {
    matches!(
        reason,
        DownReason::TransportError { .. }
            | DownReason::WrongHost { .. }
            | DownReason::WrongLink { .. }
    )
}

/// Returns `true` if the peer sends to an address that this machine no longer has. That holds until the peer is
/// heard: no ping leaves from there that could confirm it.
fn is_address_lost(reason: DownReason) -> bool {
    matches!(reason, DownReason::OwnAddressLost { .. })
}

/// How long a reason holds without being confirmed, besides two pings. Routers report few errors a
/// second, and the kernel reports an unknown neighbour only after it has asked for it for 3 s.
const UNCONFIRMED: Duration = Duration::from_secs(4);
