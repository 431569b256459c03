//! Who may speak for a link, and how a dynamic link finds its peer.
//!
//! A packet is taken as the peer's if it comes from the peer's IP address. On a dynamic link the
//! peer may also turn up elsewhere, the first time or because it moved. Its ping is then not
//! believed but asked back: a ping of ours goes to where it claims to be, and only a pong from
//! there, with the cookie of that ping, makes it the peer's address. So a packet with a forged
//! source changes nothing, and brings about no more bytes than it had itself. The ping that started
//! it is answered then too, so that nothing is lost by asking.
//!
//! What this cannot keep off, without encryption, is a machine that the access list accepts and that
//! answers at its own address: it may say that it is the peer.

use std::net::SocketAddr;
use std::time::Instant;

use knet_wire::{HostId, LinkId, Ping};

use super::transmit::Packet;
use super::{DatagramMeta, Engine};
use crate::config::LinkPath;
use crate::event::Event;
use crate::link::LinkPeer;
use crate::rejection::RejectionReason;
use crate::stats::PacketKind;

/// Who sent a control packet that a link accepts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Speaker {
    /// The peer, from where it is known to be.
    Peer,
    /// Somebody elsewhere, who may be the peer of a dynamic link.
    Newcomer,
}

impl Engine {
    /// Counts a packet that is not let in, and tells of it unless that was done a moment ago.
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
    }

    /// Who sent a control packet, if the link that it names may be spoken for from there. Spoofed
    /// and unconfigured links are counted (CVE-2026-15812).
    pub(super) fn speaker(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        id: LinkId,
    ) -> Option<Speaker> {
        let source = meta.source;
        let Ok(link) = self.link(host, id) else {
            self.reject(now, source, RejectionReason::UnknownLink(host, id));
            return None;
        };
        if !link.lets_in(self.access_lists, source.ip()) {
            self.reject(now, source, RejectionReason::AccessList(host, id));
            return None;
        }
        let speaker = match link.peer {
            LinkPeer::Static(path) => (path.remote.ip() == source.ip()).then_some(Speaker::Peer),
            LinkPeer::Loopback => None,
            LinkPeer::Dynamic(_) if link.peer.socket() != Some(meta.socket) => None,
            LinkPeer::Dynamic(_) => {
                let known = link.peer.path().is_some_and(|path| path.remote == source);
                Some(if known { Speaker::Peer } else { Speaker::Newcomer })
            }
        };
        if speaker.is_none() {
            self.reject(now, source, RejectionReason::WrongSource(host, Some(id)));
        }
        speaker
    }

    /// Where the answer to a path MTU probe goes, if it gets one: to the peer, or back from where it
    /// came if the link is disabled and does not know where the peer is. A configured link answers
    /// pings and probes alike (`spec/engine.md` 7.3).
    pub(super) fn prober(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        id: LinkId,
    ) -> Option<LinkPath> {
        let speaker = self.speaker(now, meta, host, id)?;
        let link = self.link(host, id).ok()?;
        match speaker {
            Speaker::Peer => link.peer.path(),
            Speaker::Newcomer if !link.is_enabled() => {
                Some(LinkPath { socket: meta.socket, remote: meta.source })
            }
            Speaker::Newcomer => {
                self.reject(now, meta.source, RejectionReason::WrongSource(host, Some(id)));
                None
            }
        }
    }

    /// Whether the answer to a path MTU probe comes from the peer of the link that it names.
    pub(super) fn is_peer(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        link: LinkId,
    ) -> bool {
        let speaker = self.speaker(now, meta, host, link);
        if speaker == Some(Speaker::Newcomer) {
            self.reject(now, meta.source, RejectionReason::WrongSource(host, Some(link)));
        }
        speaker == Some(Speaker::Peer)
    }

    /// Asks a newcomer back whether it is where its ping says.
    pub(super) fn ping_of_newcomer(
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
            // A configured link answers, but looks for nobody.
            link.counters.record_received(PacketKind::Ping, knet_wire::PING_LEN);
            let pong = Packet::Ping(ping.encode_pong(own));
            return self.answer(host, ping.link, path, PacketKind::Pong, pong);
        }
        link.newcomer = Some((meta.source, ping));
        let question = self.ping_packet(now, host, ping.link, meta.source, sequence, true);
        self.answer(host, ping.link, path, PacketKind::Ping, question);
    }

    /// A newcomer answers: the peer is there if it was asked there.
    pub(super) fn pong_of_newcomer(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        pong: Ping,
    ) {
        let Some(sent) = self.ping_of(host, &pong, Some(meta.source)) else { return };
        let Ok(link) = self.link_mut(host, pong.link) else { return };
        if !link.is_enabled() || !link.heartbeat.is_current(now, sent) {
            self.drops.unexpected += 1;
            return;
        }
        let asked = link.newcomer.take_if(|(from, _)| *from == meta.source);
        let before = link.learn(now, meta.source);
        let same_ip = before.is_none_or(|before| before.ip() == meta.source.ip());
        self.refresh_routes(now, host);
        self.path_changed(now, host, pong.link, same_ip);
        self.count_pong(now, host, &pong, sent);
        if let Some((_, ping)) = asked {
            self.ping(now, host, ping);
        }
    }
}
