//! Control packets that found no room in their socket. They wait for it on knet-rx, which goes on with
//! all other sockets meanwhile, and go before the packets of messages that wait for the same socket.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use knet_engine::{SocketId, Transmit};
use knet_poller::{Interest, Token};
use knet_transport::SendError;
use knet_wire::{Body, Packet, SequenceNumber};
use parking_lot::Mutex;

use crate::dispatch::MAX_LAG;
use crate::full::Pause;
use crate::shared::Shared;
use crate::transmit::Transmitter;

/// A control packet that waits for room.
#[derive(Debug)]
pub(crate) struct HeldPacket {
    transmit: Transmit,
    pause: Pause,
    /// When it is given up.
    until: Instant,
}

impl HeldPacket {
    pub(crate) fn new(transmit: Transmit, error: &SendError, now: Instant) -> Self {
        Self { transmit, pause: Pause::after(error, now), until: now + PATIENCE }
    }

    /// Whether it is a ping with news of long ago. Whoever gets it would take the numbers between then
    /// and now for those of a host that was restarted, and copies for new messages.
    fn is_out_of_date(&self, current: SequenceNumber) -> bool {
        match Packet::decode(self.transmit.packet()).map(|packet| packet.body) {
            Ok(Body::Ping(ping)) => {
                let none_yet = ping.sequence == SequenceNumber::ZERO;
                current.ahead_of(ping.sequence) > if none_yet { 0 } else { MAX_LAG }
            }
            _ => false,
        }
    }
}

/// Where all threads put them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    any: AtomicBool,
    packets: Mutex<Vec<HeldPacket>>,
}

impl Held {
    pub(crate) fn push(&self, packet: HeldPacket) {
        let mut packets = self.packets.lock();
        packets.push(packet);
        self.any.store(true, Ordering::Release);
    }

    fn take(&self, into: &mut Vec<HeldPacket>) {
        if self.any.load(Ordering::Acquire) {
            let mut packets = self.packets.lock();
            self.any.store(false, Ordering::Release);
            into.append(&mut packets);
        }
    }
}

/// Those that wait, in knet-rx.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    packets: Vec<HeldPacket>,
    /// The sockets that are watched for room.
    watched: Vec<SocketId>,
    /// Whether one of them has some.
    told: bool,
}

impl Holding {
    /// The poller says that there is room in a socket.
    pub(crate) fn has_room(&mut self) {
        self.told = true;
    }

    /// Takes in what found no room, and tries what is due.
    pub(crate) fn work(&mut self, shared: &Shared, transmitter: &mut Transmitter) {
        let before = self.packets.len();
        shared.held.take(&mut self.packets);
        if self.packets.is_empty() && self.watched.is_empty() {
            return;
        }
        self.bound(before);
        let now = Instant::now();
        let told = mem::take(&mut self.told);
        for packet in mem::take(&mut self.packets) {
            if !told && now < packet.pause.until {
                self.packets.push(packet);
            } else {
                self.try_again(shared, transmitter, packet, now);
            }
        }
        self.watch(shared);
    }

    /// When to try again at the latest.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.packets.iter().map(|packet| packet.pause.until).min()
    }

    fn try_again(
        &mut self,
        shared: &Shared,
        transmitter: &mut Transmitter,
        packet: HeldPacket,
        now: Instant,
    ) {
        if packet.is_out_of_date(shared.sequence.current()) {
            return packet.transmit.failed();
        }
        packet.transmit.retried();
        let Err((transmit, error)) = transmitter.try_transmit(shared, packet.transmit) else {
            return;
        };
        if packet.until <= now {
            transmit.failed();
        } else {
            shared.full.let_control_go_first(transmit.path().socket, now);
            let pause = Pause::after(&error, now);
            self.packets.push(HeldPacket { transmit, pause, until: packet.until });
        }
    }

    /// Keeps few of each link, of which those that came first count: a link that takes nothing must not
    /// collect what a flood of pings is to be answered with.
    fn bound(&mut self, before: usize) {
        let link = |packet: &HeldPacket| (packet.transmit.host(), packet.transmit.link());
        let mut at = before;
        while let Some(packet) = self.packets.get(at) {
            let same = self.packets.iter().take(at).filter(|other| link(other) == link(packet));
            if same.count() < MAX_OF_LINK {
                at += 1;
            } else {
                self.packets.swap_remove(at).transmit.failed();
            }
        }
    }

    /// Watches those sockets for room that say when they have some, and no others.
    fn watch(&mut self, shared: &Shared) {
        let told = self.packets.iter().filter(|packet| packet.pause.is_told);
        let mut wanted: Vec<SocketId> = told.map(|packet| packet.transmit.path().socket).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for &socket in wanted.iter().filter(|socket| !self.watched.contains(socket)) {
            set_interest(shared, socket, Interest::READ | Interest::WRITE);
        }
        for &socket in self.watched.iter().filter(|socket| !wanted.contains(socket)) {
            set_interest(shared, socket, Interest::READ);
        }
        self.watched = wanted;
    }
}

fn set_interest(shared: &Shared, id: SocketId, interest: Interest) {
    if let Some(socket) = shared.sockets.get(id) {
        // One that is being closed is not watched any more.
        let _ = shared.rx.poller.modify(&*socket, Token(id.0), interest);
    }
}

/// How long control packets wait: what they say does not stay true for long.
const PATIENCE: Duration = Duration::from_millis(50);
/// How many packets of one link wait at most.
const MAX_OF_LINK: usize = 8;
