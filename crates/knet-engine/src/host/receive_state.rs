//! The state for receiving messages of one host: which were delivered, which are incomplete, and
//! whether the host was restarted.

use std::time::{Duration, Instant};

use knet_wire::SequenceNumber;

use super::dedup::DuplicateWindow;
use super::defrag::{BufferPool, Reassembler};
use super::restart_detection::RestartDetector;
use crate::link::Heard;

/// The receive state of one host.
#[derive(Debug, Default)]
pub(crate) struct ReceiveState {
    pub(crate) window: DuplicateWindow,
    pub(crate) restarts: RestartDetector,
    pub(crate) reassembler: Reassembler,
    /// Set when the host is lost, until a ping shows whether it was restarted.
    lost: Option<Lost>,
    /// How often a ping has shown that the host was restarted.
    starts: u32,
}

/// The state when the last usable link went down.
#[derive(Clone, Copy, Debug)]
struct Lost {
    at: Instant,
    /// The newest number by then.
    newest: SequenceNumber,
}

impl ReceiveState {
    /// Handles the loss of the last usable link to the host.
    ///
    /// libknet forgets everything here, so that a duplicate that is still on its way is delivered
    /// again when the host is back a moment later. This window is kept until a ping shows whether
    /// the numbers continue (the same process: duplicates stay duplicates) or start over (a
    /// restart).
    pub(crate) fn host_lost(&mut self, now: Instant) {
        self.lost = self.window.newest().map(|newest| Lost { at: now, newest });
    }

    /// Handles the number in a ping. `heard` is what its link heard before. `reachable` is `true`
    /// unless the host is lost.
    pub(crate) fn handle_ping(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        timed: bool,
        heard: &mut Heard,
        reachable: bool,
        pool: &mut BufferPool,
    ) {
        let generation = self.window.generation();
        self.check_return(now, sequence, reachable);
        // "Nothing sent yet" means a restart only if this very link has heard another number of the
        // process that we know: over links of different speed an old ping may come after newer
        // data, and each link reports the same restart.
        let nothing_sent = timed && sequence == SequenceNumber::ZERO;
        let known = heard.sequence == SequenceNumber::ZERO || heard.starts != self.starts;
        if !(nothing_sent && known) {
            self.restarts.on_ping(sequence, timed, &mut self.window);
        }
        if nothing_sent && self.window.generation() != generation {
            self.starts = self.starts.wrapping_add(1);
        }
        if timed {
            *heard = Heard { sequence, starts: self.starts };
        }
        if self.window.generation() != generation {
            self.reassembler.clear(pool);
        }
    }

    /// Decides after a loss whether the numbers continue where the window is, or start over.
    ///
    /// Pings that continue while the host is still lost decide nothing: our packets do not reach it
    /// yet, and it may restart before they do.
    fn check_return(&mut self, now: Instant, sequence: SequenceNumber, reachable: bool) {
        let Some(lost) = self.lost else { return };
        let goes_on = sequence.ahead_of(lost.newest) < HALF_OF_THE_NUMBERS;
        // A ping with an older number may have left before the loss; only one that is too late for
        // that shows a restart.
        let straggler = now.saturating_duration_since(lost.at) < STRAGGLER_TIME;
        if sequence == SequenceNumber::ZERO || (!goes_on && !straggler) {
            self.lost = None;
            self.window.reset();
        } else if goes_on && reachable {
            self.lost = None;
        }
    }
}

/// Numbers up to this far ahead count as newer, the others as older.
const HALF_OF_THE_NUMBERS: u16 = 1 << 15;

