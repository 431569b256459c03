//! Control packets that found no room in their socket. They wait for it on knet-rx, which goes on with
//! all other sockets meanwhile.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use knet_engine::{SocketId, Transmit};
use knet_poller::{Interest, Token};
use parking_lot::Mutex;

use crate::full::Wait;
use crate::shared::Shared;
use crate::transmit::Transmitter;

/// Where all threads put them.
#[derive(Debug, Default)]
pub(crate) struct Held {
    any: AtomicBool,
    packets: Mutex<Vec<(Transmit, Wait)>>,
}

impl Held {
    pub(crate) fn push(&self, transmit: Transmit, wait: Wait) {
        let mut packets = self.packets.lock();
        packets.push((transmit, wait));
        self.any.store(true, Ordering::Release);
    }

    fn take(&self, into: &mut Vec<(Transmit, Wait)>) {
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
    packets: Vec<(Transmit, Wait)>,
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
        for (transmit, wait) in mem::take(&mut self.packets) {
            if !told && now < wait.again {
                self.packets.push((transmit, wait));
            } else {
                self.try_again(shared, transmitter, transmit, wait, now);
            }
        }
        self.watch(shared);
    }

    /// When to try again at the latest.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        self.packets.iter().map(|(_, wait)| wait.again).min()
    }

    fn try_again(
        &mut self,
        shared: &Shared,
        transmitter: &mut Transmitter,
        transmit: Transmit,
        mut wait: Wait,
        now: Instant,
    ) {
        transmit.retried();
        let Err((transmit, error)) = transmitter.try_transmit(shared, transmit) else { return };
        wait.go_on(&error, now);
        if wait.is_over(now) {
            transmit.failed();
        } else {
            self.packets.push((transmit, wait));
        }
    }

    /// Keeps few of each link, of which those that came first count: a link that takes nothing must not
    /// collect what a flood of pings is to be answered with.
    fn bound(&mut self, before: usize) {
        let mut at = before;
        while let Some((transmit, _)) = self.packets.get(at) {
            let link = (transmit.host(), transmit.link());
            let earlier = self.packets.iter().take(at);
            let same = earlier.filter(|(other, _)| (other.host(), other.link()) == link).count();
            if same < MAX_OF_LINK {
                at += 1;
            } else {
                self.packets.swap_remove(at).0.failed();
            }
        }
    }

    /// Watches those sockets for room that say when they have some, and no others.
    fn watch(&mut self, shared: &Shared) {
        let mut wanted: Vec<SocketId> = self
            .packets
            .iter()
            .filter(|(_, wait)| wait.is_told)
            .map(|(transmit, _)| transmit.path().socket)
            .collect();
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

/// How many packets of one link wait at most.
const MAX_OF_LINK: usize = 8;
