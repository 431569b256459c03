//! Watching the links: pings, timeouts, up and down, and what follows for the routes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId, Ping, SequenceNumber};

use super::Engine;
use super::transmit::{Packet, Transmit};
use crate::config::SocketId;
use crate::event::{DownReason, Event, HostEvent, LinkEvent, LinkState};
use crate::host::Host;
use crate::link::Link;
use crate::send::{HostRoute, LinkRoute};
use crate::stats::PacketKind;
use crate::timers::TimerKey;

impl Engine {
    /// Does what is due: pings, links that were silent too long, messages that will never be
    /// complete. Call it when the time of [`Engine::poll_timeout`] has come; earlier does nothing.
    ///
    /// A call that comes much later means that this process was stopped or could not run. No link
    /// goes down for the silence of that time: what was said is still waiting to be received.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late = self.timers.next().map(|due| now.saturating_duration_since(due));
        if let Some(late) = late.filter(|&late| late >= LATE) {
            for link in self.hosts.values_mut().flat_map(Host::links_mut) {
                link.heartbeat.was_deaf(now, late);
            }
        }
        while let Some(key) = self.timers.due(now) {
            match key {
                TimerKey::Link(host, link) => self.watch_link(now, host, link),
                TimerKey::Reassembly(host) => self.expire_fragments(now, host),
            }
        }
    }

    /// A packet that left through this socket could not be delivered, says the kernel or a router
    /// (`spec/engine.md` 14.2). Links to that address go down now instead of at their timeout.
    pub fn handle_transport_error(
        &mut self,
        now: Instant,
        socket: SocketId,
        destination: SocketAddr,
        errno: i32,
    ) {
        let reason = DownReason::TransportError { errno };
        let mut hit = Vec::new();
        for (&host, entry) in &self.hosts {
            for (id, link) in entry.links().filter(|(_, link)| link.is_enabled()) {
                let Some(path) = link.peer.path() else { continue };
                // Not the whole address: the kernel may leave out an IPv6 scope.
                if path.socket == socket
                    && path.remote.ip() == destination.ip()
                    && path.remote.port() == destination.port()
                {
                    hit.push((host, id));
                }
            }
        }
        // One after the other, so that a host is not called lost before its last link is.
        for (host, id) in hit {
            if self.link_mut(host, id).is_ok_and(|link| link.take_down(now, reason)) {
                self.announce_down(now, host, id, reason);
                self.watch_link(now, host, id);
            }
        }
    }

    /// The kernel did not let a ping leave ([`Transmit::is_ping`]), for this reason. That alone takes
    /// no link down: what is missing, such as a route, may be back before the next pong is. If the
    /// repeated ping is refused too, the link goes down now, provided that another link to the host is
    /// up. The last one is given as much time as the pong timeout says: giving it up would help nobody,
    /// and it would have to earn its way up again.
    ///
    /// In any case it is the reason of a link that is down, or goes down for want of pongs.
    pub fn handle_ping_refused(&mut self, now: Instant, host: HostId, id: LinkId, errno: i32) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let another = entry.links().any(|(other, link)| other != id && link.is_usable());
        let Some(link) = entry.link_mut(id) else { return };
        let reason = DownReason::TransportError { errno };
        if link.ping_refused(now, errno) && another && link.take_down(now, reason) {
            self.announce_down(now, host, id, reason);
            self.watch_link(now, host, id);
        }
    }

    /// Sends a ping on every enabled link out of turn, with the number of the message that is about
    /// to be sent (`spec/engine.md` 6 step 9): peers that get none of our data follow our numbers.
    pub fn force_pings(&mut self, now: Instant) {
        let links: Vec<_> = self
            .hosts
            .iter()
            .flat_map(|(&host, entry)| entry.links().map(move |(id, link)| (host, id, link)))
            .filter(|(_, _, link)| link.is_enabled())
            .map(|(host, id, _)| (host, id))
            .collect();
        // One number for all of them, whatever other threads send meanwhile: a peer takes a second
        // number without data in between as a sign that it missed everything (`spec/engine.md` 10).
        let sequence = self.sequence.current();
        for (host, link) in links {
            self.queue_ping(now, host, link, sequence, false);
            self.watch_link(now, host, link);
        }
    }

    /// Sends a ping or a probe if it is time, gives the link up if it was silent too long, and sets
    /// the timer for the next of these.
    pub(super) fn watch_link(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Ok(link) = self.link_mut(host, id) else { return };
        if !link.is_enabled() {
            return self.timers_off(host, id);
        }
        let expired = link.heartbeat.expired(now);
        let ping_due = link.heartbeat.next_ping(now).is_some_and(|ping| ping <= now);
        if let Some(silence) = expired {
            let reason = link.why_silent(silence);
            if link.take_down(now, reason) {
                self.announce_down(now, host, id, reason);
            }
        }
        if ping_due {
            let sequence = self.sequence.current();
            self.queue_ping(now, host, id, sequence, true);
        }
        self.probe_mtu(now, host, id);
        self.set_link_timer(now, host, id);
    }

    /// Sets a link's timer to its next ping, its next probe or the end of its patience. Nothing is
    /// sent to a peer that is nowhere.
    pub(super) fn set_link_timer(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Some(link) = self.hosts.get_mut(&host).and_then(|entry| entry.link_mut(id)) else {
            return;
        };
        let (ping, expiry) = (link.heartbeat.next_ping(now), link.heartbeat.next_expiry());
        let next = ping.into_iter().chain(expiry).chain(link.mtu.next_timeout(now)).min();
        let next = next.filter(|_| link.peer.path().is_some());
        self.timers.set(TimerKey::Link(host, id), &mut link.deadline, next);
    }

    pub(super) fn timers_off(&mut self, host: HostId, id: LinkId) {
        if let Some(link) = self.hosts.get_mut(&host).and_then(|entry| entry.link_mut(id)) {
            self.timers.set(TimerKey::Link(host, id), &mut link.deadline, None);
        }
    }

    fn queue_ping(
        &mut self,
        now: Instant,
        host: HostId,
        id: LinkId,
        sequence: SequenceNumber,
        timed: bool,
    ) {
        let Ok(link) = self.link_mut(host, id) else { return };
        let Some(path) = link.peer.path() else { return };
        link.ping_sent(now);
        let packet = self.ping_packet(now, host, id, path.remote, sequence, timed);
        let Ok(link) = self.link(host, id) else { return };
        let ping = Transmit::new(host, id, link, path, PacketKind::Ping, packet);
        self.transmits.push_back(ping);
    }

    /// A ping whose pong shows that it arrived at this address.
    pub(super) fn ping_packet(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
        sequence: SequenceNumber,
        timed: bool,
    ) -> Packet {
        let cookie = self.cookies.bake(now, host, link, remote);
        Packet::Ping(Ping { link, cookie, sequence, timed }.encode_ping(self.own))
    }

    /// Brings a link up that has earned it.
    pub(super) fn link_up(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Ok(link) = self.link_mut(host, id) else { return };
        if link.bring_up(now) {
            self.announce(now, host, id, LinkState::Up);
            self.start_or_stop_discovery(now, host, id);
        }
    }

    pub(super) fn announce_down(
        &mut self,
        now: Instant,
        host: HostId,
        link: LinkId,
        reason: DownReason,
    ) {
        self.announce(now, host, link, LinkState::Down(reason));
        if let Ok(link) = self.link_mut(host, link) {
            link.mtu.stop();
        }
    }

    /// Tells that a link came up or went down, and what follows from that.
    fn announce(&mut self, now: Instant, host: HostId, link: LinkId, state: LinkState) {
        self.events.push_back(Event::Link(LinkEvent { host, link, state }));
        self.reroute(now, host, Some((link, state)));
    }

    /// Chooses the links that data to a host takes when something other than their state changed.
    pub(super) fn refresh_routes(&mut self, now: Instant, host: HostId) {
        self.reroute(now, host, None);
    }

    /// Chooses the links that data to a host takes, and tells if it became reachable or was lost
    /// (`spec/engine.md` 13), or if its packets carry more or less now.
    fn reroute(&mut self, now: Instant, host: HostId, cause: Option<(LinkId, LinkState)>) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let route = |(id, link): (LinkId, &Link)| LinkRoute {
            link: id,
            path: link.peer.path(),
            tag: link.tag,
            data_mtu: link.data_mtu(self.manual_mtu, self.crypto),
            counters: link.counters.clone(),
        };
        let links: Vec<_> = entry.active_links().into_iter().map(route).collect();
        let reachable = !links.is_empty();
        let changed = std::mem::replace(&mut entry.reachable, reachable) != reachable;
        if changed && !reachable {
            entry.peer.lost(now);
        }
        let mtu_before = self.routes.get(host).map(HostRoute::data_mtu);
        if reachable || changed {
            self.routes.set(host, entry.policy, links);
        }
        if changed {
            let stats = &mut entry.stats;
            *(if reachable { &mut stats.up_count } else { &mut stats.down_count }) += 1;
            self.events.push_back(Event::Host(HostEvent { host, reachable, cause }));
        }
        let mtu = self.routes.get(host).map(HostRoute::data_mtu);
        if mtu != mtu_before {
            self.tell_mtu(host, mtu);
        }
    }

    fn expire_fragments(&mut self, now: Instant, host: HostId) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        entry.peer.reassembler.handle_timeout(now, &mut self.pool);
        entry.count_given_up(&mut self.drops);
        let next = entry.peer.reassembler.next_timeout();
        self.timers.set(TimerKey::Reassembly(host), &mut entry.reassembly, next);
    }
}

