//! The one way out of the process: hands datagrams, of data and control, to the sockets of links.

use arrayvec::ArrayVec;
use knet_engine::SocketId;
use knet_transport::{Datagram, SendBatch, SendError, SendErrorKind};

use crate::errno::ENOBUFS;
use crate::io::backpressure::NoRoom;
use crate::io::batch::BATCH;
use crate::io::queue_limit::{QueueLimit, Room};
use crate::io::sockets::{LinkSocket, Sockets};
use crate::log::{Log, log};

/// Sends datagrams by the batch. Each thread that sends has one.
#[derive(Debug)]
pub(crate) struct Emitter {
    batch: SendBatch,
}

/// How far a batch of datagrams got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(crate) struct Emitted {
    /// How many datagrams the kernel took, from the first on.
    pub(crate) sent: usize,
    /// Why the next one did not leave.
    pub(crate) stop: Option<Stop>,
}

/// Why a datagram did not leave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    NoRoom(NoRoom),
    Refused(SendError),
}

/// Which part of a message a datagram is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// The first that is sent.
    First,
    /// A part after others.
    Later,
}

impl Stop {
    fn of(error: SendError) -> Self {
        match (error.kind(), error.errno()) {
            (SendErrorKind::WouldBlock, ENOBUFS) => Self::NoRoom(NoRoom::Device),
            (SendErrorKind::WouldBlock, _) => Self::NoRoom(NoRoom::Socket),
            _ => Self::Refused(error),
        }
    }
}

impl Default for Emitter {
    fn default() -> Self {
        Self { batch: SendBatch::new(BATCH) }
    }
}

impl Emitter {
    /// Sends the first [`BATCH`] of `datagrams` over one socket, until one is refused. Returns `None` if
    /// the socket is closed.
    pub(crate) fn emit<'a>(
        &mut self,
        sockets: &Sockets,
        id: SocketId,
        datagrams: impl Iterator<Item = Datagram<'a>>,
    ) -> Option<Emitted> {
        // Filled in place: collecting would move the datagrams once more.
        let mut batch: ArrayVec<Datagram<'_>, BATCH> = ArrayVec::new();
        batch.extend(datagrams.take(BATCH));
        let socket = sockets.get(id)?;
        Some(self.send(sockets.log(), id, &socket, &batch))
    }

    /// Does the same with data, of which only so much leaves at once as its device takes soon
    /// ([`QueueLimit`]). `part` returns which part of a message a datagram is, by its index.
    ///
    /// Messages are not torn: a message that waits half sent could not be renumbered.
    pub(crate) fn emit_data<'a>(
        &mut self,
        sockets: &Sockets,
        id: SocketId,
        datagrams: impl Iterator<Item = Datagram<'a>>,
        part: impl Fn(usize) -> Part,
    ) -> Option<Emitted> {
        let mut batch: ArrayVec<Datagram<'_>, BATCH> = ArrayVec::new();
        batch.extend(datagrams.take(BATCH));
        let socket = sockets.get(id)?;
        let fitting = match socket.limit.room(|| socket.queued()) {
            Room::Batch => batch.len(),
            Room::Bytes(room) => QueueLimit::fitting(room, batch.iter().map(length)),
            Room::None { drains } if part(0) == Part::First => {
                let stop = Some(Stop::NoRoom(NoRoom::Queue { drains }));
                return Some(Emitted { sent: 0, stop });
            }
            Room::None { .. } => 1,
        };
        let rest = (fitting..batch.len()).take_while(|&index| part(index) == Part::Later).count();
        batch.truncate(fitting + rest);
        let emitted = self.send(sockets.log(), id, &socket, &batch);
        let bytes = batch.iter().take(emitted.sent).map(length).sum();
        socket.limit.record_sent(emitted.sent, bytes);
        Some(emitted)
    }

    /// Sends a batch until a datagram is refused. What ICMP messages about earlier datagrams make the kernel
    /// refuse has been sent again by [`knet_transport::UdpSocket::send`].
    fn send(
        &mut self,
        log: Log,
        id: SocketId,
        socket: &LinkSocket,
        batch: &[Datagram<'_>],
    ) -> Emitted {
        let progress = socket.transmit(&mut self.batch, batch);
        if progress.gso_disabled {
            log!(
                debug,
                log,
                Transport,
                socket = id.0,
                "GSO is not available to a destination: packets are sent one by one"
            );
        }
        Emitted { sent: progress.sent, stop: progress.error.map(Stop::of) }
    }
}

