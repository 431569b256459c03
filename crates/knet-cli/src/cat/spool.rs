//! Received bytes that have not been written yet.
//!
//! A datafd's buffer holds only a few messages, and what does not fit is lost. So messages are taken
//! out of it immediately and kept here, however slowly the output is read.

use parking_lot::{Condvar, Mutex};

/// A bounded buffer of bytes between a thread that adds and a thread that takes.
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
    /// Appends `parts`, blocking while the spool is full. Returns `false` without adding them if the
    /// spool is closed.
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
        // Adding and taking wait on the same condition variable.
        self.changed.notify_all();
        true
    }

    /// Moves everything into `bytes`, which must be empty, blocking while the spool is empty.
    /// Returns `false` once it is closed and empty.
    #[must_use]
    pub(crate) fn take(&self, bytes: &mut Vec<u8>) -> bool {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| !state.closed && state.bytes.is_empty());
        std::mem::swap(&mut state.bytes, bytes);
        self.changed.notify_all();
        !bytes.is_empty()
    }

    /// Closes the spool. Nothing can be added afterwards; what is in it can still be taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_all();
    }
}

/// The number of bytes at which the spool is full.
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
    fn a_full_spool_blocks_until_it_is_read_or_closed() {
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
            assert!(rest, "it was added only once there was room");

            assert!(spool.add(&[&big]));
            let waiting = scope.spawn(|| spool.add(&[b"x"]));
            spool.close();
            assert!(!waiting.join().unwrap());
        });
    }
}