/// How long a packet that left before its link went down may take to arrive.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u16) -> SequenceNumber {
        SequenceNumber::new(n)
    }

    /// Returns the state of a host that sent message 100 and then was lost.
    fn lost_peer(now: Instant) -> ReceiveState {
        let mut peer = ReceiveState::default();
        assert!(!peer.window.check_delivered(number(100)).is_seen());
        peer.window.mark_delivered(number(100));
        peer.host_lost(now);
        peer
    }

    fn ping(peer: &mut ReceiveState, now: Instant, sequence: u16) {
        let mut heard = Heard { sequence: number(100), starts: 0 };
        let mut pool = BufferPool::default();
        peer.handle_ping(now, number(sequence), true, &mut heard, true, &mut pool);
    }

    #[test]
    fn a_duplicate_is_still_one_when_the_same_process_is_back() {
        let now = Instant::now();
        for sequence in [100, 101, 5000] {
            let mut peer = lost_peer(now);
            ping(&mut peer, now + STRAGGLER_TIME, sequence);
            assert!(peer.window.check_delivered(number(100)).is_seen(), "ping with {sequence}");
        }
    }

    #[test]
    fn a_restarted_process_may_use_its_numbers_again() {
        let now = Instant::now();
        for sequence in [0, 1, 40] {
            let mut peer = lost_peer(now);
            ping(&mut peer, now + STRAGGLER_TIME, sequence);
            assert!(!peer.window.check_delivered(number(100)).is_seen(), "ping with {sequence}");
        }
    }

    #[test]
    fn a_ping_from_before_the_loss_decides_nothing() {
        let now = Instant::now();
        let mut peer = lost_peer(now);
        ping(&mut peer, now + STRAGGLER_TIME / 2, 99);
        assert!(peer.window.check_delivered(number(100)).is_seen());
        ping(&mut peer, now + STRAGGLER_TIME, 40);
        assert!(!peer.window.check_delivered(number(100)).is_seen());
    }

    #[test]
    fn newer_data_does_not_make_a_ping_look_old() {
        let now = Instant::now();
        let mut peer = lost_peer(now);
        assert!(!peer.window.check_delivered(number(300)).is_seen());
        peer.window.mark_delivered(number(300));
        ping(&mut peer, now + STRAGGLER_TIME, 250);
        assert!(peer.window.check_delivered(number(300)).is_seen());
    }

    #[test]
    fn an_old_start_on_a_slow_link_is_no_restart() {
        let now = Instant::now();
        let mut peer = ReceiveState::default();
        let mut pool = BufferPool::default();
        let (mut fast, mut slow) = (Heard::default(), Heard::default());
        assert!(!peer.window.check_delivered(number(1)).is_seen());
        peer.window.mark_delivered(number(1));
        peer.handle_ping(now, number(1), true, &mut fast, true, &mut pool);
        peer.handle_ping(now, SequenceNumber::ZERO, true, &mut slow, true, &mut pool);
        assert!(peer.window.check_delivered(number(1)).is_seen());
        peer.handle_ping(now, SequenceNumber::ZERO, true, &mut fast, true, &mut pool);
        assert!(!peer.window.check_delivered(number(1)).is_seen(), "the fast link had heard of 1");
    }

    #[test]
    fn a_restart_is_noticed_once_however_many_links_tell_of_it() {
        let now = Instant::now();
        let (mut peer, mut pool) = (ReceiveState::default(), BufferPool::default());
        let (mut fast, mut slow) = (Heard::default(), Heard::default());
        for link in [&mut fast, &mut slow] {
            peer.handle_ping(now, number(500), true, link, true, &mut pool);
        }
        for restart in 0..2 {
            peer.handle_ping(now, SequenceNumber::ZERO, true, &mut fast, true, &mut pool);
            assert!(!peer.window.check_delivered(number(1)).is_seen(), "restart {restart}");
            peer.window.mark_delivered(number(1));
            peer.handle_ping(now, number(1), true, &mut fast, true, &mut pool);
            peer.handle_ping(now, SequenceNumber::ZERO, true, &mut slow, true, &mut pool);
            assert!(peer.window.check_delivered(number(1)).is_seen(), "restart {restart}");
            peer.handle_ping(now, number(1), true, &mut slow, true, &mut pool);
        }
    }
}
