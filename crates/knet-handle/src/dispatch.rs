//! Giving planned packets to the kernel, socket by socket. A packet that is refused costs the others
//! nothing, and a socket that is full holds up only its own packets until all others have left.

use std::net::SocketAddr;
use std::ops::Range;

use arrayvec::ArrayVec;
use knet_engine::{LinkRoute, PacketKind, Routes, SocketId};
use knet_transport::{Datagram, SendError, SendErrorKind, SendProgress};
use knet_wire::{DATA_HEADER_LEN, DataHeader};

use crate::channels::Counters;
use crate::errno::EMSGSIZE;
use crate::patience::Patience;
use crate::report::NotSent;
use crate::shared::Shared;
use crate::transmit::{BATCH, Transmitter};

/// A packet that is ready to leave.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) socket: SocketId,
    /// Keeps packets of one socket in the order in which they were planned.
    pub(crate) order: usize,
    pub(crate) remote: SocketAddr,
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
}

/// Where sending stopped, because the socket has no room for the frame.
struct Full {
    next: usize,
    error: SendError,
}

impl Transmitter {
    /// Sends the planned packets.
    pub(crate) fn flush(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        counters: &Counters,
        messages: &[&[u8]],
    ) {
        self.number(shared);
        if !self.frames.is_sorted_by_key(|frame| frame.socket) {
            self.frames.sort_unstable_by_key(|frame| (frame.socket, frame.order));
        }
        let mut start = 0;
        while let Some(first) = self.frames.get(start) {
            let socket = first.socket;
            let rest = self.frames.get(start..).unwrap_or_default();
            let end = start + rest.iter().take_while(|frame| frame.socket == socket).count();
            let patience = &mut self.stuck.patience(socket);
            let sent = self.send_frames(shared, routes, messages, start..end, patience);
            let next = sent.map_or_else(|full| full.next, |()| end);
            if next > start {
                self.stuck.forget(socket);
            }
            if next < end {
                self.waiting.push(next..end);
            }
            start = end;
        }
        while let Some(range) = self.waiting.pop() {
            self.send_when_there_is_room(shared, routes, messages, range);
        }
        self.frames.clear();
        self.settle(routes, counters, messages);
    }

    /// Sends frames of one socket that was full. What finds no room in time is lost.
    fn send_when_there_is_room(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        messages: &[&[u8]],
        range: Range<usize>,
    ) {
        let Some(id) = self.frames.get(range.start).map(|frame| frame.socket) else { return };
        let mut patience = self.stuck.patience(id);
        let (mut next, mut took) = (range.start, false);
        while let Err(full) =
            self.send_frames(shared, routes, messages, next..range.end, &mut patience)
        {
            took |= full.next > next;
            next = full.next;
            let socket = shared.sockets.get(id);
            if !socket.is_some_and(|socket| patience.wait(&socket, &full.error)) {
                self.stuck.note(id, took, &patience);
                for at in next..range.end {
                    self.account(routes, at, Some(NotSent::QueueFull));
                }
                return;
            }
            if let Some(link) = self.frames.get(next).and_then(|frame| self.link(routes, frame)) {
                link.counters.retried(PacketKind::Data);
            }
        }
        self.stuck.forget(id);
    }

    /// Sends frames of one socket until there is no room for one.
    fn send_frames(
        &mut self,
        shared: &Shared,
        routes: &Routes,
        messages: &[&[u8]],
        range: Range<usize>,
        patience: &mut Patience,
    ) -> Result<(), Full> {
        let mut next = range.start;
        while next < range.end {
            let Some(first) = self.frames.get(next) else { break };
            let socket = first.socket;
            if shared.sequence.current().ahead_of(first.says.sequence) > MAX_LAG {
                self.account(routes, next, Some(NotSent::QueueFull));
                next += 1;
                continue;
            }
            let chunk = next..range.end.min(next + BATCH);
            let Some(progress) = self.send_chunk(shared, messages, socket, chunk) else {
                self.stuck.forget(socket);
                (next..range.end)
                    .for_each(|at| self.account(routes, at, Some(NotSent::Unreachable)));
                break;
            };
            for at in next..next + progress.sent {
                self.account(routes, at, None);
            }
            next += progress.sent;
            let Some(error) = progress.error else { continue };
            match error.kind() {
                SendErrorKind::WouldBlock => return Err(Full { next, error }),
                SendErrorKind::Pending if patience.once_more() => {}
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
        }));
        Some(shared.sockets.get(socket)?.send(&mut self.batch, &datagrams))
    }

    /// The link that a frame goes over.
    fn link<'a>(&self, routes: &'a Routes, frame: &Frame) -> Option<&'a LinkRoute> {
        let copy = self.copies.get(frame.copy)?;
        routes.at(copy.host)?.links().get(copy.link)
    }

    /// Counts a frame that left, or that did not.
    fn account(&mut self, routes: &Routes, at: usize, refused: Option<NotSent>) {
        let Some(frame) = self.frames.get(at) else { return };
        if let Some(copy) = self.copies.get_mut(frame.copy) {
            copy.refused = copy.refused.or(refused);
        }
        let Some(link) = self.link(routes, frame) else { return };
        if refused.is_none() {
            let length = DATA_HEADER_LEN + frame.part.len();
            link.counters.sent(PacketKind::Data, 1, length as u64);
        } else {
            link.counters.failed(PacketKind::Data);
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

/// A packet does not leave when more messages than this were numbered after its own, because other
/// threads went on while this one waited for room, or was not run. Receivers remember the last 4096
/// numbers; one from further back would make them forget all of them (`spec/engine.md` 8.4), and
/// take copies for new messages.
const MAX_LAG: u16 = 2048;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    use knet_wire::{Fragment, HostId, SequenceNumber};

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
        let current = MAX_LAG + 1000;
        while shared.sequence.next().get() < current {}

        let oldest = current - MAX_LAG;
        let mut transmitter = Transmitter::default();
        for (at, number) in [oldest - 1, oldest, current].into_iter().enumerate() {
            let says = DataHeader {
                sequence: SequenceNumber::new(number),
                compression: 0,
                broadcast: true,
                fragment: Fragment::Whole,
                channel: 0,
            };
            transmitter.copies.push(MessageCopy { message: at, host: 0, link: 0, refused: None });
            transmitter.frames.push(Frame {
                socket,
                order: at,
                remote: receiver.local_addr().unwrap(),
                says,
                header: says.encode(shared.own),
                message: at,
                part: 0..1,
                copy: at,
            });
        }
        let mut patience = transmitter.stuck.patience(socket);
        let messages: [&[u8]; 3] = [b"1", b"2", b"3"];
        let routes = Routes::default();
        let sent = transmitter.send_frames(shared, &routes, &messages, 0..3, &mut patience);
        assert!(sent.is_ok(), "there was room");
        let refused: Vec<_> = transmitter.copies.iter().map(|copy| copy.refused).collect();
        assert_eq!(refused, [Some(NotSent::QueueFull), None, None]);
        let mut buffer = [0; 100];
        for expected in [b'2', b'3'] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(buffer[length - 1], expected);
        }
    }
}
