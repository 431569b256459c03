//! Which packets are accepted for a link, and how a dynamic link finds its peer.
//!
//! A packet counts as the peer's if it comes from the peer's IP address, and if that is link-local,
//! from its zone. The peer of a dynamic link
//! may also appear at another address, the first time or because it moved. Its ping is not trusted:
//! the engine pings the address it came from, and only a pong from there, with the cookie of that
//! ping, makes it the address of the peer. So a packet with a forged source changes nothing, and
//! its answer is no longer than the packet itself. The ping that started the check is answered once
//! the check has succeeded.
//!
//! Without encryption, this cannot keep out a machine that the access list accepts and that answers
//! at its own address.

use std::net::SocketAddr;
use std::time::Instant;

use knet_wire::{HostId, LinkId, Ping};

use super::transmit::Packet;
use super::{DatagramMeta, Engine};
use crate::config::LinkPath;
use crate::event::{AddressEvent, DownReason, Event};
use crate::link::{LinkPeer, Move, same_machine};
use crate::rejection::RejectionReason;
use crate::stats::PacketKind;

/// Where a control packet that a link accepts came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Source {
    /// From the known address of the peer.
    Peer,
    /// From another address, which may be that of the peer of a dynamic link.
    Unverified,
}

impl Engine {
    /// Counts a rejected packet, and reports it unless such a packet was just reported.
    pub(super) fn reject(&mut self, now: Instant, source: SocketAddr, reason: RejectionReason) {
        let (drops, link) = match reason {
            RejectionReason::InvalidLink(_) => (&mut self.drops.invalid_link, None),
            RejectionReason::UnknownHost(_) => (&mut self.drops.unknown_host, None),
            RejectionReason::UnknownLink(..) => (&mut self.drops.unknown_link, None),
            RejectionReason::WrongSource(host, link) => {
                (&mut self.drops.wrong_source, link.map(|link| (host, link)))
            }
            RejectionReason::AccessList(host, link) => {
                (&mut self.drops.access_list, Some((host, link)))
            }
        };
        *drops += 1;
        if let Some(link) = link.and_then(|(host, link)| self.link(host, link).ok()) {
            link.counters.record_rejected();
        }
        if let Some(rejection) = self.rejections.report(now, source, reason) {
            self.events.push_back(Event::Rejected(rejection));
        }
        if let Some((host, link)) = reason.claim() {
            self.explain_by_stray(now, source, host, link);
        }
    }

    /// Lets the links whose peer should be at `source` state as their reason that another host, or
    /// the same host on another link, sends from there.
    fn explain_by_stray(
        &mut self,
        now: Instant,
        source: SocketAddr,
        claimed_host: HostId,
        claimed_link: Option<LinkId>,
    ) {
        if !self.rejections.may_search(now) {
            return;
        }
        let sockets = self.sockets.iter();
        let links = sockets.flat_map(|socket| self.addresses.links(socket, source.ip()));
        for (host, id) in links.collect::<Vec<_>>() {
            let other_link = claimed_link.filter(|&claimed| claimed != id);
            let reason = match other_link {
                _ if host != claimed_host => DownReason::WrongHost { host: claimed_host },
                Some(link) => DownReason::WrongLink { link },
                None => continue,
            };
            let Ok(link) = self.link_mut(host, id) else { continue };
            if link.peer.path().is_some_and(|path| path.remote == source) {
                link.stray_heard(now, reason);
            }
        }
    }

    /// Returns where a control packet came from, or `None` if its link rejects the source or does
    /// not exist, which is counted (CVE-2026-15812).
    pub(super) fn check_source(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        id: LinkId,
    ) -> Option<Source> {
        let source = meta.source;
        let Ok(link) = self.link(host, id) else {
            self.reject(now, source, RejectionReason::UnknownLink(host, id));
            return None;
        };
        if !link.admits(self.access_lists, source.ip()) {
            self.reject(now, source, RejectionReason::AccessList(host, id));
            return None;
        }
        let sender = match link.peer {
            LinkPeer::Static(path) => same_machine(path.remote, source).then_some(Source::Peer),
            LinkPeer::Loopback => None,
            LinkPeer::Dynamic(_) if link.peer.socket() != Some(meta.socket) => None,
            LinkPeer::Dynamic(_) => {
                let known = link.peer.path().is_some_and(|path| path.remote == source);
                Some(if known { Source::Peer } else { Source::Unverified })
            }
        };
        if sender.is_none() {
            self.reject(now, source, RejectionReason::WrongSource(host, Some(id)));
        }
        sender
    }

