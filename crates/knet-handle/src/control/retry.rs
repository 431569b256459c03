//! Control packets that found no room in their socket. They are retried on knet-rx, which goes on with all
//! other sockets meanwhile, and go before the data packets that are blocked at the same socket.

use std::collections::HashMap;
use std::mem;
use std::time::Instant;

use knet_engine::SocketId;
use knet_wire::{HostId, LinkId};

use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::io::backpressure::{NoRoom, RetryAt};
use crate::io::control_queue::BlockedControl;
use crate::io::writable_watch::{PollerUse, WritableWatch};

/// The blocked control packets of a handle, in knet-rx.
#[derive(Debug)]
pub(crate) struct ControlRetry {
    packets: Vec<BlockedControl>,
    watch: WritableWatch,
    /// Whether a watched socket has room.
    has_room: bool,
    /// When the next packet is retried at the latest.
    next: Option<Instant>,
}

impl Default for ControlRetry {
    fn default() -> Self {
        let watch = WritableWatch::new(PollerUse::Reading);
        Self { packets: Vec::new(), watch, has_room: false, next: None }
    }
}

impl ControlRetry {
    /// Records that the poller reports room in a socket.
    pub(crate) fn record_room(&mut self) {
        self.has_room = true;
    }

    /// Takes in the packets that found no room, and retries those that are due. Costs next to nothing while none
    /// is.
    pub(crate) fn work(&mut self, shared: &Shared, sender: &mut ControlSender) {
        let before = self.packets.len();
        shared.control_queue.take(&mut self.packets);
        let has_new = self.packets.len() > before;
        let has_room = mem::take(&mut self.has_room);
        if self.packets.is_empty() && self.watch.is_empty() {
            return;
        }
        let now = Instant::now();
        if !has_new && !has_room && self.next.is_some_and(|next| now < next) {
            return;
        }
        if has_new {
            self.bound();
        }
        let mut full = Vec::new();
        for packet in mem::take(&mut self.packets) {
            let RetryAt { latest, when_writable } = packet.retry_at;
            if now < latest && !(has_room && when_writable) {
                self.packets.push(packet);
            } else {
                self.retry(shared, sender, packet, now, &mut full);
            }
        }
        let watched = self.packets.iter().filter(|packet| packet.retry_at.when_writable);
        let watched = watched.map(|packet| packet.transmit.path().socket);
        self.watch.set(&shared.sockets, &shared.rx.poller, watched);
        self.next = self.packets.iter().map(|packet| packet.retry_at.latest).min();
    }

    /// Returns when to retry at the latest.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Retries a packet, unless its socket is one of those that had no room for another, with the cause.
    fn retry(
        &mut self,
        shared: &Shared,
        sender: &mut ControlSender,
        packet: BlockedControl,
        now: Instant,
        full: &mut Vec<(SocketId, NoRoom)>,
    ) {
        let socket = packet.transmit.path().socket;
        let transmit = packet.transmit;
        if transmit.is_outdated(shared.sequence.current()) {
            return transmit.record_error();
        }
        let before = packet.retry_at;
        let (transmit, no_room) = match full.iter().find(|(other, _)| *other == socket) {
            Some(&(_, no_room)) => (transmit, no_room),
            None => {
                transmit.record_retry();
                let Err((transmit, no_room)) = sender.try_send(shared, transmit) else { return };
                full.push((socket, no_room));
                (transmit, no_room)
            }
        };
        if packet.expires <= now {
            transmit.record_error();
        } else {
            shared.backpressure.let_control_go_first(socket, now);
            let mut again = BlockedControl::again(transmit, no_room, now, packet.expires);
            // If its socket was reported to have room and had none, it would be again, at once.
            again.retry_at.when_writable &= before.when_writable && now >= before.latest;
            self.packets.push(again);
        }
    }

    /// Keeps few packets per link, the oldest of them: a link that takes nothing must not collect the
    /// answers to a flood of pings.
    fn bound(&mut self) {
        let mut kept: HashMap<(HostId, LinkId), usize> = HashMap::new();
        for packet in mem::take(&mut self.packets) {
            let link = (packet.transmit.host(), packet.transmit.link());
            let of_link = kept.entry(link).or_default();
            if *of_link < MAX_PER_LINK {
                *of_link += 1;
                self.packets.push(packet);
            } else {
                packet.transmit.record_error();
            }
        }
    }
}

/// How many packets of one link are kept.
const MAX_PER_LINK: usize = 8;

#[cfg(test)]
mod tests;
