//! Liveness of links and hosts: pings, timeouts, links going up and down, and the routes that
//! follow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use knet_wire::{HostId, LinkId, Ping, SequenceNumber};

use super::Engine;
use super::transmit::{Packet, Transmit};
use crate::event::{Event, HostEvent, LinkEvent, LinkState, MtuEvent};
use crate::host::Host;
use crate::link::{CheckStep, Link};
use crate::send::{HostRoute, LinkRoute};
use crate::stats::PacketKind;
use crate::timers::TimerKey;

impl Engine {
    /// Handles all timers that are due: sends pings and probes, takes silent links down, and
    /// discards expired fragments. Call it when the time of [`Engine::poll_timeout`] has come; an
    /// earlier call has no effect.
    ///
    /// A call that comes much later means that the driver was stopped or could not run. No link goes
    /// down for that time, because its pongs may still wait in the socket. That holds for every other
    /// call, too.
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
    /// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
    /// # engine.add_link(now, peer, link, path)?;
    /// # engine.set_link_enabled(now, peer, link, true)?;
    /// # while engine.poll_transmit().is_some() {}
    /// let due = engine.poll_timeout().expect("an enabled link has a timer");
    /// engine.handle_timeout(due);
    /// assert!(engine.poll_transmit().is_some_and(|ping| ping.is_ping()));
    /// assert!(engine.poll_timeout() > Some(due));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        self.note_stall(now);
        while let Some(key) = self.timers.due(now) {
            match key {
                TimerKey::Link(host, link) => self.watch_link(now, host, link),
                TimerKey::Reassembly(host) => self.expire_fragments(now, host),
            }
            if self.timers.due(now) == Some(key) {
                self.postpone(now, key);
            }
        }
    }

    /// Notes for how long the driver has not run: since the earliest timer was due, or since that was
    /// noted before. Whatever judges a link by the time calls this first.
    fn note_stall(&mut self, now: Instant) {
        let Some(due) = self.timers.next() else { return };
        let since = self.stall_noted.map_or(due, |noted| noted.max(due));
        let stall = now.saturating_duration_since(since);
        if stall < LATE {
            return;
        }
        self.stall_noted = Some(now);
        for link in self.hosts.values_mut().flat_map(Host::links_mut) {
            link.add_stall(now, stall);
        }
    }

    /// Postpones a timer that was handled and is due all the same. No timer should be, but one that
    /// is would keep this thread, and with it every link, from all other work.
    fn postpone(&mut self, now: Instant, key: TimerKey) {
        let later = now.checked_add(LEAST_PAUSE);
        let (TimerKey::Link(host, _) | TimerKey::Reassembly(host)) = key;
        let entry = self.hosts.get_mut(&host);
        let deadline = match key {
            TimerKey::Link(_, id) => {
                entry.and_then(|entry| entry.link_mut(id)).map(|link| &mut link.deadline)
            }
            TimerKey::Reassembly(_) => entry.map(|entry| &mut entry.reassembly),
        };
        match deadline {
            Some(deadline) => self.timers.set(key, deadline, later),
            None => self.timers.drop_first(),
        }
    }

    /// Queues a ping on every enabled link at once, with the number of the message that is about to
    /// be sent. Peers that get none of our messages follow our numbers by these pings
    /// ([`forced_ping_due`](crate::forced_ping_due)).
    ///
    /// Handles no timers: another thread may call this while the one that receives pongs is stuck.
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
    /// # let path = LinkPath { socket: SocketId(0), remote: "10.0.0.2:5405".parse()? };
    /// # engine.add_link(now, peer, link, path)?;
    /// # engine.set_link_enabled(now, peer, link, true)?;
    /// # while engine.poll_transmit().is_some() {}
    /// use knet_engine::forced_ping_due;
    ///
    /// let counter = engine.sequence();
    /// while !forced_ping_due(counter.next()) {}
    /// engine.force_pings(now);
    /// assert!(engine.poll_transmit().is_some_and(|ping| ping.is_ping()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn force_pings(&mut self, now: Instant) {
        let links: Vec<_> = self
            .hosts
            .iter()
            .flat_map(|(&host, entry)| entry.links().map(move |(id, link)| (host, id, link)))
            .filter(|(_, _, link)| link.is_enabled())
            .map(|(host, id, _)| (host, id))
            .collect();
        // One number for all of them, even if other threads send meanwhile: libknet takes a second
        // number without data in between as a sign that it missed everything.
        let sequence = self.sequence.current();
        for (host, link) in links {
            self.queue_ping(now, host, link, sequence, false);
        }
    }

    /// Sends a ping or a probe if one is due, takes the link down if it was silent for too long,
    /// and sets its timer.
    pub(super) fn watch_link(&mut self, now: Instant, host: HostId, id: LinkId) {
        self.note_stall(now);
        let Ok(link) = self.link_mut(host, id) else { return };
        if !link.is_enabled() {
            return self.timers_off(host, id);
        }
        let expired = link.heartbeat.expired(now);
        let mut ping_due = link.heartbeat.next_ping(now).is_some_and(|ping| ping <= now);
        let mut gone = expired.map(|silence| link.silence_reason(silence));
        match link.poll_check(now) {
            CheckStep::None => {}
            CheckStep::Ping => ping_due = true,
            CheckStep::Unanswered(errno) => gone = Some(link.unreachable_reason(errno)),
        }
        if let Some(reason) = gone.filter(|&reason| link.take_down(now, reason)) {
            self.announce(now, host, id, LinkState::Down(reason));
        }
        if ping_due {
            let sequence = self.sequence.current();
            self.queue_ping(now, host, id, sequence, true);
        }
        self.probe_mtu(now, host, id);
        self.set_link_timer(now, host, id);
    }

    /// Sets a link's timer to what its heartbeat, its check and its path MTU require next. The timer
    /// of a link that is disabled, or has no known peer, is off.
    pub(super) fn set_link_timer(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Some(link) = self.hosts.get_mut(&host).and_then(|entry| entry.link_mut(id)) else {
            return;
        };
        let next = link.next_heartbeat(now).into_iter().chain(link.mtu.next_timeout(now)).min();
        let next = next.filter(|_| link.is_enabled() && link.peer.path().is_some());
        self.timers.set(TimerKey::Link(host, id), &mut link.deadline, next);
    }

    /// Stops a link's timer.
    pub(super) fn timers_off(&mut self, host: HostId, id: LinkId) {
        if let Some(link) = self.hosts.get_mut(&host).and_then(|entry| entry.link_mut(id)) {
            self.timers.set(TimerKey::Link(host, id), &mut link.deadline, None);
        }
    }

    pub(super) fn queue_ping(
        &mut self,
        now: Instant,
        host: HostId,
        id: LinkId,
        sequence: SequenceNumber,
        timed: bool,
    ) {
        let Ok(link) = self.link_mut(host, id) else { return };
        let Some(path) = link.peer.path() else { return };
        let source = link.own_address.of_next_ping(link.heartbeat.is_unanswered());
        link.ping_sent(now, timed);
        let packet = self.ping_packet(now, host, id, path.remote, sequence, timed);
        let Ok(link) = self.link(host, id) else { return };
        let ping = Transmit::new(host, id, link, (path, source), PacketKind::Ping, packet);
        self.transmits.push_back(ping);
    }

    /// Returns a ping for this address, with a cookie that only a pong from there can carry.
    pub(super) fn ping_packet(
        &self,
        now: Instant,
        host: HostId,
        link: LinkId,
        remote: SocketAddr,
        sequence: SequenceNumber,
        timed: bool,
    ) -> Packet {
        let cookie = self.cookies.issue(now, host, link, remote);
        Packet::Ping(Ping { link, cookie, sequence, timed }.encode_ping(self.own))
    }

    /// Brings a link up and reports it, unless it is up already, or its path is too narrow for data.
    pub(super) fn link_up(&mut self, now: Instant, host: HostId, id: LinkId) {
        let Ok(link) = self.link_mut(host, id) else { return };
        if link.bring_up(now) {
            self.announce(now, host, id, LinkState::Up);
            self.start_or_stop_discovery(now, host, id);
        } else if link.is_held_down() && link.mtu.is_off() {
            self.start_or_stop_discovery(now, host, id);
        }
    }

    /// Reports that a link came up or went down, and what follows for its host.
    pub(super) fn announce(&mut self, now: Instant, host: HostId, link: LinkId, state: LinkState) {
        self.announce_with(now, host, Some((link, state)), None);
    }

    /// Reports that a link came up or went down, that its data MTU changed, or both, and what follows
    /// for its host.
    pub(super) fn announce_with(
        &mut self,
        now: Instant,
        host: HostId,
        cause: Option<(LinkId, LinkState)>,
        mtu: Option<MtuEvent>,
    ) {
        if let Some((link, state)) = cause {
            self.events.push_back(Event::Link(LinkEvent { host, link, state }));
        }
        self.reroute(now, host, cause, mtu);
    }

    /// Updates the route to a host after a change of something other than the state of its links.
    pub(super) fn refresh_routes(&mut self, now: Instant, host: HostId) {
        self.reroute(now, host, None, None);
    }

    /// Updates the route to a host. Reports if the host became reachable or unreachable, or if the
    /// data MTU of its packets changed. `of_link` is reported in between.
    fn reroute(
        &mut self,
        now: Instant,
        host: HostId,
        cause: Option<(LinkId, LinkState)>,
        of_link: Option<MtuEvent>,
    ) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        let route = |(id, link): (LinkId, &Link)| LinkRoute {
            link: id,
            path: link.peer.path(),
            source: link.own_address.get(),
            tag: link.tag,
            data_mtu: link.data_mtu(self.manual_mtu, self.crypto),
            counters: link.counters.clone(),
        };
        let links: Vec<_> = entry.active_links().into_iter().map(route).collect();
        let reachable = !links.is_empty();
        let changed = std::mem::replace(&mut entry.reachable, reachable) != reachable;
        if changed && !reachable {
            entry.receive.host_lost(now);
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
        self.events.extend(of_link.map(Event::Mtu));
        let mtu = self.routes.get(host).map(HostRoute::data_mtu);
        if mtu != mtu_before {
            self.report_mtu(host, mtu);
        }
    }

    fn expire_fragments(&mut self, now: Instant, host: HostId) {
        let Some(entry) = self.hosts.get_mut(&host) else { return };
        entry.receive.reassembler.handle_timeout(now, &mut self.pool);
        entry.count_incomplete(&mut self.drops);
        let next = entry.receive.reassembler.next_timeout();
        self.timers.set(TimerKey::Reassembly(host), &mut entry.reassembly, next);
    }
}