/// Returns the length of a datagram in bytes of UDP payload.
fn length(datagram: &Datagram<'_>) -> usize {
    datagram.header.len() + datagram.payload.len()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
    use std::time::Duration;

    use knet_poller::Poller;

    use super::*;

    fn open() -> (Sockets, SocketId, Poller) {
        let (sockets, poller) = (Sockets::default(), Poller::new().unwrap());
        let (id, _) = sockets.acquire((Ipv4Addr::LOCALHOST, 0).into(), &poller).unwrap();
        (sockets, id, poller)
    }

    fn datagram(payload: &[u8], destination: SocketAddr) -> Datagram<'_> {
        Datagram { header: b"h", payload, destination, source: None, marking: None }
    }

    #[test]
    fn datagrams_up_to_the_one_that_is_refused_leave() {
        let (sockets, id, _poller) = open();
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let remote = receiver.local_addr().unwrap();
        let too_long = vec![0; 70_000];
        let all: [&[u8]; 4] = [b"", b"two", &too_long, b"after"];
        let datagrams = all.iter().map(|payload| datagram(payload, remote));

        let emitted = Emitter::default().emit(&sockets, id, datagrams).unwrap();
        assert_eq!(emitted.sent, 2);
        assert!(matches!(emitted.stop, Some(Stop::Refused(_))));
        let mut buffer = [0; 100];
        for expected in [&b"h"[..], b"htwo"] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
        }
    }

    /// Sends four datagrams of messages that begin at these, while more is queued than a device takes soon.
    fn emit_to_a_slow_device(begins: &[usize]) -> Emitted {
        let (sockets, id, _poller) = open();
        sockets.get(id).unwrap().script.lock().queued = Some(1 << 30);
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let datagrams = (0..4).map(|_| datagram(b"x", receiver.local_addr().unwrap()));
        let part = |index| if begins.contains(&index) { Part::First } else { Part::Later };
        Emitter::default().emit_data(&sockets, id, datagrams, part).unwrap()
    }

    #[test]
    fn data_waits_for_a_slow_device_and_only_the_rest_of_a_message_leaves() {
        let stop = Some(Stop::NoRoom(NoRoom::Queue { drains: false }));
        assert_eq!(emit_to_a_slow_device(&[0, 2]), Emitted { sent: 0, stop });
        assert_eq!(emit_to_a_slow_device(&[2]), Emitted { sent: 2, stop: None });
        assert_eq!(emit_to_a_slow_device(&[]), Emitted { sent: 4, stop: None });
    }

    #[test]
    fn the_last_message_that_fits_leaves_whole() {
        let (sockets, id, _poller) = open();
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let payload = [0; 60_000];
        let datagrams = (0..4).map(|_| datagram(&payload, receiver.local_addr().unwrap()));
        let part = |index| if index % 2 == 0 { Part::First } else { Part::Later };
        let emitted = Emitter::default().emit_data(&sockets, id, datagrams, part);
        assert_eq!(emitted, Some(Emitted { sent: 2, stop: None }), "the first limit is 64 KiB");
    }

    #[test]
    fn nothing_leaves_through_a_socket_that_is_closed() {
        let (sockets, id, poller) = open();
        sockets.release(id, &poller, &poller);
        let nowhere = (Ipv4Addr::LOCALHOST, 9).into();
        let datagrams = [datagram(b"x", nowhere)].into_iter();
        assert!(Emitter::default().emit(&sockets, id, datagrams).is_none());
    }
}
