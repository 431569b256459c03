//! Retries packets that found no room in their socket, until they have left or have expired
//! ([`crate::io::backpressure`]).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::ptr;
use std::thread;
use std::time::Instant;

use knet_engine::{PacketAge, PacketKind, WaitingCopy, renumber};
use knet_wire::{HostId, LinkId, SequenceNumber};

use crate::io::backpressure::Turn;
use crate::send_report::NotSent;
use crate::tx::outgoing::{Blocked, MessageCopy, Outgoing, PacketCopies};

impl Outgoing<'_> {
    /// Retries blocked packets and drops those that have expired. Returns `true` if none is left.
    pub(crate) fn retry(&mut self) -> bool {
        if self.plan.has_left() {
            return true;
        }
        let mut blocked = std::mem::take(&mut self.plan.blocked);
        self.drop_unreachable(&mut blocked);
        self.renumber(blocked.iter().map(|blocked| blocked.copies.clone()));
        blocked.retain_mut(|blocked| !self.retry_socket(blocked));
        self.plan.blocked = blocked;
        self.plan.has_left()
    }

    /// Returns `true` if the packets of one socket have left, or have expired.
    fn retry_socket(&mut self, blocked: &mut Blocked) -> bool {
        let backpressure = &self.shared.backpressure;
        let (now, socket) = (Instant::now(), blocked.socket);
        let Range { start, end } = blocked.copies;
        let Some(first) = self.plan.copies.get(start..end).unwrap_or_default().first() else {
            // Their links went down.
            backpressure.end(socket);
            return true;
        };
        match backpressure.turn(socket, blocked.since, now) {
            Turn::Send => {}
            Turn::Later(retry_at) => {
                blocked.retry_at = retry_at;
                return false;
            }
            Turn::Expired => {
                self.drop_copies(start..end, NotSent::QueueFull);
                return true;
            }
        }
        if let Some(link) = self.plan.link(self.routes, first) {
            link.counters.record_retry(PacketKind::Data);
        }
        let Err(no_room) = self.send_copies(start..end) else {
            backpressure.end(socket);
            return true;
        };
        if no_room.has_moved {
            blocked.since = now;
        }
        blocked.copies.start = no_room.next;
        let again = backpressure.block_again(socket, no_room.cause, blocked.since, now);
        if let Some(retry_at) = again {
            blocked.retry_at = retry_at;
        } else {
            self.drop_copies(no_room.next..end, NotSent::QueueFull);
        }
        again.is_none()
    }

    /// Blocks this thread, and no other, until all planned packets have left or have expired, but not past the
    /// deadline. `None` is one that never comes.
    pub(crate) fn wait_for_room(&mut self, deadline: Option<Instant>) {
        while let Some(&Blocked { socket: id, retry_at, .. }) = self.plan.blocked.first() {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return self.drop_blocked();
            }
            let until = deadline.map_or(retry_at.latest, |deadline| deadline.min(retry_at.latest));
            let left = until.saturating_duration_since(now);
            let socket = self.shared.sockets.get(id).filter(|_| retry_at.when_writable);
            let waited = socket.map(|socket| socket.wait_writable(left));
            if !matches!(waited, Some(Ok(_))) {
                // PAUSE: the queue of the device is full, and no poll reports when it has room.
                thread::sleep(left);
            }
            // An error that is not read would end the next wait at once.
            if !self.retry() && self.sender.read_errors(self.shared, id).is_err() {
                // PAUSE: every wait for room would end at once.
                thread::sleep(left);
            }
        }
    }

    /// Drops all blocked packets: there was no room for them in time.
    fn drop_blocked(&mut self) {
        for blocked in std::mem::take(&mut self.plan.blocked) {
            self.drop_copies(blocked.copies, NotSent::QueueFull);
            self.shared.backpressure.end(blocked.socket);
        }
    }

    /// Drops the packets that wait for links which have gone down.
    fn drop_unreachable(&mut self, blocked: &mut [Blocked]) {
        let current = self.shared.routes();
        if ptr::eq(&raw const *current, self.routes) {
            return;
        }
        let mut copies = std::mem::take(&mut self.plan.copies);
        let mut known: Vec<((HostId, LinkId), bool)> = Vec::new();
        let mut is_up = |copies: &PacketCopies| self.is_link_up(&mut known, copies);
        let mut lost = Vec::new();
        for blocked in blocked {
            let Some(copies) = copies.get_mut(blocked.copies.clone()) else { continue };
            // The lost ones come first, the others stay in their order.
            copies.sort_by_key(&mut is_up);
            let start = blocked.copies.start;
            blocked.copies.start += copies.iter().take_while(|copy| !is_up(copy)).count();
            lost.push(start..blocked.copies.start);
        }
        self.plan.copies = copies;
        for range in lost {
            self.drop_copies(range, NotSent::Unreachable);
        }
    }

    /// Returns `true` if the link of a copy is up. `known` has the links that were looked up before.
    fn is_link_up(&self, known: &mut Vec<((HostId, LinkId), bool)>, copy: &PacketCopies) -> bool {
        let message_copy = self.plan.message_copies.get(copy.message_copy);
        let host = message_copy.and_then(|copy| self.routes.at(copy.host));
        let link = self.plan.link(self.routes, copy);
        let Some(link) = host.zip(link).map(|(host, link)| (host.host(), link.link)) else {
            return false;
        };
        if let Some(&(_, is_up)) = known.iter().find(|(other, _)| *other == link) {
            return is_up;
        }
        let status = self.shared.query(|engine, now| engine.link_status(now, link.0, link.1));
        let is_up = status.is_ok_and(|status| status.state.is_up());
        known.push((link, is_up));
        is_up
    }

    /// Gives new numbers to the messages of these copies that many others have overtaken while they waited,
    /// where [`renumber`] allows it.
    pub(crate) fn renumber(&mut self, waiting: impl Iterator<Item = Range<usize>>) {
        let current = self.shared.sequence.current();
        let waiting = waiting.filter_map(|copies| self.plan.copies.get(copies));
        let is_overtaken = |copy: &&PacketCopies| {
            let packet = self.plan.packet(copy);
            packet.is_some_and(|it| PacketAge::of(it.number(), current) > PacketAge::Current)
        };
        let overtaken: BTreeSet<usize> =
            waiting.flatten().filter(is_overtaken).map(|copy| copy.message_copy).collect();
        if overtaken.is_empty() {
            return;
        }
        let waiting = |(at, copy): (usize, &MessageCopy)| WaitingCopy {
            message: copy.message,
            host: copy.host,
            is_overtaken: overtaken.contains(&at),
            has_left: copy.left,
        };
        let waiting: Vec<_> = self.plan.message_copies.iter().enumerate().map(waiting).collect();
        let numbers = renumber(&waiting, || self.sender.next_number(self.shared));
        self.use_numbers(&numbers);
    }

    /// Gives these numbers, listed per message copy, to packets. Where other hosts keep the number of packets,
    /// the copies point to new ones; any others are numbered in place, so that packets which are blocked for long
    /// do not pile up.
    fn use_numbers(&mut self, numbers: &[Option<SequenceNumber>]) {
        let (plan, own) = (&mut *self.plan, self.shared.own);
        let number_of = |copies: &PacketCopies| numbers.get(copies.message_copy).copied().flatten();
        // All that are cut alike end with the same packet, wherever they begin by now.
        let waiting = plan.copies.iter().filter(|copies| !copies.packets.is_empty());
        let keep_theirs = waiting.filter(|copies| number_of(copies).is_none());
        let kept: BTreeSet<usize> = keep_theirs.map(|copies| copies.packets.end).collect();
        let mut renumbered: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for copies in &mut plan.copies {
            let Some(number) = number_of(copies) else { continue };
            let Range { start, end } = copies.packets;
            if !kept.contains(&end) {
                let packets = plan.packets.get_mut(start..end).unwrap_or_default();
                packets.iter_mut().for_each(|packet| packet.set_number(number, own));
                continue;
            }
            let first = *renumbered.entry((start, end)).or_insert_with(|| {
                let packets = plan.packets.get(start..end).unwrap_or_default();
                let packets: Vec<_> =
                    packets.iter().map(|packet| packet.renumbered(number, own)).collect();
                plan.packets.extend(packets);
                plan.packets.len() - (end - start)
            });
            copies.packets = first..first + (end - start);
        }
    }
}

#[cfg(test)]
mod tests;
