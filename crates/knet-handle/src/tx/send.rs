//! Giving planned packets to the kernel, socket by socket. A packet that is refused costs the others
//! nothing, and those that find no room in their socket wait for it ([`crate::tx::retry`]) when all others
//! have left: the tx thread in its poller ([`crate::tx::parked`]), who sends in a thread of their own there.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use arrayvec::ArrayVec;
use knet_engine::{LinkRoute, PacketAge, PacketKind, Routes, SocketId};
use knet_transport::{Datagram, QosMarking, SendError, SendErrorKind, SendProgress};
use knet_wire::{DATA_HEADER_LEN, DataHeader, HostId, SequenceNumber};

use crate::core::shared::Shared;
use crate::errno::EMSGSIZE;
use crate::io::backpressure::Pause;
use crate::send_report::NotSent;
use crate::tx::retry::Waiting;
use crate::tx::transmitter::{BATCH, Transmitter};

/// A packet that is ready to leave.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) socket: SocketId,
    /// Keeps packets of one socket in the order in which they were planned.
    pub(crate) order: usize,
    pub(crate) remote: SocketAddr,
    /// How it is marked, if not as its socket is.
    pub(crate) marking: Option<QosMarking>,
    /// What the packet says; its number is given last.
    pub(crate) says: DataHeader,
    pub(crate) header: [u8; DATA_HEADER_LEN],
    pub(crate) message: usize,
    pub(crate) part: Range<usize>,
    /// Which of the copies it belongs to.
    pub(crate) copy: usize,
}

/// A message on its way over one link.
#[derive(Debug)]
pub(crate) struct MessageCopy {
    pub(crate) message: usize,
    /// The host's place in the routes.
    pub(crate) host: usize,
    /// The link's place in the host.
    pub(crate) link: usize,
    /// Why the kernel did not take one of its packets: without it the others are worth nothing.
    pub(crate) refused: Option<NotSent>,
    /// Whether it took one.
    pub(crate) left: bool,
}

impl Frame {
    pub(crate) fn set_number(&mut self, sequence: SequenceNumber, own: HostId) {
        self.says.sequence = sequence;
        self.header = self.says.encode(own);
    }
}

/// Where sending stopped, because the socket has no room for the frame.
pub(crate) struct Full {
    pub(crate) next: usize,
    pub(crate) error: SendError,
}

impl Transmitter {
    /// Numbers the planned packets and gives them to the kernel. Those that find no room wait for
    /// [`Transmitter::retry`].
    pub(crate) fn dispatch(&mut self, shared: &Shared, routes: &Routes, messages: &[&[u8]]) {
        self.number(shared);
        if !self.frames.is_sorted_by_key(|frame| frame.socket) {
            self.frames.sort_unstable_by_key(|frame| (frame.socket, frame.order));
        }
        let mut start = 0;
        while let Some(first) = self.frames.get(start) {
            let socket = first.socket;
            let rest = self.frames.get(start..).unwrap_or_default();
            let end = start + rest.iter().take_while(|frame| frame.socket == socket).count();
            if shared.full.is_waited_for(socket) {
                let now = Instant::now();
                self.wait(shared, socket, start..end, Pause::behind_others(now), now);
            } else if let Err(full) = self.send_frames(shared, routes, messages, start..end) {
                if shared.full.is_stuck(socket) {
                    self.give_up(routes, full.next..end);
                } else {
                    let now = Instant::now();
                    self.wait(shared, socket, full.next..end, Pause::after(&full.error, now), now);
                }
            }
            start = end;
        }
    }

    fn wait(
        &mut self,
        shared: &Shared,
        socket: SocketId,
        frames: Range<usize>,
        pause: Pause,
        now: Instant,
    ) {
        shared.full.begin(socket, now);
        self.waiting.push(Waiting { socket, frames, pause, since: now });
    }

    /// Sends frames of one socket until there is no room for one.
    pub(crate) fn send_frames(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        messages: &[&[u8]],
        range: Range<usize>,
    ) -> Result<(), Full> {
        let (mut next, mut pending) = (range.start, 0);
        while next < range.end {
            let chunk = self.frames.get(next..range.end.min(next + BATCH)).unwrap_or_default();
            let Some(socket) = chunk.first().map(|frame| frame.socket) else { break };
            // Each of them, for some that waited got new numbers and others could not.
            let current = shared.sequence.current();
            let in_time =
                |frame: &&Frame| PacketAge::of(frame.says.sequence, current) < PacketAge::Expired;
            let length = chunk.iter().take_while(in_time).count();
            if length == 0 {
                self.account(routes, next, Some(NotSent::QueueFull));
                next += 1;
                continue;
            }
            let chunk = next..next + length;
            let Some(progress) = self.send_chunk(shared, messages, socket, chunk) else {
                shared.full.forget(socket);
                (next..range.end)
                    .for_each(|at| self.account(routes, at, Some(NotSent::Unreachable)));
                break;
            };
            for at in next..next + progress.sent {
                self.account(routes, at, None);
            }
            next += progress.sent;
            let is_full =
                progress.error.is_some_and(|error| error.kind() == SendErrorKind::WouldBlock);
            if progress.sent > 0 || !is_full {
                shared.full.moved(socket);
            }
            let Some(error) = progress.error else { continue };
            match error.kind() {
                SendErrorKind::WouldBlock => return Err(Full { next, error }),
                // Left behind by an old ICMP message. Not for ever: it may be the packet's own after all.
                SendErrorKind::Pending if pending < MAX_PENDING => pending += 1,
                _ => {
                    self.account(routes, next, Some(not_sent(&error)));
                    next += 1;
                }
            }
        }
        Ok(())
    }

