//! The sending side's memory of what may have to be sent again.
//!
//! A window of bytes keeps the sender from running ahead of the receiver: UDP holds nobody back, and
//! what overflows a socket's buffer is lost. Whatever is lost is repaired by going back: everything
//! that is not acknowledged is sent again, in order.

use std::collections::VecDeque;

use crate::demo::message::{Acknowledgement, Piece};

/// What was sent and is not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Window {
    unacknowledged: VecDeque<Sent>,
    /// The bytes of those messages.
    in_flight: usize,
    /// Where the next piece belongs.
    next: u64,
    /// Everything in front of it is acknowledged.
    acknowledged: u64,
    /// Buffers of acknowledged messages, to be used again.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Sent {
    /// The position behind it.
    end: u64,
    message: Vec<u8>,
}

impl Window {
    /// Keeps the next bytes of the file, or its end if there are none, and gives the message to
    /// send.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> &[u8] {
        let piece = Piece { position: self.next, bytes };
        let mut message = self.spare.pop().unwrap_or_default();
        piece.encode(&mut message);
        self.next = piece.positions().end;
        self.in_flight += message.len();
        self.unacknowledged.push_back(Sent { end: self.next, message });
        self.unacknowledged.back().map_or(&[], |sent| &sent.message)
    }

    /// Forgets what has arrived; whether that was anything. An acknowledgement of what was never
    /// sent counts for nothing.
    pub(crate) fn acknowledge(&mut self, ack: Acknowledgement) -> bool {
        if ack.position <= self.acknowledged || ack.position > self.next {
            return false;
        }
        self.acknowledged = ack.position;
        while self.unacknowledged.front().is_some_and(|sent| sent.end <= ack.position) {
            if let Some(sent) = self.unacknowledged.pop_front() {
                self.in_flight -= sent.message.len();
                self.spare.push(sent.message);
            }
        }
        true
    }

    /// Whether one more piece may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < WINDOW
    }

    /// Whether everything is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// How many positions are acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Everything that is not acknowledged, in order, to be sent again.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.unacknowledged.iter().map(|sent| sent.message.as_slice())
    }
}

/// From how many bytes on their way on nothing more is sent. With one message more it fits into the
/// 208 KiB that a socket's buffer has for those who are not root, its bookkeeping included, and it
/// keeps two hosts on one machine busy.
const WINDOW: usize = 96 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(position: u64) -> Acknowledgement {
        Acknowledgement { position }
    }

    fn positions(window: &Window) -> Vec<u64> {
        window.messages().filter_map(|m| Some(Piece::decode(m)?.position)).collect()
    }

    #[test]
    fn what_is_not_acknowledged_is_kept_in_order() {
        let mut window = Window::default();
        for bytes in [&b"abc"[..], b"de", b"f", b""] {
            let piece = Piece::decode(window.push(bytes)).map(|piece| piece.bytes.to_vec());
            assert_eq!(piece.as_deref(), Some(bytes));
        }
        assert_eq!(positions(&window), [0, 3, 5, 6]);
        assert!(window.acknowledge(ack(4)), "the middle of a piece");
        assert_eq!(positions(&window), [3, 5, 6]);
        assert!(window.acknowledge(ack(6)));
        assert_eq!(positions(&window), [6], "the end waits for its own acknowledgement");
        assert!(window.acknowledge(ack(7)));
        assert!(window.is_empty());
    }

    #[test]
    fn old_and_impossible_acknowledgements_count_for_nothing() {
        let mut window = Window::default();
        window.push(b"abc");
        window.push(b"def");
        assert!(window.acknowledge(ack(3)));
        for position in [0, 3, 7, u64::MAX] {
            assert!(!window.acknowledge(ack(position)), "{position}");
        }
        assert_eq!(window.acknowledged(), 3);
        assert_eq!(positions(&window), [3]);
    }

    #[test]
    fn there_is_room_again_when_something_arrived() {
        let mut window = Window::default();
        let piece = [0; WINDOW / 4];
        let mut sent = 0;
        while window.has_room() {
            window.push(&piece);
            sent += 1;
        }
        assert_eq!(sent, 4);
        window.acknowledge(ack(piece.len() as u64));
        assert!(window.has_room());
    }
}