    /// Returns where the reply to a path MTU probe goes, if there is one: to the peer, or back to
    /// the source if the link is disabled and its peer unknown. A disabled link answers pings and
    /// probes like an enabled one (`docs/protocol.md`, "Source checks").
    pub(super) fn probe_reply_path(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        id: LinkId,
    ) -> Option<LinkPath> {
        let sender = self.check_source(now, meta, host, id)?;
        let link = self.link(host, id).ok()?;
        match sender {
            Source::Peer => link.peer.path(),
            Source::Unverified if !link.is_enabled() => {
                Some(LinkPath { socket: meta.socket, remote: meta.source })
            }
            Source::Unverified => {
                self.reject(now, meta.source, RejectionReason::WrongSource(host, Some(id)));
                None
            }
        }
    }

    /// Returns `true` if the reply to a path MTU probe comes from the known address and port of the
    /// peer, to which the probe went.
    pub(super) fn is_from_peer(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        link: LinkId,
    ) -> bool {
        let Some(sender) = self.check_source(now, meta, host, link) else { return false };
        let remote = self.link(host, link).ok().and_then(|link| link.peer.remote());
        let same_port = remote.is_some_and(|remote| remote.port() == meta.source.port());
        let is_peer = sender == Source::Peer && same_port;
        if !is_peer {
            self.reject(now, meta.source, RejectionReason::WrongSource(host, Some(link)));
        }
        is_peer
    }

    /// Handles a ping from an unknown address by pinging that address.
    pub(super) fn handle_unverified_ping(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        ping: Ping,
    ) {
        let (own, sequence) = (self.own, self.sequence.current());
        let Ok(link) = self.link_mut(host, ping.link) else { return };
        let path = LinkPath { socket: meta.socket, remote: meta.source };
        if !link.is_enabled() {
            // A disabled link answers, but does not look for its peer.
            link.counters.record_received(PacketKind::Ping, knet_wire::PING_LEN);
            let pong = Packet::Ping(ping.encode_pong(own));
            return self.answer(host, ping.link, (path, meta.local), PacketKind::Pong, pong);
        }
        link.unverified = Some((meta.source, ping));
        let question = self.ping_packet(now, host, ping.link, meta.source, sequence, true);
        self.answer(host, ping.link, (path, meta.local), PacketKind::Ping, question);
    }

    /// Handles a pong from an unknown address. If it answers a ping to that address, the peer is
    /// there.
    pub(super) fn handle_unverified_pong(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        pong: Ping,
    ) {
        let Some(sent) = self.verify_pong(host, &pong, Some(meta.source)) else { return };
        let Ok(link) = self.link_mut(host, pong.link) else { return };
        if !link.is_enabled() || !link.heartbeat.is_current(now, sent) {
            self.drops.unexpected += 1;
            return;
        }
        let asked = link.unverified.take_if(|(from, _)| *from == meta.source);
        let peer = link.peer;
        let before = link.learn(now, meta.source);
        let moved = link.peer;
        self.addresses.remove(host, pong.link, &peer);
        self.addresses.add(host, pong.link, &moved);
        let same_ip = before.is_none_or(|before| before.ip() == meta.source.ip());
        self.report_move(now, (host, pong.link), before, meta.source);
        self.refresh_routes(now, host);
        self.path_changed(now, host, pong.link, same_ip);
        self.count_pong(now, meta.local, host, (pong.link, sent));
        if let Some((_, ping)) = asked {
            self.handle_ping(now, meta.local, host, ping);
        }
    }

    /// Counts that the peer of a dynamic link was found elsewhere, and reports it unless a move of
    /// this link was just reported.
    fn report_move(
        &mut self,
        now: Instant,
        (host, id): (HostId, LinkId),
        from: Option<SocketAddr>,
        to: SocketAddr,
    ) {
        let Some(from) = from.filter(|&from| from != to) else { return };
        let Ok(link) = self.link_mut(host, id) else { return };
        link.counters.record_move();
        if let Some(Move { contested, suppressed }) = link.moves.add(now, from, to) {
            let event = AddressEvent { host, link: id, from, to, contested, suppressed };
            self.events.push_back(Event::Address(event));
        }
    }
}
