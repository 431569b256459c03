//! Received packets: what they mean and which messages they deliver.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use knet_channel::Channel;
use knet_wire::{
    Body, DATA_HEADER_LEN, Data, DecodeError, Fragment, HostId, InvalidLinkId, LinkId, Packet,
    Ping, Pmtu,
};

use super::delivery::{DatagramMeta, Delivery, DeliveryToken, Received};
use super::source_check::Source;
use super::{Engine, transmit};
use crate::config::LinkPath;
use crate::host::{DropReason, Outcome, ReassembledMessage};
use crate::link::{Heard, Pong};
use crate::rejection::RejectionReason;
use crate::stats::PacketKind;
use crate::timers::TimerKey;

impl Engine {
    /// Handles a datagram, which must not be encrypted. Afterwards, drain the outputs.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        datagram: &[u8],
    ) -> Received {
        let packet = match Packet::decode(datagram) {
            Ok(packet) => packet,
            Err(DecodeError::Link(InvalidLinkId(link))) => {
                self.reject(now, meta.source, RejectionReason::InvalidLink(link));
                return Received::Consumed;
            }
            Err(_) => {
                self.drops.malformed += 1;
                return Received::Consumed;
            }
        };
        let host = packet.source;
        if !self.hosts.contains_key(&host) {
            self.reject(now, meta.source, RejectionReason::UnknownHost(host));
            return Received::Consumed;
        }
        match packet.body {
            Body::Data(data) => return self.handle_data(now, meta, host, &data, datagram.len()),
            Body::Ping(ping) => match self.check_source(now, meta, host, ping.link) {
                Some(Source::Peer) => {
                    if let Ok(link) = self.link_mut(host, ping.link) {
                        link.peer_heard(now, meta.source);
                    }
                    self.handle_ping(now, meta.local, host, ping);
                }
                Some(Source::Unverified) => self.handle_unverified_ping(now, meta, host, ping),
                None => {}
            },
            Body::Pong(pong) => match self.check_source(now, meta, host, pong.link) {
                Some(Source::Peer) => self.handle_pong(now, meta.local, host, pong),
                Some(Source::Unverified) => self.handle_unverified_pong(now, meta, host, pong),
                None => {}
            },
            Body::PmtuProbe(probe) => {
                if let Some(path) = self.probe_reply_path(now, meta, host, probe.link) {
                    self.handle_pmtu_probe(host, (path, meta.local), probe, datagram.len());
                }
            }
            Body::PmtuReply(reply) => {
                if self.is_from_peer(now, meta, host, reply.link) {
                    if let Ok(link) = self.link(host, reply.link) {
                        link.counters.record_received(PacketKind::Pmtu, datagram.len());
                    }
                    self.handle_pmtu_reply(now, host, reply);
                }
            }
        }
        Received::Consumed
    }

    /// Handles a datagram that was a [`Received::Duplicate`] once more, because the message it
    /// duplicates could not be delivered ([`Engine::undelivered`]).
    ///
    /// The datagram is not counted as received again, and as a duplicate only if it still is one.
    pub fn handle_duplicate(&mut self, now: Instant, datagram: &[u8]) -> Received {
        let Ok(Packet { source, body: Body::Data(data) }) = Packet::decode(datagram) else {
            return Received::Consumed;
        };
        // The host may have been removed and added again meanwhile. Then it is not reachable yet.
        let entry = self.hosts.get_mut(&source).filter(|entry| entry.reachable);
        let Some(entry) = entry else { return Received::Consumed };
        entry.stats.rx_duplicates = entry.stats.rx_duplicates.saturating_sub(1);
        self.drops.duplicate = self.drops.duplicate.saturating_sub(1);
        self.accept_data(now, source, None, &data)
    }

    /// Reports that a message could not be delivered: a duplicate of it that arrives over another
    /// link is delivered instead.
    pub fn undelivered(&mut self, token: DeliveryToken) {
        let host = self.hosts.get_mut(&token.host);
        if let Some(host) = host.filter(|host| host.incarnation == token.incarnation) {
            host.receive.window.unmark_delivered(token.sequence, token.generation);
        }
    }

    /// Returns the buffer of a delivered message to the engine, which uses it for a later message.
    pub fn recycle(&mut self, message: ReassembledMessage) {
        self.pool.recycle(message);
    }

    /// Answers a ping on its link, at the known address of the peer, from the address that the ping
    /// was sent to, unless it may be of a process that has not been recognized yet
    /// (`docs/protocol.md`, "Restart detection").
    pub(super) fn handle_ping(
        &mut self,
        now: Instant,
        local: Option<IpAddr>,
        host: HostId,
        ping: Ping,
    ) {
        let own = self.own;
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let mut heard = entry.link(ping.link).map(|link| link.heard).unwrap_or_default();
        let (sequence, timed, reachable) = (ping.sequence, ping.timed, entry.reachable);
        let pool = &mut self.pool;
        let answers = entry.receive.handle_ping(now, sequence, timed, &mut heard, reachable, pool);
        entry.count_incomplete(&mut self.drops);
        let Some(link) = entry.link_mut(ping.link) else { return };
        link.heard = heard;
        link.own_address.ping_received(local);
        link.counters.record_received(PacketKind::Ping, knet_wire::PING_LEN);
        if !answers {
            return;
        }
        let pong = transmit::Packet::Ping(ping.encode_pong(own));
        if let Some(path) = link.peer.path() {
            self.answer(host, ping.link, (path, local), PacketKind::Pong, pong);
        }
    }

    /// Answers a path MTU probe. The reply shows the peer that the probe arrived.
    fn handle_pmtu_probe(
        &mut self,
        host: HostId,
        path: (LinkPath, Option<IpAddr>),
        probe: Pmtu,
        length: usize,
    ) {
        let reply = transmit::Packet::PmtuReply(probe.encode_reply(self.own));
        let Ok(link) = self.link(host, probe.link) else { return };
        link.counters.record_received(PacketKind::Pmtu, length);
        self.answer(host, probe.link, path, PacketKind::Pmtu, reply);
    }

    /// Queues the answer to a packet of a link, unless too many packets are queued. `path` is where
    /// it goes, and the own address that it leaves from.
    pub(super) fn answer(
        &mut self,
        host: HostId,
        id: LinkId,
        path: (LinkPath, Option<IpAddr>),
        kind: PacketKind,
        packet: transmit::Packet,
    ) {
        if self.transmits.len() >= MAX_QUEUED_TRANSMITS {
            self.drops.unanswered += 1;
            return;
        }
        let Ok(link) = self.link(host, id) else { return };
        let answer = transmit::Transmit::new(host, id, link, path, kind, packet);
        self.transmits.push_back(answer);
    }

    fn handle_pong(&mut self, now: Instant, local: Option<IpAddr>, host: HostId, pong: Ping) {
        let remote = self.link(host, pong.link).ok().and_then(|link| link.peer.remote());
        let Some(sent) = self.verify_pong(host, &pong, remote) else { return };
        self.count_pong(now, local, host, (pong.link, sent));
    }

    /// Returns when the ping that this pong answers left for this address, or `None` if no such
    /// ping left, which is counted.
    pub(super) fn verify_pong(
        &mut self,
        host: HostId,
        pong: &Ping,
        remote: Option<SocketAddr>,
    ) -> Option<Instant> {
        let sent = remote.and_then(|to| self.cookies.verify(pong.cookie, host, pong.link, to));
        self.drops.forged_pong += u64::from(sent.is_none());
        sent
    }

    /// Counts an authentic pong from the peer, which arrived at the address `local` and whose ping
    /// left at `sent`.
    pub(super) fn count_pong(
        &mut self,
        now: Instant,
        local: Option<IpAddr>,
        host: HostId,
        (id, sent): (LinkId, Instant),
    ) {
        let Ok(link) = self.link_mut(host, id) else { return };
        link.counters.record_received(PacketKind::Pong, knet_wire::PING_LEN);
        if !link.is_enabled() {
            return;
        }
        let counted = link.pong_received(now, sent);
        let moved = counted != Pong::Stale && link.own_address.pong_received(local);
        if counted == Pong::Enough {
            self.link_up(now, host, id);
        }
        if moved {
            self.refresh_routes(now, host);
        }
        self.set_link_timer(now, host, id);
    }

    /// Handles a data packet up to the filter (`docs/protocol.md`, "Receiving").
    fn handle_data(
        &mut self,
        now: Instant,
        meta: DatagramMeta,
        host: HostId,
        data: &Data<'_>,
        length: usize,
    ) -> Received {
        let Some(entry) = self.hosts.get_mut(&host) else { return Received::Consumed };
        let Some(id) = entry.link_of_data(meta.socket, meta.source) else {
            self.reject(now, meta.source, RejectionReason::WrongSource(host, None));
            return Received::Consumed;
        };
        let Some(link) = entry.link_mut(id) else { return Received::Consumed };
        if !link.admits(self.access_lists, meta.source.ip()) {
            self.reject(now, meta.source, RejectionReason::AccessList(host, id));
            return Received::Consumed;
        }
        link.counters.record_received(PacketKind::Data, length);
        if !entry.reachable {
            // The host sends data because it has found us. If it also answered a ping, the link
            // works in both directions (`docs/protocol.md`, "Early data").
            let answered =
                entry.link(id).is_some_and(|l| l.is_enabled() && l.heartbeat.good_pongs() > 0);
            if !answered {
                self.drops.not_reachable += 1;
                return Received::Consumed;
            }
            self.link_up(now, host, id);
            // A link whose path is too narrow for data stays down.
            if !self.hosts.get(&host).is_some_and(|entry| entry.reachable) {
                self.drops.not_reachable += 1;
                return Received::Consumed;
            }
        }
        if data.header.compression != 0 {
            self.drops.compressed += 1;
            return Received::Consumed;
        }
        let heard = self.link(host, id).ok().map(|link| link.heard);
        self.accept_data(now, host, heard, data)
    }

    /// Recognizes duplicates and assembles fragments. `heard` is what the link of the packet has
    /// heard, unless that was considered before.
    fn accept_data(
        &mut self,
        now: Instant,
        host: HostId,
        heard: Option<Heard>,
        data: &Data<'_>,
    ) -> Received {
        let Some(entry) = self.hosts.get_mut(&host) else { return Received::Consumed };
        let Ok(channel) = Channel::try_from(data.header.channel) else {
            self.drops.malformed += 1;
            return Received::Consumed;
        };
        let receive = &mut entry.receive;
        let sequence = data.header.sequence;
        if heard.is_some_and(|heard| !receive.handle_data(now, sequence, heard)) {
            self.drops.late += 1;
            return Received::Consumed;
        }
        if receive.window.check_delivered(sequence).is_seen() {
            entry.stats.rx_duplicates += 1;
            self.drops.duplicate += 1;
            return Received::Duplicate;
        }
        let assembled = match data.header.fragment {
            Fragment::Whole => None,
            Fragment::Part(part) => {
                let outcome = receive.reassembler.add(
                    now,
                    &data.header,
                    part,
                    data.payload,
                    &mut receive.window,
                    &mut self.pool,
                );
                entry.count_incomplete(&mut self.drops);
                if !entry.reassembly.is_set() {
                    let next = entry.receive.reassembler.next_timeout();
                    self.timers.set(TimerKey::Reassembly(host), &mut entry.reassembly, next);
                }
                match outcome {
                    Outcome::Complete(message) => Some(message),
                    Outcome::Incomplete => return Received::Consumed,
                    Outcome::Dropped(DropReason::AlreadyDone | DropReason::Duplicate) => {
                        entry.stats.rx_duplicates += 1;
                        self.drops.duplicate += 1;
                        return Received::Duplicate;
                    }
                    Outcome::Dropped(_) => {
                        self.drops.bad_fragment += 1;
                        return Received::Consumed;
                    }
                }
            }
        };
        entry.stats.rx_messages += 1;
        let window = &mut entry.receive.window;
        window.mark_delivered(sequence);
        let generation = window.generation();
        let token = DeliveryToken { host, incarnation: entry.incarnation, sequence, generation };
        let broadcast = data.header.broadcast;
        let delivery = Delivery { source: host, channel, broadcast, token };
        match assembled {
            None => {
                let range = DATA_HEADER_LEN..DATA_HEADER_LEN + data.payload.len();
                Received::Message(delivery, range)
            }
            Some(message) => Received::Reassembled(delivery, message),
        }
    }
}

/// The most packets that may be queued before answers are dropped, so that a flood of pings or
/// probes costs no memory. Our own pings are never dropped: each link has one at most.
const MAX_QUEUED_TRANSMITS: usize = 4096;