    /// Sends a batch of frames; `None` if their socket is gone.
    fn send_chunk(
        &mut self,
        shared: &Shared,
        messages: &[&[u8]],
        socket: SocketId,
        chunk: Range<usize>,
    ) -> Option<SendProgress> {
        let frames = self.frames.get(chunk).unwrap_or_default();
        // Filled in place: collecting would move all of it once more.
        let mut datagrams: ArrayVec<Datagram<'_>, BATCH> = ArrayVec::new();
        datagrams.extend(frames.iter().map(|frame| Datagram {
            header: &frame.header,
            payload: payload(messages, frame),
            destination: frame.remote,
            marking: frame.marking,
        }));
        let progress = shared.sockets.get(socket)?.send(&mut self.batch, &datagrams);
        if progress.gso_disabled {
            tracing::debug!(socket = socket.0, "GSO is not available: packets are sent one by one");
        }
        Some(progress)
    }

    /// The link that a frame goes over.
    pub(crate) fn link<'a>(&self, routes: &'a Routes, frame: &Frame) -> Option<&'a LinkRoute> {
        let copy = self.copies.get(frame.copy)?;
        routes.at(copy.host)?.links().get(copy.link)
    }

    /// Counts a frame that left, or that did not.
    pub(crate) fn account(&mut self, routes: &Routes, at: usize, refused: Option<NotSent>) {
        let Some(frame) = self.frames.get(at) else { return };
        if let Some(copy) = self.copies.get_mut(frame.copy) {
            copy.refused = copy.refused.or(refused);
            copy.left |= refused.is_none();
        }
        let Some(link) = self.link(routes, frame) else { return };
        if refused.is_none() {
            let length = DATA_HEADER_LEN + frame.part.len();
            link.counters.record_sent(PacketKind::Data, 1, length as u64);
        } else {
            link.counters.record_error(PacketKind::Data);
        }
    }
}

fn payload<'a>(messages: &[&'a [u8]], frame: &Frame) -> &'a [u8] {
    let message = messages.get(frame.message).copied().unwrap_or_default();
    message.get(frame.part.clone()).unwrap_or_default()
}

fn not_sent(error: &SendError) -> NotSent {
    match error.errno() {
        EMSGSIZE => NotSent::TooLong,
        errno => NotSent::Refused { errno },
    }
}

/// How many errors of other packets may come in the way of those that are sent together.
pub(crate) const MAX_PENDING: u32 = 4;

#[cfg(test)]
impl Transmitter {
    /// Plans a message of one byte, which has this number, for the first host of the routes.
    pub(crate) fn plan_packet(
        &mut self,
        own: HostId,
        (socket, remote): (SocketId, SocketAddr),
        number: u16,
    ) {
        let message = self.copies.len();
        self.copies.push(MessageCopy { message, host: 0, link: 0, refused: None, left: false });
        let says = DataHeader {
            sequence: SequenceNumber::new(number),
            compression: 0,
            broadcast: true,
            fragment: knet_wire::Fragment::Whole,
            channel: 0,
        };
        self.frames.push(Frame {
            socket,
            order: message,
            remote,
            marking: None,
            says,
            header: says.encode(own),
            message,
            part: 0..1,
            copy: message,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    use knet_engine::MAX_SEQUENCE_LAG;
    use knet_wire::HostId;

    use super::*;
    use crate::Handle;

    /// What other threads number while a thread waits for room, or is not run.
    #[test]
    fn a_packet_that_thousands_of_messages_overtook_does_not_leave() {
        let handle = Handle::new(HostId::new(1)).unwrap();
        let shared = handle.shared();
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let (socket, _) = shared.sockets.acquire(any, &shared.rx.poller).unwrap();
        let receiver = UdpSocket::bind(any).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let current = MAX_SEQUENCE_LAG + 1000;
        while shared.sequence.next().get() < current {}

        let oldest = current - MAX_SEQUENCE_LAG;
        let mut transmitter = Transmitter::default();
        // The first got a new number while it waited, which the second could not.
        for number in [current, oldest - 1, oldest, current] {
            transmitter.plan_packet(shared.own, (socket, receiver.local_addr().unwrap()), number);
        }
        let messages: [&[u8]; 4] = [b"1", b"2", b"3", b"4"];
        let routes = Routes::default();
        let sent = transmitter.send_frames(shared, &routes, &messages, 0..4);
        assert!(sent.is_ok(), "there was room");
        let refused: Vec<_> = transmitter.copies.iter().map(|copy| copy.refused).collect();
        assert_eq!(refused, [None, Some(NotSent::QueueFull), None, None]);
        let mut buffer = [0; 100];
        for expected in [b'1', b'3', b'4'] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(buffer[length - 1], expected);
        }
    }
}
