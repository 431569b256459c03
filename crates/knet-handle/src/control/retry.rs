//! Control packets that found no room in their socket. They are retried on knet-rx, which goes on with all
//! other sockets meanwhile, and go before the data packets that are blocked at the same socket.

use std::mem;
use std::time::Instant;

use crate::control::send::ControlSender;
use crate::core::shared::Shared;
use crate::io::backpressure::RetryAt;
use crate::io::control_queue::BlockedControl;
use crate::io::writable_watch::{PollerUse, WritableWatch};

/// The blocked control packets of a handle, in knet-rx.
#[derive(Debug)]
pub(crate) struct ControlRetry {
    packets: Vec<BlockedControl>,
    watch: WritableWatch,
    /// Whether a watched socket has room.
    has_room: bool,
}

impl Default for ControlRetry {
    fn default() -> Self {
        let watch = WritableWatch::new(PollerUse::Reading);
        Self { packets: Vec::new(), watch, has_room: false }
    }
}

impl ControlRetry {
    /// Records that the poller reports room in a socket.
    pub(crate) fn record_room(&mut self) {
        self.has_room = true;
    }

    /// Takes in the packets that found no room, and retries those that are due.
    pub(crate) fn work(&mut self, shared: &Shared, sender: &mut ControlSender) {
        let before = self.packets.len();
        shared.control_queue.take(&mut self.packets);
        if self.packets.is_empty() && self.watch.is_empty() {
            return;
        }
        self.bound(before);
        let now = Instant::now();
        let has_room = mem::take(&mut self.has_room);
        for packet in mem::take(&mut self.packets) {
            let RetryAt { latest, when_writable } = packet.retry_at;
            if now < latest && !(has_room && when_writable) {
                self.packets.push(packet);
            } else {
                self.retry(shared, sender, packet, now);
            }
        }
        let watched = self.packets.iter().filter(|packet| packet.retry_at.when_writable);
        let watched = watched.map(|packet| packet.transmit.path().socket);
        self.watch.set(&shared.sockets, &shared.rx.poller, watched);
    }

    /// Returns when to retry at the latest.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.retry_at.latest).min()
    }

    fn retry(
        &mut self,
        shared: &Shared,
        sender: &mut ControlSender,
        packet: BlockedControl,
        now: Instant,
    ) {
        if packet.transmit.is_outdated(shared.sequence.current()) {
            return packet.transmit.record_error();
        }
        packet.transmit.record_retry();
        let before = packet.retry_at;
        let Err((transmit, no_room)) = sender.try_send(shared, packet.transmit) else { return };
        if packet.expires <= now {
            transmit.record_error();
        } else {
            shared.backpressure.let_control_go_first(transmit.path().socket, now);
            let mut again = BlockedControl::again(transmit, no_room, now, packet.expires);
            // If its socket was reported to have room and had none, it would be again, at once.
            again.retry_at.when_writable &= before.when_writable && now >= before.latest;
            self.packets.push(again);
        }
    }

    /// Keeps few packets per link, the oldest of them: a link that takes nothing must not collect the
    /// answers to a flood of pings.
    fn bound(&mut self, before: usize) {
        let link = |packet: &BlockedControl| (packet.transmit.host(), packet.transmit.link());
        let mut at = before;
        while let Some(packet) = self.packets.get(at) {
            let same = self.packets.iter().take(at).filter(|other| link(other) == link(packet));
            if same.count() < MAX_PER_LINK {
                at += 1;
            } else {
                self.packets.swap_remove(at).transmit.record_error();
            }
        }
    }
}

/// How many packets of one link are kept.
const MAX_PER_LINK: usize = 8;

#[cfg(test)]
mod tests;
