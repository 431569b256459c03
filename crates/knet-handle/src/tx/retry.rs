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
use crate::tx::outgoing::{Blocked, MessageCopy, Outgoing, PacketCopy};

impl Outgoing<'_> {
    /// Retries blocked packets and drops those that have expired. Returns `true` if none is left.
    pub(crate) fn retry(&mut self) -> bool {
        if self.plan.has_left() {
            return true;
        }
        let mut blocked = std::mem::take(&mut self.plan.blocked);
        self.drop_unreachable(&mut blocked);
        self.renumber(&blocked);
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
        if no_room.next > start {
            blocked.since = now;
        }
        blocked.copies.start = no_room.next;
        let again = backpressure.block_again(socket, &no_room.error, blocked.since, now);
        if let Some(retry_at) = again {
            blocked.retry_at = retry_at;
        } else {
            self.drop_copies(no_room.next..end, NotSent::QueueFull);
        }
        again.is_none()
    }

    /// Blocks this thread, and no other, until all planned packets have left or have expired.
    pub(crate) fn wait_for_room(&mut self) {
        while let Some(&Blocked { socket: id, retry_at, .. }) = self.plan.blocked.first() {
            let left = retry_at.latest.saturating_duration_since(Instant::now());
            let socket = self.shared.sockets.get(id).filter(|_| retry_at.when_writable);
            let waited = socket.map(|socket| socket.wait_writable(left));
            if !matches!(waited, Some(Ok(_))) {
                // PAUSE: the queue of the device is full, and no poll reports when it has room.
                thread::sleep(left);
            }
            if !self.retry() {
                // An error that nobody reads would end the next wait at once.
                self.sender.read_errors(self.shared, id);
            }
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
        let mut is_up = |copy: &PacketCopy| self.is_link_up(&mut known, copy);
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
    fn is_link_up(&self, known: &mut Vec<((HostId, LinkId), bool)>, copy: &PacketCopy) -> bool {
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

    /// Gives new numbers to messages that many others have overtaken while they waited, where
    /// [`renumber`] allows it.
    fn renumber(&mut self, blocked: &[Blocked]) {
        let current = self.shared.sequence.current();
        let blocked = blocked.iter().filter_map(|it| self.plan.copies.get(it.copies.clone()));
        let is_overtaken = |copy: &&PacketCopy| {
            let packet = self.plan.packet(copy);
            packet.is_some_and(|it| PacketAge::of(it.number(), current) > PacketAge::Current)
        };
        let overtaken: BTreeSet<usize> =
            blocked.flatten().filter(is_overtaken).map(|copy| copy.message_copy).collect();
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

    /// Gives these numbers, listed per message copy, to packets. Where other hosts keep the number of a
    /// packet, the copies point to a new one; any other packet is numbered in place, so that packets which are
    /// blocked for long do not pile up.
    fn use_numbers(&mut self, numbers: &[Option<SequenceNumber>]) {
        let (plan, own) = (&mut *self.plan, self.shared.own);
        let number_of = |copy: &PacketCopy| numbers.get(copy.message_copy).copied().flatten();
        let keep_theirs = plan.copies.iter().filter(|copy| number_of(copy).is_none());
        let kept: BTreeSet<usize> = keep_theirs.map(|copy| copy.packet).collect();
        let mut renumbered: BTreeMap<usize, usize> = BTreeMap::new();
        for copy in &mut plan.copies {
            let Some(number) = number_of(copy) else { continue };
            let at = renumbered.entry(copy.packet).or_insert_with(|| {
                let Some(packet) = plan.packets.get_mut(copy.packet) else { return copy.packet };
                if !kept.contains(&copy.packet) {
                    packet.set_number(number, own);
                    return copy.packet;
                }
                let packet = packet.renumbered(number, own);
                plan.packets.push(packet);
                plan.packets.len() - 1
            });
            copy.packet = *at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use knet_engine::{MAX_SEQUENCE_LAG, SocketId};

    use super::*;
    use crate::Handle;
    use crate::fixtures::to_itself;
    use crate::io::backpressure::RetryAt;
    use crate::tx::message::Message;

    use crate::tx::transmitter::Transmitter;

    fn blocked(socket: SocketId, copies: Range<usize>, since: Instant) -> Blocked {
        Blocked { socket, copies, retry_at: RetryAt::behind_others(since), since }
    }

    /// A handle that has numbered so many messages, and a transmitter with packets of these numbers.
    fn numbered(current: u16, numbers: &[u16]) -> (Handle, Transmitter) {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let shared = handle.shared();
        while shared.sequence.next().get() < current {}
        let mut transmitter = Transmitter::default();
        let nowhere = (SocketId(1), (Ipv4Addr::LOCALHOST, 9).into());
        for &number in numbers {
            transmitter.plan.add(shared.own, nowhere, number);
        }
        (handle, transmitter)
    }

    fn renumber(handle: &Handle, transmitter: &mut Transmitter) -> Vec<u16> {
        let blocked = [blocked(SocketId(1), 0..transmitter.plan.copies.len(), Instant::now())];
        let routes = handle.shared().routes();
        transmitter.outgoing(handle.shared(), &routes, &[]).renumber(&blocked);
        let plan = &transmitter.plan;
        plan.copies.iter().map(|copy| plan.packet(copy).unwrap().number().get()).collect()
    }

    #[test]
    fn only_whole_messages_that_many_have_overtaken_get_new_numbers_and_once() {
        let current = MAX_SEQUENCE_LAG;
        let (handle, mut transmitter) = numbered(current, &[10, 11, 12, current - 5]);
        transmitter.plan.message_copies[0].left = true;
        for _ in 0..3 {
            let numbers = renumber(&handle, &mut transmitter);
            assert_eq!(numbers, [10, current + 1, current + 2, current - 5]);
            assert_eq!(handle.shared().sequence.current().get(), current + 2);
        }
    }

    /// A packet is shared by all hosts that it goes to.
    #[test]
    fn a_host_that_has_a_part_of_a_message_keeps_its_number_and_the_others_share_a_new_one() {
        let current = MAX_SEQUENCE_LAG;
        let (handle, mut transmitter) = numbered(current, &[10]);
        let plan = &mut transmitter.plan;
        for host in 1..3 {
            let (copy, message_copy) = (&plan.copies[0], plan.message_copies[0]);
            let copy = PacketCopy { message_copy: host, ..*copy };
            plan.copies.push(copy);
            plan.message_copies.push(MessageCopy { host, ..message_copy });
        }
        plan.message_copies[1].left = true;
        let numbers = renumber(&handle, &mut transmitter);
        assert_eq!(numbers, [current + 1, 10, current + 1]);
        assert_eq!(transmitter.plan.packets.len(), 2, "the two hosts share the new packet");
    }

    /// With a long send timeout packets may be blocked while millions of messages overtake them.
    #[test]
    fn packets_that_are_renumbered_again_and_again_take_no_more_memory() {
        let (handle, mut transmitter) = numbered(MAX_SEQUENCE_LAG, &[10, 11]);
        let plan = &mut transmitter.plan;
        // The second message is for another host too, which has a part of it.
        let (copy, message_copy) = (&plan.copies[1], plan.message_copies[1]);
        let copy = PacketCopy { message_copy: 2, ..*copy };
        plan.copies.push(copy);
        plan.message_copies.push(MessageCopy { host: 1, left: true, ..message_copy });
        let mut current = MAX_SEQUENCE_LAG;
        for _ in 0..5 {
            let numbers = renumber(&handle, &mut transmitter);
            assert_eq!(numbers, [current + 1, current + 2, 11]);
            assert_eq!(transmitter.plan.packets.len(), 3);
            current += MAX_SEQUENCE_LAG;
            while handle.shared().sequence.next().get() < current {}
        }
    }

    #[test]
    fn packets_that_let_control_packets_go_first_do_not_expire_meanwhile() {
        let timeout = Duration::from_millis(1);
        let builder = Handle::builder(HostId::new(1)).send_timeout(timeout);
        let handle = builder.build().unwrap();
        let (shared, now) = (handle.shared(), Instant::now());
        let socket = SocketId(1);
        shared.backpressure.fill(socket, now.checked_sub(2 * timeout).unwrap());
        let long = Duration::from_secs(3600);
        shared.backpressure.let_control_go_first(socket, now + long);
        let mut transmitter = Transmitter::default();
        transmitter.plan.add(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
        transmitter.plan.blocked.push(blocked(socket, 0..1, now + long));
        let (routes, messages) = (shared.routes(), [Message::uncompressed(b"x")]);
        assert!(!transmitter.outgoing(shared, &routes, &messages).retry());
        assert_eq!(transmitter.plan.message_copies[0].refused, None);
    }

    #[test]
    fn packets_without_a_link_count_as_a_retry_of_no_other_link() {
        let (handle, socket) = to_itself();
        let shared = handle.shared();
        let mut transmitter = Transmitter::default();
        transmitter.plan.add(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
        transmitter.plan.blocked.push(blocked(SocketId(socket.0 + 1), 0..0, Instant::now()));
        let (routes, messages) = (shared.routes(), [Message::uncompressed(b"x")]);
        assert!(transmitter.outgoing(shared, &routes, &messages).retry());
        let link = handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap();
        assert_eq!(link.status().unwrap().stats.tx_data_retries, 0);
    }
}
