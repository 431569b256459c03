//! Hands planned packets to the kernel, socket by socket. A packet that is refused costs the others nothing,
//! and those that find no room in their socket wait for it ([`crate::tx::retry`]) when all others have left.

use std::ops::Range;
use std::time::Instant;

use knet_engine::{PacketAge, PacketKind, SocketId};
use knet_transport::{Datagram, SendError};

use crate::errno::EMSGSIZE;
use crate::io::backpressure::{Admission, NoRoom, RetryAt};
use crate::io::batch::BATCH;
use crate::io::emit::{Emitted, Part, Stop};
use crate::io::packet::Packet;
use crate::send_report::NotSent;
use crate::tx::outgoing::{Blocked, Outgoing, PacketCopies, Plan};

/// Where sending stopped, because there is no room for this copy.
#[derive(Debug)]
pub(crate) struct NoRoomAt {
    pub(crate) next: usize,
    /// Whether packets before it have left.
    pub(crate) has_moved: bool,
    pub(crate) cause: NoRoom,
}

impl Outgoing<'_> {
    /// Numbers the planned packets and sends them. Those that find no room are left for
    /// [`Outgoing::retry`].
    pub(crate) fn send(&mut self) {
        self.number();
        let copies = &mut self.plan.copies;
        if !copies.is_sorted_by_key(|copy| copy.socket) {
            copies.sort_unstable_by_key(|copy| (copy.socket, copy.order));
        }
        let mut start = 0;
        while let Some(first) = self.plan.copies.get(start) {
            let socket = first.socket;
            let rest = self.plan.copies.get(start..).unwrap_or_default();
            let end = start + rest.iter().take_while(|copy| copy.socket == socket).count();
            self.send_to_socket(socket, start..end);
            start = end;
        }
    }

    /// Numbers the planned messages in their order, and sends the pings that their numbers make due.
    ///
    /// Numbers are given last, after the filter, so that messages of threads that send at the same time
    /// leave nearly in the order of their numbers: receivers look back only so far.
    fn number(&mut self) {
        let same_message = |one: &Packet, two: &Packet| one.message() == two.message();
        for packets in self.plan.packets.chunk_by_mut(same_message) {
            let sequence = self.sender.next_number(self.shared);
            packets.iter_mut().for_each(|packet| packet.set_number(sequence, self.shared.own));
        }
    }

    fn send_to_socket(&mut self, socket: SocketId, copies: Range<usize>) {
        if self.shared.backpressure.admit(socket) == Admission::Blocked {
            self.wait(socket, copies, RetryAt::behind_others(Instant::now()));
            return;
        }
        let end = copies.end;
        if let Err(NoRoomAt { next, cause, .. }) = self.send_copies(copies) {
            match self.shared.backpressure.block(socket, cause, Instant::now()) {
                Some(retry_at) => self.wait(socket, next..end, retry_at),
                None => self.drop_copies(next..end, NotSent::QueueFull),
            }
        }
    }

    fn wait(&mut self, socket: SocketId, copies: Range<usize>, retry_at: RetryAt) {
        self.plan.blocked.push(Blocked { socket, copies, retry_at, since: Instant::now() });
    }

    /// Sends copies of one socket until there is no room for a packet.
    pub(crate) fn send_copies(&mut self, range: Range<usize>) -> Result<(), NoRoomAt> {
        let (mut next, mut has_moved) = (range.start, false);
        while next < range.end {
            let Some(copies) = self.plan.copies.get(next) else { break };
            if copies.packets.is_empty() {
                next += 1;
                continue;
            }
            let socket = copies.socket;
            // Checked per message: of those that were blocked some have new numbers, others do not.
            let in_time = self.in_time(next..range.end);
            if in_time.is_empty() {
                // This thread was not run for so long, whether or not there was room.
                if !self.give_new_number(next, range.end) {
                    self.drop_copies(next..next + 1, NotSent::QueueFull);
                }
                continue;
            }
            let Some(emitted) = self.emit(socket, in_time.clone()) else {
                self.shared.backpressure.forget(socket);
                self.drop_copies(next..range.end, NotSent::Unreachable);
                break;
            };
            next = self.record_sent(in_time, emitted.sent);
            has_moved |= emitted.sent > 0;
            if emitted.sent > 0 || !matches!(emitted.stop, Some(Stop::NoRoom(_))) {
                self.shared.backpressure.record_progress(socket);
            }
            match emitted.stop {
                None => {}
                Some(Stop::NoRoom(cause)) => return Err(NoRoomAt { next, has_moved, cause }),
                Some(Stop::Refused(error)) => self.drop_packets(next, 1, not_sent(&error)),
            }
        }
        Ok(())
    }

    /// Renumbers the messages of these copies that many others have overtaken. Returns `true` if that of the
    /// first copy has a new number, and `false` if a part of it has left under the number that it had.
    fn give_new_number(&mut self, first: usize, end: usize) -> bool {
        let number = |plan: &Plan| Some(plan.packet(plan.copies.get(first)?)?.number());
        let before = number(self.plan);
        self.renumber(std::iter::once(first..end));
        number(self.plan) != before
    }

    /// Returns the copies, from the first on, that fill a system call and have not expired by their number.
    fn in_time(&self, range: Range<usize>) -> Range<usize> {
        let current = self.shared.sequence.current();
        let copies = self.plan.copies.get(range.clone()).unwrap_or_default();
        let mut packets = 0;
        let is_in_time = |copies: &&PacketCopies| {
            let enough = packets >= BATCH;
            packets += copies.packets.len();
            let packet = self.plan.packet(copies);
            let expired =
                packet.is_some_and(|it| PacketAge::of(it.number(), current) == PacketAge::Expired);
            !enough && !expired
        };
        range.start..range.start + copies.iter().take_while(is_in_time).count()
    }

    /// Emits packets of one socket, at most [`BATCH`]. Returns `None` if the socket is closed.
    fn emit(&mut self, socket: SocketId, range: Range<usize>) -> Option<Emitted> {
        let Self { shared, messages, plan, sender, .. } = self;
        let Plan { packets, copies, message_copies, .. } = &**plan;
        let copies = copies.get(range).unwrap_or_default();
        let datagrams = copies.iter().flat_map(|copies| {
            let packets = packets.get(copies.packets.clone()).unwrap_or_default();
            packets.iter().map(|packet| {
                let message = messages.get(packet.message());
                Datagram {
                    header: packet.header(),
                    payload: message.map_or(&[], |message| packet.payload(message.on_wire)),
                    destination: copies.remote,
                    source: copies.source,
                    marking: copies.marking,
                }
            })
        });
        let first = copies.first().and_then(|first| message_copies.get(first.message_copy));
        let begun = first.is_some_and(|first| first.left);
        if shared.backpressure.send_timeout().is_zero() {
            // What may not wait here has to wait in the socket.
            return sender.emitter.emit(&shared.sockets, socket, datagrams);
        }
        let part = |index| part(copies, begun, index);
        sender.emitter.emit_data(&shared.sockets, socket, datagrams, part)
    }

    /// Records that so many packets of these copies have left. Returns the copies that the next packet is of.
    fn record_sent(&mut self, range: Range<usize>, mut sent: usize) -> usize {
        let Plan { packets, copies, message_copies, .. } = &mut *self.plan;
        let mut next = range.start;
        for copies in copies.get_mut(range).unwrap_or_default() {
            let left = copies.packets.start..copies.packets.end.min(copies.packets.start + sent);
            if left.is_empty() && !copies.packets.is_empty() {
                break;
            }
            sent -= left.len();
            copies.packets.start = left.end;
            let bytes = packets.get(left.clone()).unwrap_or_default().iter().map(Packet::len).sum();
            if let Some(message) = message_copies.get_mut(copies.message_copy) {
                message.left |= !left.is_empty();
                if let Some(link) = message.link(self.routes) {
                    link.counters.record_sent(PacketKind::Data, left.len() as u64, bytes);
                }
            }
            if !copies.packets.is_empty() {
                break;
            }
            next += 1;
        }
        next
    }

    /// Drops copies for this reason.
    pub(crate) fn drop_copies(&mut self, range: Range<usize>, reason: NotSent) {
        range.for_each(|at| self.drop_packets(at, usize::MAX, reason));
    }

    /// Drops the next packets of these copies, at most so many, for this reason.
    fn drop_packets(&mut self, at: usize, most: usize, reason: NotSent) {
        let Plan { copies, message_copies, .. } = &mut *self.plan;
        let Some(copies) = copies.get_mut(at) else { return };
        let Some(message) = message_copies.get_mut(copies.message_copy) else { return };
        let count = copies.packets.len().min(most);
        copies.packets.start += count;
        if count == 0 {
            return;
        }
        message.refused = message.refused.or(Some(reason));
        if let Some(link) = message.link(self.routes) {
            (0..count).for_each(|_| link.counters.record_error(PacketKind::Data));
        }
    }
}

/// Returns which part of a message the packet at `index` of these copies is. The first copies are `begun` if a packet
/// of them has left already.
fn part(copies: &[PacketCopies], begun: bool, mut index: usize) -> Part {
    for (at, copies) in copies.iter().enumerate() {
        let count = copies.packets.len();
        if index < count {
            let later = index > 0 || at == 0 && begun;
            return if later { Part::Later } else { Part::First };
        }
        index -= count;
    }
    Part::First
}

fn not_sent(error: &SendError) -> NotSent {
    match error.errno() {
        EMSGSIZE => NotSent::TooLong,
        errno => NotSent::Refused { errno },
    }
}

#[cfg(test)]
mod tests;
