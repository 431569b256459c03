//! Planned packets that found no room in their socket: tried again until they have left, or until the
//! socket took nothing for too long.

use std::collections::BTreeSet;
use std::ops::Range;
use std::ptr;
use std::thread;
use std::time::Instant;

use knet_engine::{PacketAge, PacketKind, Routes, SocketId, WaitingCopy, renumber};
use knet_wire::{HostId, LinkId};

use crate::control::error_queue;
use crate::core::shared::Shared;
use crate::io::backpressure::Pause;
use crate::send_report::NotSent;
use crate::tx::send::Frame;
use crate::tx::transmitter::Transmitter;

/// Frames of one socket that wait for room.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) socket: SocketId,
    pub(crate) frames: Range<usize>,
    pub(crate) pause: Pause,
    /// When one of them left last, or since when they wait.
    pub(crate) since: Instant,
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
        let (now, Range { start, end }) = (Instant::now(), waiting.frames.clone());
        let frames = self.frames.get(start..end).unwrap_or_default();
        let Some(first) = frames.first() else {
            // The link is gone that they waited for.
            shared.full.end(waiting.socket, false);
            return true;
        };
        let mut stuck = false;
        if shared.full.is_for_control(waiting.socket, now) {
            // Not told, or the poller would say at once that there is room.
            waiting.pause = Pause { is_told: false, ..Pause::behind_others(now) };
        } else {
            if let Some(link) = self.link(routes, first) {
                link.counters.record_retry(PacketKind::Data);
            }
            let Err(full) = self.send_frames(shared, routes, messages, start..end) else {
                shared.full.end(waiting.socket, false);
                return true;
            };
            if full.next > start {
                waiting.since = now;
            }
            waiting.frames.start = full.next;
            waiting.pause = Pause::after(&full.error, now);
            stuck = shared.full.is_over(waiting.socket, now);
        }
        let is_over = stuck || shared.full.is_passed_over(waiting.since, now);
        if is_over {
            shared.full.end(waiting.socket, stuck);
            self.give_up(routes, waiting.frames.clone());
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
                error_queue::read(shared, id, &mut self.errors);
            }
        }
    }

    /// Gives up the packets that wait for links which are not up any more.
    fn give_up_unreachable(&mut self, shared: &Shared, routes: &Routes, waiting: &mut [Waiting]) {
        let current = shared.routes();
        if ptr::eq(&raw const *current, routes) {
            return;
        }
        let mut frames = std::mem::take(&mut self.frames);
        let mut known: Vec<((HostId, LinkId), bool)> = Vec::new();
        let mut is_up = |frame: &Frame| {
            let copy = self.copies.get(frame.copy);
            let host = copy.and_then(|copy| routes.at(copy.host));
            let link = copy.zip(host).and_then(|(copy, host)| host.links().get(copy.link));
            let Some((host, link)) = host.zip(link) else { return false };
            let (host, link) = (host.host(), link.link);
            if let Some(&(_, is_up)) = known.iter().find(|(other, _)| *other == (host, link)) {
                return is_up;
            }
            let status = shared.query(|engine, now| engine.link_status(now, host, link));
            let is_up = status.is_ok_and(|status| status.state.is_up());
            known.push(((host, link), is_up));
            is_up
        };
        let mut lost = Vec::new();
        for waiting in waiting {
            let Some(frames) = frames.get_mut(waiting.frames.clone()) else { continue };
            // Those that are lost come first, the others stay in their order.
            frames.sort_by_key(&mut is_up);
            let start = waiting.frames.start;
            waiting.frames.start += frames.iter().take_while(|frame| !is_up(frame)).count();
            lost.push(start..waiting.frames.start);
        }
        self.frames = frames;
        for at in lost.into_iter().flatten() {
            self.account(routes, at, Some(NotSent::Unreachable));
        }
    }

    /// Gives new numbers to messages that many others have overtaken while they waited, where
    /// [`renumber`] allows it.
    fn renumber(&mut self, shared: &Shared, waiting: &[Waiting]) {
        let current = shared.sequence.current();
        let waiting = waiting.iter().filter_map(|waiting| self.frames.get(waiting.frames.clone()));
        let is_overtaken =
            |frame: &&Frame| PacketAge::of(frame.says.sequence, current) > PacketAge::Current;
        let overtaken: BTreeSet<usize> =
            waiting.flatten().filter(is_overtaken).map(|frame| frame.copy).collect();
        if overtaken.is_empty() {
            return;
        }
        let copies: Vec<_> = (0..)
            .zip(&self.copies)
            .map(|(at, copy)| WaitingCopy {
                message: copy.message,
                host: copy.host,
                is_overtaken: overtaken.contains(&at),
                has_left: copy.left,
            })
            .collect();
        let numbers = renumber(&copies, || self.next_number(shared));
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use knet_engine::MAX_SEQUENCE_LAG;

    use super::*;
    use crate::Handle;
    use crate::tx::thread::tests::to_itself;

    #[test]
    fn only_whole_messages_that_many_have_overtaken_get_new_numbers_and_once() {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let shared = handle.shared();
        let current = MAX_SEQUENCE_LAG;
        while shared.sequence.next().get() < current {}
        let mut transmitter = Transmitter::default();
        let nowhere = (SocketId(1), (Ipv4Addr::LOCALHOST, 9).into());
        for number in [10, 11, 12, current - 5] {
            transmitter.plan_packet(shared.own, nowhere, number);
        }
        transmitter.copies[0].left = true;
        let waiting = [Waiting {
            socket: SocketId(1),
            frames: 0..4,
            pause: Pause::behind_others(Instant::now()),
            since: Instant::now(),
        }];
        for _ in 0..3 {
            transmitter.renumber(shared, &waiting);
            let numbers: Vec<_> =
                transmitter.frames.iter().map(|frame| frame.says.sequence.get()).collect();
            assert_eq!(numbers, [10, current + 1, current + 2, current - 5]);
            assert_eq!(shared.sequence.current().get(), current + 2);
        }
        let sent = &transmitter.frames[1];
        assert_eq!(sent.header, sent.says.encode(shared.own), "the header says so too");
    }

    #[test]
    fn packets_that_leave_the_room_to_control_packets_are_not_given_up_meanwhile() {
        let patience = Duration::from_millis(1);
        let builder = Handle::builder(HostId::new(1)).wait_for_room(patience);
        let handle = builder.build().unwrap();
        let (shared, now) = (handle.shared(), Instant::now());
        let socket = SocketId(1);
        shared.full.begin(socket, now.checked_sub(2 * patience).unwrap());
        let long = Duration::from_secs(3600);
        shared.full.let_control_go_first(socket, now + long);
        let mut transmitter = Transmitter::default();
        transmitter.plan_packet(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
        transmitter.waiting.push(Waiting {
            socket,
            frames: 0..1,
            pause: Pause::behind_others(now),
            since: now + long,
        });
        assert!(!transmitter.retry(shared, &shared.routes(), &[b"x"]));
        assert_eq!(transmitter.copies[0].refused, None);
    }

    #[test]
    fn what_is_given_up_counts_as_a_retry_of_no_other_link() {
        let (handle, socket) = to_itself();
        let shared = handle.shared();
        let mut transmitter = Transmitter::default();
        transmitter.plan_packet(shared.own, (socket, (Ipv4Addr::LOCALHOST, 9).into()), 1);
        transmitter.waiting.push(Waiting {
            socket: SocketId(socket.0 + 1),
            frames: 0..0,
            pause: Pause::behind_others(Instant::now()),
            since: Instant::now(),
        });
        assert!(transmitter.retry(shared, &shared.routes(), &[b"x"]));
        let link = handle.host(handle.host_id()).unwrap().link(LinkId::ALL[0]).unwrap();
        assert_eq!(link.status().unwrap().stats.tx_data_retries, 0);
    }
}
