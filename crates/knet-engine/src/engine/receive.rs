//! What a received packet means.

use std::net::SocketAddr;
use std::time::Instant;

use knet_channel::Channel;
use knet_wire::{
    Body, DATA_HEADER_LEN, Data, DecodeError, Fragment, HostId, InvalidLinkId, LinkId, Packet,
    Ping, Pmtu,
};

use super::delivery::{DatagramMeta, Delivery, DeliveryToken, Received};
use super::source_check::Speaker;
use super::{Engine, transmit};
use crate::config::LinkPath;
use crate::host::{DropReason, Outcome, ReassembledMessage};
use crate::link::Pong;
use crate::rejection::RejectionReason;
use crate::stats::PacketKind;
use crate::timers::TimerKey;

impl Engine {
    /// Takes a datagram in clear. Afterwards drain [`Engine::poll_transmit`],
    /// [`Engine::poll_event`] and [`Engine::poll_routes`].
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
            Body::Data(data) => return self.data(now, meta, host, &data, datagram.len()),
            Body::Ping(ping) => match self.speaker(now, meta, host, ping.link) {
                Some(Speaker::Peer) => self.ping(now, host, ping),
                Some(Speaker::Newcomer) => self.ping_of_newcomer(now, meta, host, ping),
                None => {}
            },
            Body::Pong(pong) => match self.speaker(now, meta, host, pong.link) {
                Some(Speaker::Peer) => self.pong(now, host, pong),
                Some(Speaker::Newcomer) => self.pong_of_newcomer(now, meta, host, pong),
                None => {}
            },
            Body::PmtuProbe(probe) => {
                if let Some(path) = self.prober(now, meta, host, probe.link) {
                    self.pmtu_probe(host, path, probe, datagram.len());
                }
            }
            Body::PmtuReply(reply) => {
                if self.is_peer(now, meta, host, reply.link) {
                    if let Ok(link) = self.link(host, reply.link) {
                        link.counters.record_received(PacketKind::Pmtu, datagram.len());
                    }
                    self.probe_answered(now, host, reply);
                }
            }
        }
        Received::Consumed
    }

    /// Takes a datagram again that was a [`Received::Duplicate`], because the message that it is a copy of
    /// could not be delivered. It is not counted as received again, and as a duplicate only if it is
    /// one still.
    pub fn handle_duplicate(&mut self, now: Instant, datagram: &[u8]) -> Received {
        let Ok(Packet { source, body: Body::Data(data) }) = Packet::decode(datagram) else {
            return Received::Consumed;
        };
        let Some(entry) = self.hosts.get_mut(&source) else { return Received::Consumed };
        entry.stats.rx_duplicates = entry.stats.rx_duplicates.saturating_sub(1);
        self.drops.duplicate = self.drops.duplicate.saturating_sub(1);
        self.sequenced_data(now, source, &data)
    }

    /// Says that a message could not be delivered: a copy of it over another link gets a second
    /// chance (`spec/engine.md` 7.4).
    pub fn undelivered(&mut self, token: DeliveryToken) {
        if let Some(host) = self.hosts.get_mut(&token.host) {
            host.peer.window.unmark_delivered(token.sequence, token.generation);
        }
    }

    /// Takes back the buffer of a delivered message.
    pub fn recycle(&mut self, message: ReassembledMessage) {
        self.pool.recycle(message);
    }

    /// Answers a ping on its own link, to the address that is known for it.
    pub(super) fn ping(&mut self, now: Instant, host: HostId, ping: Ping) {
        let own = self.own;
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let mut heard = entry.link(ping.link).map(|link| link.heard).unwrap_or_default();
        let (sequence, reachable) = (ping.sequence, entry.reachable);
        entry.peer.ping(now, sequence, ping.timed, &mut heard, reachable, &mut self.pool);
        entry.count_given_up(&mut self.drops);
        let Some(link) = entry.link_mut(ping.link) else { return };
        link.heard = heard;
        link.counters.record_received(PacketKind::Ping, knet_wire::PING_LEN);
        let pong = transmit::Packet::Ping(ping.encode_pong(own));
        if let Some(path) = link.peer.path() {
            self.answer(host, ping.link, path, PacketKind::Pong, pong);
        }
    }

    /// Answers a path MTU probe: that it arrived is all the peer wants to know.
    fn pmtu_probe(&mut self, host: HostId, path: LinkPath, probe: Pmtu, length: usize) {
        let reply = transmit::Packet::PmtuReply(probe.encode_reply(self.own));
        let Ok(link) = self.link(host, probe.link) else { return };
        link.counters.record_received(PacketKind::Pmtu, length);
        self.answer(host, probe.link, path, PacketKind::Pmtu, reply);
    }

    /// Queues the answer to a packet of a link.
    pub(super) fn answer(
        &mut self,
        host: HostId,
        id: LinkId,
        path: LinkPath,
        kind: PacketKind,
        packet: transmit::Packet,
    ) {
        if self.transmits.len() >= MAX_QUEUED_TRANSMITS {
            return;
        }
        let Ok(link) = self.link(host, id) else { return };
        let answer = transmit::Transmit::new(host, id, link, path, kind, packet);
        self.transmits.push_back(answer);
    }

    fn pong(&mut self, now: Instant, host: HostId, pong: Ping) {
        let remote = self.link(host, pong.link).ok().and_then(|link| link.peer.remote());
        let Some(sent) = self.ping_of(host, &pong, remote) else { return };
        self.count_pong(now, host, &pong, sent);
    }

    /// When the ping of this pong left for this address, or `None` if none did.
    pub(super) fn ping_of(
        &mut self,
        host: HostId,
        pong: &Ping,
        remote: Option<SocketAddr>,
    ) -> Option<Instant> {
        let sent = remote.and_then(|to| self.cookies.verify(pong.cookie, host, pong.link, to));
        self.drops.forged_pong += u64::from(sent.is_none());
        sent
    }

    /// An authentic pong came from the peer whose ping had left at `sent`.
    pub(super) fn count_pong(&mut self, now: Instant, host: HostId, pong: &Ping, sent: Instant) {
        let Ok(link) = self.link_mut(host, pong.link) else { return };
        link.counters.record_received(PacketKind::Pong, knet_wire::PING_LEN);
        if !link.is_enabled() {
            return;
        }
        if link.heartbeat.pong_received(now, sent) == Pong::Enough {
            self.link_up(now, host, pong.link);
        }
        self.set_link_timer(now, host, pong.link);
    }

    /// The receive path of `spec/engine.md` 7.4 up to the filter.
    fn data(
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
        if !link.lets_in(self.access_lists, meta.source.ip()) {
            self.reject(now, meta.source, RejectionReason::AccessList(host, id));
            return Received::Consumed;
        }
        link.counters.record_received(PacketKind::Data, length);
        if !entry.reachable {
            // Data from a host that answered a ping already: it has found us before we have found
            // it, so the link works (`spec/engine.md` 7.5).
            let answered =
                entry.link(id).is_some_and(|l| l.is_enabled() && l.heartbeat.good_pongs() > 0);
            if !answered {
                self.drops.not_reachable += 1;
                return Received::Consumed;
            }
            self.link_up(now, host, id);
        }
        if data.header.compression != 0 {
            self.drops.compressed += 1;
            return Received::Consumed;
        }
        self.sequenced_data(now, host, data)
    }

    /// Sorts out duplicates and puts fragments together.
    fn sequenced_data(&mut self, now: Instant, host: HostId, data: &Data<'_>) -> Received {
        let Some(entry) = self.hosts.get_mut(&host) else { return Received::Consumed };
        let Ok(channel) = Channel::try_from(data.header.channel) else {
            self.drops.malformed += 1;
            return Received::Consumed;
        };
        let peer = &mut entry.peer;
        peer.sync.on_data();
        let sequence = data.header.sequence;
        let generation = peer.window.generation();
        if peer.window.check_delivered(sequence).is_seen() {
            entry.stats.rx_duplicates += 1;
            self.drops.duplicate += 1;
            return Received::Duplicate;
        }
        if peer.window.generation() != generation {
            peer.reassembler.clear(&mut self.pool);
            entry.count_given_up(&mut self.drops);
        }
        let peer = &mut entry.peer;
        let assembled = match data.header.fragment {
            Fragment::Whole => None,
            Fragment::Part(part) => {
                let outcome = peer.reassembler.add(
                    now,
                    &data.header,
                    part,
                    data.payload,
                    &mut peer.window,
                    &mut self.pool,
                );
                entry.count_given_up(&mut self.drops);
                if !entry.reassembly.is_set() {
                    let next = entry.peer.reassembler.next_timeout();
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
        let window = &mut entry.peer.window;
        window.mark_delivered(sequence);
        let token = DeliveryToken { host, sequence, generation: window.generation() };
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

/// Answers are dropped beyond so many packets that the driver has not sent yet, so that a flood of
/// pings or probes costs no memory. Own pings are not: there is at most one a link.
const MAX_QUEUED_TRANSMITS: usize = 4096;
