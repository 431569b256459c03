//! The one way into the process: receives the datagrams of a socket and hands them out by index.
//!
//! An inbox hands out clear and whole datagrams only. A truncated datagram is not handed out.
//!
//! Decryption belongs at the end of [`Inbox::receive`], which runs without the engine's lock. It changes
//! each datagram in place ([`ReceiveBatch::get_mut`], [`narrow_to`](knet_transport::ReceivedMut::narrow_to)),
//! and marks one that does not decrypt so that [`Inbox::get`] skips it. The clear bytes stay valid until the
//! next receive: delivery, the backlog and the second chance of duplicates read them.

use knet_engine::{DatagramMeta, SocketId};
use knet_transport::{ReceiveBatch, ReceiveError, UdpSocket};

use crate::io::batch::BATCH;
use crate::io::read_limit::ReadLimit;

/// The datagrams that were received last.
#[derive(Debug)]
pub(crate) struct Inbox {
    batch: ReceiveBatch,
    limit: ReadLimit,
    /// The socket that the datagrams came from.
    socket: SocketId,
}

/// A datagram of an inbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClearDatagram<'a> {
    /// The socket and the peer's address.
    pub(crate) meta: DatagramMeta,
    /// The packet.
    pub(crate) bytes: &'a [u8],
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self::with_room(ReceiveBatch::MAX_SIZE)
    }

    /// Creates an inbox for datagrams of up to `size` bytes.
    pub(crate) fn with_room(size: usize) -> Self {
        let batch = ReceiveBatch::new(BATCH, size);
        Self { batch, limit: ReadLimit::new(), socket: SocketId(0) }
    }

    /// Receives datagrams that wait at a socket, in place of those that were received before. Returns
    /// `true` if there were any, and there may be more.
    ///
    /// # Errors
    /// [`ReceiveError::Pending`] if the socket has an error in its queue; its datagrams are still there.
    /// [`ReceiveError::Os`] if the kernel refuses.
    pub(crate) fn receive(
        &mut self,
        id: SocketId,
        socket: &UdpSocket,
    ) -> Result<bool, ReceiveError> {
        // Each buffer costs a little even if it stays empty.
        let expected = MIN_BUFFERS.max(GROWTH * self.batch.buffers_used());
        self.batch.set_limit(self.limit.get().min(expected));
        self.socket = id;
        if socket.receive(&mut self.batch)? == 0 {
            return Ok(false);
        }
        let bytes = self.batch.iter().map(|datagram| datagram.bytes.len()).sum();
        self.limit.update(self.batch.buffers_used(), bytes);
        Ok(true)
    }

    /// Returns how many datagrams were received, those that are not handed out included. With GRO that
    /// may be many times [`BATCH`].
    pub(crate) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Returns a datagram in the order of arrival, or `None` if it is not handed out or `index` is
    /// [`len`](Self::len) or above.
    pub(crate) fn get(&self, index: usize) -> Option<ClearDatagram<'_>> {
        let datagram = self.batch.get(index).filter(|datagram| !datagram.truncated)?;
        let meta =
            DatagramMeta { socket: self.socket, source: datagram.source, local: datagram.local };
        Some(ClearDatagram { meta, bytes: datagram.bytes })
    }
}

/// How many datagrams, or GRO runs of them, there is room for at least.
const MIN_BUFFERS: usize = 8;
/// How far the room may grow from one receive to the next, as a factor.
const GROWTH: usize = 4;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use knet_poller::{Events, Interest, Poller, Token};
    use knet_transport::{Datagram, SendBatch, SocketOptions};

    use super::*;

    const SOCKET: SocketId = SocketId(7);

    /// A socket that sends to another one, which is watched.
    struct Wire {
        from: UdpSocket,
        to: UdpSocket,
        poller: Poller,
    }

    impl Wire {
        fn new() -> Self {
            let bind =
                || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into(), &SocketOptions::default());
            let (from, to, poller) = (bind().unwrap(), bind().unwrap(), Poller::new().unwrap());
            poller.add(&to, Token(0), Interest::READ).unwrap();
            Self { from, to, poller }
        }

        fn send(&self, payloads: &[&[u8]]) {
            let destination = self.to.local_addr();
            let datagram = |payload| Datagram {
                header: &[],
                payload,
                destination,
                source: None,
                marking: None,
            };
            let datagrams: Vec<_> = payloads.iter().map(|payload| datagram(*payload)).collect();
            let progress = self.from.send(&mut SendBatch::new(BATCH), &datagrams);
            assert_eq!(progress.sent, payloads.len(), "{:?}", progress.error);
        }

        /// Receives `count` datagrams. Returns how many came with each receive, and their bytes.
        fn receive(&self, inbox: &mut Inbox, count: usize) -> (Vec<usize>, Vec<Option<Vec<u8>>>) {
            let (mut counts, mut all) = (Vec::new(), Vec::new());
            while all.len() < count {
                let mut events = Events::with_capacity(1);
                let ready = self.poller.wait(&mut events, Some(Duration::from_secs(60))).unwrap();
                assert_eq!(ready, 1, "a datagram is missing");
                assert!(inbox.receive(SOCKET, &self.to).unwrap());
                counts.push(inbox.len());
                all.extend((0..inbox.len()).map(|index| {
                    let datagram = inbox.get(index)?;
                    let source = self.from.local_addr();
                    assert_eq!(datagram.meta, DatagramMeta { socket: SOCKET, source, local: None });
                    Some(datagram.bytes.to_vec())
                }));
                assert!(inbox.get(inbox.len()).is_none());
            }
            (counts, all)
        }
    }

    #[test]
    fn datagrams_are_handed_out_by_index_but_for_those_that_were_cut() {
        let (wire, mut inbox) = (Wire::new(), Inbox::with_room(4));
        wire.send(&[b"four", b"12345", b"", b"last"]);
        let (_, datagrams) = wire.receive(&mut inbox, 4);
        let expected = [Some(&b"four"[..]), None, Some(b""), Some(b"last")];
        assert_eq!(datagrams, expected.map(|bytes| bytes.map(<[u8]>::to_vec)));
    }

    #[test]
    fn a_receive_from_a_quiet_socket_empties_the_inbox() {
        let (wire, mut inbox) = (Wire::new(), Inbox::new());
        wire.send(&[b"one"]);
        wire.receive(&mut inbox, 1);
        assert!(!inbox.receive(SOCKET, &wire.to).unwrap());
        assert_eq!(inbox.len(), 0);
        assert!(inbox.get(0).is_none());
    }

    #[test]
    fn room_grows_with_what_comes() {
        let (wire, mut inbox) = (Wire::new(), Inbox::new());
        wire.send(&[&b"small"[..]; BATCH]);
        let (counts, _) = wire.receive(&mut inbox, BATCH);
        assert!(counts[0] <= MIN_BUFFERS, "{counts:?}");
        for pair in counts.windows(2) {
            assert!(pair[1] <= MIN_BUFFERS.max(GROWTH * pair[0]), "{counts:?}");
        }
    }

    #[test]
    fn big_datagrams_are_received_a_few_at_a_time() {
        let (wire, mut inbox) = (Wire::new(), Inbox::new());
        let big = vec![1; 60_000];
        wire.send(&[&big]);
        wire.receive(&mut inbox, 1);
        wire.send(&[&big, &big, &big]);
        let (counts, datagrams) = wire.receive(&mut inbox, 3);
        assert!(counts[0] <= 2, "{counts:?}");
        assert!(datagrams.iter().all(|datagram| datagram.as_ref() == Some(&big)));
    }
}
