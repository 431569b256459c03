//! What was received and waits for being written.
//!
//! A datafd's buffer holds a few messages only, and what does not fit is lost. So messages are taken
//! out of it at once and kept here, however slowly the output is read.

use parking_lot::{Condvar, Mutex};

/// Bytes on their way from one thread that adds to one that takes.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    closed: bool,
}

impl Spool {
    /// Adds `parts` behind each other. Waits while there is too much; false if the spool is closed,
    /// so that they would go nowhere.
    #[must_use]
    pub(crate) fn add(&self, parts: &[&[u8]]) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| !state.closed && state.bytes.len() >= LIMIT);
        if state.closed {
            return false;
        }
        for part in parts {
            state.bytes.extend_from_slice(part);
        }
        self.changed.notify_all();
        true
    }

    /// Swaps everything into `bytes`, which must be empty. Waits for something to come; false if
    /// nothing will come any more.
    #[must_use]
    pub(crate) fn take(&self, bytes: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| !state.closed && state.bytes.is_empty());
        std::mem::swap(&mut state.bytes, bytes);
        self.changed.notify_all();
        !bytes.is_empty()
    }

    /// Ends it: nothing more can be added. What is there can be taken still.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

/// From how many bytes on nothing more is added.
const LIMIT: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_was_added_comes_out_in_order_and_then_the_end() {
        let spool = Spool::default();
        let mut all = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..1000_u16 {
                    assert!(spool.add(&[&n.to_be_bytes(), b"!"]));
                }
                spool.close();
                assert!(!spool.add(&[b"too late"]));
            });
            let mut some = Vec::new();
            while spool.take(&mut some) {
                all.append(&mut some);
            }
        });
        let expected: Vec<u8> =
            (0..1000_u16).flat_map(|n| [n.to_be_bytes().as_slice(), b"!"].concat()).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn a_full_spool_waits_for_being_read_or_closed() {
        let spool = Spool::default();
        let big = vec![0; LIMIT];
        assert!(spool.add(&[&big]));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| spool.add(&[b"x"]));
            let mut taken = Vec::new();
            assert!(spool.take(&mut taken));
            assert!(waiting.join().unwrap());
            // It may have been added before or after.
            let rest = if taken.len() == LIMIT { spool.take(&mut Vec::new()) } else { false };
            assert!(rest, "it was let in only when there was room");

            assert!(spool.add(&[&big]));
            let waiting = scope.spawn(|| spool.add(&[b"x"]));
            spool.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
