//! Planned packets that found no room in their socket: tried again until they have left, or until the
//! socket took nothing for too long.

use std::ops::Range;
use std::ptr;
use std::thread;
use std::time::Instant;

use knet_engine::{PacketKind, Routes, SocketId};

use crate::dispatch::{Frame, MAX_LAG, MessageCopy};
use crate::errors;
use crate::full::Pause;
use crate::report::NotSent;
use crate::shared::Shared;
use crate::transmit::Transmitter;

/// Frames of one socket that wait for room.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) socket: SocketId,
    pub(crate) frames: Range<usize>,
    pub(crate) pause: Pause,
}

impl Transmitter {
    /// Tries the packets again that wait for room, and gives up those that have waited too long;
    /// whether none waits any more.
    pub(crate) fn retry(&mut self, shared: &Shared, routes: &Routes, messages: &[&[u8]]) -> bool {
        if self.waiting.is_empty() {
            return true;
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        self.give_up_unreachable(shared, routes, &mut waiting);
        self.renumber(shared, &waiting);
        waiting.retain_mut(|waiting| !self.try_again(shared, routes, messages, waiting));
        self.waiting = waiting;
        self.waiting.is_empty()
    }

    /// Whether they have left, or are given up.
    fn try_again(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        messages: &[&[u8]],
        waiting: &mut Waiting,
    ) -> bool {
        let now = Instant::now();
        if shared.full.is_for_control(waiting.socket, now) {
            waiting.pause = Pause::behind_others(now);
            // Otherwise the poller would say at once that there is room.
            waiting.pause.is_told = false;
            return false;
        }
        let Range { start, end } = waiting.frames;
        if let Some(link) = self.frames.get(start).and_then(|frame| self.link(routes, frame)) {
            link.counters.retried(PacketKind::Data);
        }
        let Err(full) = self.send_frames(shared, routes, messages, start..end) else {
            shared.full.end(waiting.socket, false);
            return true;
        };
        waiting.frames.start = full.next;
        waiting.pause = Pause::after(&full.error, now);
        let is_over = shared.full.is_over(waiting.socket, now);
        if is_over {
            shared.full.end(waiting.socket, true);
            self.give_up(routes, full.next..end);
        }
        is_over
    }

    /// Waits in this thread, and no other, until all planned packets have left or are given up.
    pub(crate) fn wait_for_room(&mut self, shared: &Shared, routes: &Routes, messages: &[&[u8]]) {
        while let Some(&Waiting { socket: id, pause, .. }) = self.waiting.first() {
            let left = pause.until.saturating_duration_since(Instant::now());
            let socket = shared.sockets.get(id).filter(|_| pause.is_told);
            let told = socket.map(|socket| socket.wait_writable(left));
            if !matches!(told, Some(Ok(_))) {
                // PAUSE: the queue of the device is full, and no poll tells when it has room.
                thread::sleep(left);
            }
            if !self.retry(shared, routes, messages) {
                // An error that nobody reads would end the next wait at once.
                errors::read(shared, id, &mut self.errors);
            }
        }
    }

    /// Gives up the packets for hosts that are not reachable any more.
    fn give_up_unreachable(&mut self, shared: &Shared, routes: &Routes, waiting: &mut [Waiting]) {
        let current = shared.routes();
        if ptr::eq(&raw const *current, routes) {
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let copies = &self.copies;
        let is_reachable = |frame: &Frame| {
            let host = copies.get(frame.copy).and_then(|copy| routes.at(copy.host));
            host.is_some_and(|host| current.position(host.host()).is_some())
        };
        let mut lost = Vec::new();
        for waiting in waiting {
            let range = waiting.frames.clone();
            let Some(frames) = frames.get_mut(range.clone()) else { continue };
            // Those that are lost come first, the others stay in their order.
            frames.sort_by_key(is_reachable);
            let number = frames.iter().take_while(|frame| !is_reachable(frame)).count();
            waiting.frames.start += number;
            lost.push(range.start..waiting.frames.start);
        }
        self.frames = frames;
        for at in lost.into_iter().flatten() {
            self.account(routes, at, Some(NotSent::Unreachable));
        }
    }

    /// Gives new numbers to messages that many others have overtaken while they waited, so that they
    /// may still leave ([`MAX_LAG`]). Not if a part of one is on its way to a host already: that host
    /// takes the parts together by their number.
    fn renumber(&mut self, shared: &Shared, waiting: &[Waiting]) {
        let current = shared.sequence.current();
        let lag = |waiting: &Waiting| {
            let frame = self.frames.get(waiting.frames.start);
            frame.map_or(0, |frame| current.ahead_of(frame.says.sequence))
        };
        if waiting.iter().map(lag).max().unwrap_or_default() <= MAX_LAG / 2 {
            return;
        }
        let copies = std::mem::take(&mut self.copies);
        let mut numbers = Vec::with_capacity(copies.len());
        for message in copies.chunk_by(|one, two| one.message == two.message) {
            let mut number = None;
            for host in message.chunk_by(|one, two| one.host == two.host) {
                let untouched = |copy: &MessageCopy| !copy.left && copy.refused.is_none();
                let new = host
                    .iter()
                    .all(untouched)
                    .then(|| *number.get_or_insert_with(|| self.next_number(shared)));
                numbers.extend(host.iter().map(|_| new));
            }
        }
        self.copies = copies;
        for frame in &mut self.frames {
            if let Some(&Some(number)) = numbers.get(frame.copy) {
                frame.set_number(number, shared.own);
            }
        }
    }

    /// There was no room for these.
    pub(crate) fn give_up(&mut self, routes: &Routes, frames: Range<usize>) {
        frames.for_each(|at| self.account(routes, at, Some(NotSent::QueueFull)));
    }
}
