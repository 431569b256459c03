//! Hands planned packets to the kernel, socket by socket. A packet that is refused costs the others nothing,
//! and those that find no room in their socket wait for it ([`crate::tx::retry`]) when all others have left.

use std::ops::Range;
use std::time::Instant;

use knet_engine::{PacketAge, PacketKind, Routes, SocketId};
use knet_transport::{Datagram, SendError};

use crate::errno::EMSGSIZE;
use crate::io::backpressure::{Admission, NoRoom, RetryAt};
use crate::io::batch::BATCH;
use crate::io::emit::{Emitted, Part, Stop};
use crate::io::packet::Packet;
use crate::send_report::NotSent;
use crate::tx::outgoing::{Blocked, MessageCopy, Outgoing, PacketCopy, Plan};

/// Where sending stopped, because there is no room for this copy.
#[derive(Debug)]
pub(crate) struct NoRoomAt {
    pub(crate) next: usize,
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
        if let Err(NoRoomAt { next, cause }) = self.send_copies(copies) {
            match self.shared.backpressure.block(socket, cause, Instant::now()) {
                Some(retry_at) => self.wait(socket, next..end, retry_at),
                None => self.drop_copies(next..end, NotSent::QueueFull),
            }
        }
    }

    fn wait(&mut self, socket: SocketId, copies: Range<usize>, retry_at: RetryAt) {
        self.plan.blocked.push(Blocked { socket, copies, retry_at, since: Instant::now() });
    }

    /// Sends copies of one socket until there is no room for one.
    pub(crate) fn send_copies(&mut self, range: Range<usize>) -> Result<(), NoRoomAt> {
        let mut next = range.start;
        while next < range.end {
            let Some(socket) = self.plan.copies.get(next).map(|copy| copy.socket) else { break };
            let end = range.end.min(next + BATCH);
            // Checked per packet: of those that were blocked some have new numbers, others do not.
            let length = self.in_time(next..end);
            if length == 0 {
                // This thread was not run for so long, whether or not there was room.
                if !self.give_new_number(next, range.end) {
                    self.drop_copies(next..next + 1, NotSent::QueueFull);
                    next += 1;
                }
                continue;
            }
            let Some(emitted) = self.emit(socket, next..next + length) else {
                self.shared.backpressure.forget(socket);
                self.drop_copies(next..range.end, NotSent::Unreachable);
                break;
            };
            next += emitted.sent;
            if emitted.sent > 0 || !matches!(emitted.stop, Some(Stop::NoRoom(_))) {
                self.shared.backpressure.record_progress(socket);
            }
            match emitted.stop {
                None => {}
                Some(Stop::NoRoom(cause)) => return Err(NoRoomAt { next, cause }),
                Some(Stop::Refused(error)) => {
                    self.drop_copies(next..next + 1, not_sent(&error));
                    next += 1;
                }
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

    /// Returns how many of the copies, from the first on, have not expired by their number.
    fn in_time(&self, range: Range<usize>) -> usize {
        let current = self.shared.sequence.current();
        let copies = self.plan.copies.get(range).unwrap_or_default();
        let packets = copies.iter().map_while(|copy| self.plan.packet(copy));
        packets
            .take_while(|packet| PacketAge::of(packet.number(), current) < PacketAge::Expired)
            .count()
    }

    /// Emits copies of one socket, at most [`BATCH`], and records those that left. Returns `None` if the
    /// socket is closed.
    fn emit(&mut self, socket: SocketId, range: Range<usize>) -> Option<Emitted> {
        let Self { shared, routes, messages, plan, sender } = self;
        let Plan { packets, copies, message_copies, .. } = &mut **plan;
        let copies = copies.get(range).unwrap_or_default();
        let datagrams = copies.iter().filter_map(|copy| {
            let packet = packets.get(copy.packet)?;
            let message = messages.get(packet.message());
            Some(Datagram {
                header: packet.header(),
                payload: message.map_or(&[], |message| packet.payload(message.on_wire)),
                destination: copy.remote,
                source: copy.source,
                marking: copy.marking,
            })
        });
        let begun = copies.first().and_then(|copy| message_copies.get(copy.message_copy));
        let begun = begun.is_some_and(|copy| copy.left);
        let part = |index: usize| match index.checked_sub(1) {
            None if begun => Part::Later,
            None => Part::First,
            Some(before) => {
                let message = |at: usize| copies.get(at).map(|copy| copy.message_copy);
                if message(before) == message(index) { Part::Later } else { Part::First }
            }
        };
        let mut run = SentRun::default();
        let count = |index: usize, length: usize| {
            let Some(&PacketCopy { message_copy, .. }) = copies.get(index) else { return };
            if message_copy != run.message_copy {
                run.record(message_copies, routes);
                run = SentRun { message_copy, ..SentRun::default() };
            }
            run.packets += 1;
            run.bytes += length as u64;
        };
        let emitted = sender.emitter.emit_data(&shared.sockets, socket, datagrams, part, count);
        run.record(message_copies, routes);
        emitted
    }

    /// Drops copies for this reason.
    pub(crate) fn drop_copies(&mut self, range: Range<usize>, reason: NotSent) {
        let Plan { copies, message_copies, .. } = &mut *self.plan;
        for copy in copies.get(range).unwrap_or_default() {
            let Some(message) = message_copies.get_mut(copy.message_copy) else { continue };
            message.refused = message.refused.or(Some(reason));
            if let Some(link) = message.link(self.routes) {
                link.counters.record_error(PacketKind::Data);
            }
        }
    }
}

/// Copies that belong to one message copy and left one after the other. They are recorded together, which
/// costs two atomic additions per run instead of per packet.
#[derive(Debug, Default)]
struct SentRun {
    message_copy: usize,
    packets: u64,
    bytes: u64,
}

impl SentRun {
    fn record(&self, message_copies: &mut [MessageCopy], routes: &Routes) {
        if self.packets == 0 {
            return;
        }
        let Some(message) = message_copies.get_mut(self.message_copy) else { return };
        message.left = true;
        if let Some(link) = message.link(routes) {
            link.counters.record_sent(PacketKind::Data, self.packets, self.bytes);
        }
    }
}

fn not_sent(error: &SendError) -> NotSent {
    match error.errno() {
        EMSGSIZE => NotSent::TooLong,
        errno => NotSent::Refused { errno },
    }
}

#[cfg(test)]
mod tests;