/// How late a timeout has to be handled to count as not having been run. Half of the least that a pong
/// may take.
const LATE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use knet_wire::Body;

    use super::*;
    use crate::{EngineConfig, LinkPath};

    #[test]
    fn the_forced_pings_of_a_burst_carry_one_number_while_others_send() {
        let (now, host) = (Instant::now(), HostId::new(2));
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let mut engine = Engine::new(now, &config);
        engine.add_host(host).unwrap();
        for link in LinkId::ALL {
            let path = LinkPath { socket: SocketId(0), remote: ([127, 0, 0, 1], 1).into() };
            engine.add_link(now, host, link, path).unwrap();
            engine.set_link_enabled(now, host, link, true).unwrap();
        }
        while engine.poll_transmit().is_some() {}

        let (sent, done) = (engine.sequence(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    sent.next();
                }
            });
            for _ in 0..2000 {
                engine.force_pings(now);
                let number = |transmit: Transmit| match knet_wire::Packet::decode(transmit.packet())
                    .unwrap()
                    .body
                {
                    Body::Ping(ping) => ping.sequence,
                    body => panic!("{body:?}"),
                };
                let burst: Vec<_> =
                    std::iter::from_fn(|| engine.poll_transmit()).map(number).collect();
                let same = burst.iter().all(|number| *number == burst[0]);
                // Before asserting, or the other thread would go on for ever.
                if !same || burst.len() != LinkId::ALL.len() {
                    done.store(true, Ordering::Relaxed);
                    panic!("{burst:?}");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
