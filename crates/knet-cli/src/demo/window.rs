//! The sender's window: messages that may have to be retransmitted.
//!
//! The window limits how far the sender runs ahead of the receiver: UDP has no backpressure, and what
//! overflows a socket's buffer is lost. Losses are repaired by go-back-N: everything unacknowledged is
//! retransmitted in order.

use std::collections::VecDeque;

use crate::demo::message::{Acknowledgement, Piece};

/// The messages that were sent and are not acknowledged yet.
#[derive(Debug, Default)]
pub(crate) struct Window {
    unacknowledged: VecDeque<Sent>,
    /// The total size of the unacknowledged messages.
    in_flight: usize,
    /// The position of the next piece.
    next: u64,
    /// Everything before this position is acknowledged.
    acknowledged: u64,
    /// Buffers of acknowledged messages, for reuse.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Sent {
    /// The position after the piece.
    end: u64,
    message: Vec<u8>,
}

impl Window {
    /// Adds the next bytes of the file, or its end if `bytes` is empty. Returns the message to send.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> &[u8] {
        let piece = Piece { position: self.next, bytes };
        let mut message = self.spare.pop().unwrap_or_default();
        piece.encode(&mut message);
        self.next = piece.positions().end;
        self.in_flight += message.len();
        self.unacknowledged.push_back(Sent { end: self.next, message });
        self.unacknowledged.back().map_or(&[], |sent| &sent.message)
    }

    /// Removes what was acknowledged. Returns `true` if that was anything. Ignores an acknowledgement
    /// of what was never sent.
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

    /// Returns `true` if one more piece may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < WINDOW
    }

    /// Returns `true` if everything is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Returns how many positions are acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns everything unacknowledged, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.unacknowledged.iter().map(|sent| sent.message.as_slice())
    }
}

/// How many bytes may be in flight before the sender stops. One more message still fits into the 208
/// KiB of a socket's buffer without root privileges, including bookkeeping, and it is enough to keep
/// two hosts on one machine busy.
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
    fn unacknowledged_messages_are_kept_in_order() {
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
    fn old_and_impossible_acknowledgements_are_ignored() {
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
    fn there_is_room_again_after_an_acknowledgement() {
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