/// How late a timer must be handled for the driver to count as stopped meanwhile: half of the
/// shortest pong timeout.
const LATE: Duration = Duration::from_millis(100);
/// How soon a timer that does not move is handled again.
const LEAST_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use knet_wire::Body;

    use super::*;
    use crate::{EngineConfig, LinkPath, SocketId};

    #[test]
    fn a_timer_that_does_not_move_is_postponed() {
        let (now, host, link) = (Instant::now(), HostId::new(2), LinkId::ALL[0]);
        let config = EngineConfig { host: HostId::new(1), cookie_key: [0; 16] };
        let mut engine = Engine::new(now, &config);
        engine.add_host(host).unwrap();
        let path = LinkPath { socket: SocketId(0), remote: ([127, 0, 0, 1], 1).into() };
        engine.add_link(now, host, link, path).unwrap();
        engine.set_link_enabled(now, host, link, true).unwrap();
        for key in [TimerKey::Reassembly(host), TimerKey::Link(host, link)] {
            engine.postpone(now, key);
            assert_eq!(engine.poll_timeout(), Some(now + LEAST_PAUSE));
        }
        engine.handle_timeout(now + LEAST_PAUSE);
        assert!(engine.poll_timeout() > Some(now + LEAST_PAUSE));
    }

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
                // Before asserting, or the other thread would never end.
                if !same || burst.len() != LinkId::ALL.len() {
                    done.store(true, Ordering::Relaxed);
                    panic!("{burst:?}");
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
