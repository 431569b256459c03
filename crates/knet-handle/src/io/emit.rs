//! The one way out of the process: hands datagrams, of data and control, to the sockets of links.

use arrayvec::ArrayVec;
use knet_engine::SocketId;
use knet_transport::{Datagram, SendBatch, SendError, SendErrorKind};

use crate::io::batch::BATCH;
use crate::io::sockets::Sockets;
use crate::log::log;

/// Sends datagrams by the batch. Each thread that sends has one.
#[derive(Debug)]
pub(crate) struct Emitter {
    batch: SendBatch,
}

/// How far a batch of datagrams got.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Emitted {
    /// How many datagrams the kernel took, from the first on.
    pub(crate) sent: usize,
    /// Why it refused the next one.
    pub(crate) error: Option<SendError>,
}

impl Emitted {
    /// Returns `true` if the next datagram found no room in the socket or in the queue of its device.
    pub(crate) fn is_blocked(&self) -> bool {
        self.error.is_some_and(|error| error.kind() == SendErrorKind::WouldBlock)
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
    ///
    /// `count` is called for each datagram that is on the wire, with its index and its length in bytes of
    /// UDP payload.
    ///
    /// An ICMP message about an earlier datagram makes the kernel refuse the next one, whatever that is.
    /// Such a refusal is retried, at most [`MAX_PENDING`] times, because the error may be the datagram's
    /// own after all.
    pub(crate) fn emit<'a>(
        &mut self,
        sockets: &Sockets,
        id: SocketId,
        datagrams: impl Iterator<Item = Datagram<'a>>,
        mut count: impl FnMut(usize, usize),
    ) -> Option<Emitted> {
        // Filled in place: collecting would move the datagrams once more.
        let mut batch: ArrayVec<Datagram<'_>, BATCH> = ArrayVec::new();
        batch.extend(datagrams.take(BATCH));
        let socket = sockets.get(id)?;
        let mut emitted = Emitted { sent: 0, error: None };
        for _ in 0..=MAX_PENDING {
            let rest = batch.get(emitted.sent..).unwrap_or_default();
            let progress = socket.send(&mut self.batch, rest);
            for (index, datagram) in rest.iter().enumerate().take(progress.sent) {
                count(emitted.sent + index, datagram.header.len() + datagram.payload.len());
            }
            if progress.gso_disabled {
                log!(
                    debug,
                    sockets.log(),
                    Transport,
                    socket = id.0,
                    "GSO is not available: packets are sent one by one"
                );
            }
            emitted.sent += progress.sent;
            emitted.error = progress.error;
            if emitted.error.is_none_or(|error| error.kind() != SendErrorKind::Pending) {
                break;
            }
        }
        Some(emitted)
    }
}

/// How many refusals that are about earlier datagrams a batch survives.
const MAX_PENDING: usize = 4;

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
        Datagram { header: b"h", payload, destination, marking: None }
    }

    #[test]
    fn datagrams_up_to_the_one_that_is_refused_are_counted_by_their_length() {
        let (sockets, id, _poller) = open();
        let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let remote = receiver.local_addr().unwrap();
        let too_long = vec![0; 70_000];
        let all: [&[u8]; 4] = [b"", b"two", &too_long, b"after"];
        let datagrams = all.iter().map(|payload| datagram(payload, remote));

        let mut counted = Vec::new();
        let count = |index, length| counted.push((index, length));
        let emitted = Emitter::default().emit(&sockets, id, datagrams, count).unwrap();
        assert_eq!(emitted.sent, 2);
        assert!(emitted.error.is_some() && !emitted.is_blocked());
        assert_eq!(counted, [(0, 1), (1, 4)]);
        let mut buffer = [0; 100];
        for expected in [&b"h"[..], b"htwo"] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
        }
    }

    #[test]
    fn nothing_leaves_through_a_socket_that_is_closed() {
        let (sockets, id, poller) = open();
        sockets.release(id, &poller, &poller);
        let nowhere = (Ipv4Addr::LOCALHOST, 9).into();
        let datagrams = [datagram(b"x", nowhere)].into_iter();
        let count = |_, _| panic!("counted as sent");
        assert!(Emitter::default().emit(&sockets, id, datagrams, count).is_none());
    }
}
