//! What is remembered of the messages a host sent: which were delivered, which are half here, and
//! whether it is still the same process that sends.

use std::time::{Duration, Instant};

use knet_wire::SequenceNumber;

use super::dedup::PeerWindow;
use super::defrag::{BufferPool, Reassembler};
use super::restart_detection::SequenceSync;
use crate::link::Heard;

/// The receive state of one host.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) window: PeerWindow,
    pub(crate) sync: SequenceSync,
    pub(crate) reassembler: Reassembler,
    /// Set when the host is lost, until a ping tells whether it is the same process that is back.
    lost: Option<Lost>,
    /// How often a ping said that it is another process by now.
    starts: u32,
}

/// The moment at which the last usable link went down.
#[derive(Clone, Copy, Debug)]
struct Lost {
    at: Instant,
    /// The furthest number that had come by then.
    newest: SequenceNumber,
}

impl Peer {
    /// The last usable link to the host went down.
    ///
    /// The reference forgets everything here, so that a copy still on its way is delivered again
    /// when the host is back a moment later. We keep the window until a ping shows whether the
    /// numbers go on (the same process: duplicates stay duplicates) or start over (a restart).
    pub(crate) fn lost(&mut self, now: Instant) {
        self.lost = self.window.newest().map(|newest| Lost { at: now, newest });
    }

    /// A ping came; `heard` is what its link heard before, `reachable` whether the host is not, or no
    /// longer, lost.
    pub(crate) fn ping(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        timed: bool,
        heard: &mut Heard,
        reachable: bool,
        pool: &mut BufferPool,
    ) {
        let generation = self.window.generation();
        self.judge_return(now, sequence, reachable);
        // A ping that says "nothing sent yet" means a restart only if this very link has heard
        // otherwise of the process that we know: over links of different speed an old ping may come
        // after newer data, and each link tells of the same restart.
        let nothing_sent = timed && sequence == SequenceNumber::ZERO;
        let known = heard.sequence == SequenceNumber::ZERO || heard.starts != self.starts;
        if !(nothing_sent && known) {
            self.sync.on_ping(sequence, timed, &mut self.window);
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

    /// After a loss: does the first ping go on where the window is, or start over?
    ///
    /// Pings that go on while the host is still lost settle nothing: our packets do not reach it, and
    /// it may restart before they do.
    fn judge_return(&mut self, now: Instant, sequence: SequenceNumber, reachable: bool) {
        let Some(lost) = self.lost else { return };
        let goes_on = sequence.ahead_of(lost.newest) < HALF_OF_THE_NUMBERS;
        // A ping with an older number may have been on its way since before the loss; only one
        // that is too late for that speaks of a restart.
        let straggler = now.saturating_duration_since(lost.at) < STRAGGLER_TIME;
        if sequence == SequenceNumber::ZERO || (!goes_on && !straggler) {
            self.lost = None;
            self.window.reset();
        } else if goes_on && reachable {
            self.lost = None;
        }
    }
}

/// Numbers up to this far ahead are taken as newer, the others as older.
const HALF_OF_THE_NUMBERS: u16 = 1 << 15;

/// How long a packet may have been on its way when its link was given up.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u16) -> SequenceNumber {
        SequenceNumber::new(n)
    }

    /// A peer that delivered number 100 and was lost then.
    fn lost_peer(now: Instant) -> Peer {
        let mut peer = Peer::default();
        assert!(!peer.window.check_delivered(number(100)).is_seen());
        peer.window.mark_delivered(number(100));
        peer.lost(now);
        peer
    }

    fn ping(peer: &mut Peer, now: Instant, sequence: u16) {
        let mut heard = Heard { sequence: number(100), starts: 0 };
        let mut pool = BufferPool::default();
        peer.ping(now, number(sequence), true, &mut heard, true, &mut pool);
    }

    #[test]
    fn a_copy_is_still_a_copy_when_the_same_process_is_back() {
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
        let mut peer = Peer::default();
        let mut pool = BufferPool::default();
        let (mut fast, mut slow) = (Heard::default(), Heard::default());
        assert!(!peer.window.check_delivered(number(1)).is_seen());
        peer.window.mark_delivered(number(1));
        peer.ping(now, number(1), true, &mut fast, true, &mut pool);
        peer.ping(now, SequenceNumber::ZERO, true, &mut slow, true, &mut pool);
        assert!(peer.window.check_delivered(number(1)).is_seen());
        peer.ping(now, SequenceNumber::ZERO, true, &mut fast, true, &mut pool);
        assert!(!peer.window.check_delivered(number(1)).is_seen(), "the fast link had heard of 1");
    }

    #[test]
    fn a_restart_is_noticed_once_however_many_links_tell_of_it() {
        let now = Instant::now();
        let (mut peer, mut pool) = (Peer::default(), BufferPool::default());
        let (mut fast, mut slow) = (Heard::default(), Heard::default());
        for link in [&mut fast, &mut slow] {
            peer.ping(now, number(500), true, link, true, &mut pool);
        }
        for restart in 0..2 {
            peer.ping(now, SequenceNumber::ZERO, true, &mut fast, true, &mut pool);
            assert!(!peer.window.check_delivered(number(1)).is_seen(), "restart {restart}");
            peer.window.mark_delivered(number(1));
            peer.ping(now, number(1), true, &mut fast, true, &mut pool);
            peer.ping(now, SequenceNumber::ZERO, true, &mut slow, true, &mut pool);
            assert!(peer.window.check_delivered(number(1)).is_seen(), "restart {restart}");
            peer.ping(now, number(1), true, &mut slow, true, &mut pool);
        }
    }
}
