//! What is remembered of the messages a host sent: which were delivered, which are half here, and
//! whether it is still the same process that sends.

use std::time::{Duration, Instant};

use knet_wire::SequenceNumber;

use crate::dedup::PeerWindow;
use crate::defrag::{BufferPool, Reassembler};
use crate::sequence_sync::SequenceSync;

/// The receive state of one host.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) window: PeerWindow,
    pub(crate) sync: SequenceSync,
    pub(crate) reassembler: Reassembler,
    /// When the host was lost, until a ping tells whether it is the same process that is back.
    lost_at: Option<Instant>,
}

impl Peer {
    /// The last usable link to the host went down.
    ///
    /// The reference forgets everything here, so that a copy still on its way is delivered again
    /// when the host is back a moment later. We keep the window until a ping shows whether the
    /// numbers go on (the same process: duplicates stay duplicates) or start over (a restart).
    pub(crate) fn lost(&mut self, now: Instant) {
        self.lost_at = Some(now);
    }

    /// A ping came; `on_link` is the number in the last timed ping of the same link.
    pub(crate) fn ping(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        timed: bool,
        on_link: &mut SequenceNumber,
        pool: &mut BufferPool,
    ) {
        let generation = self.window.generation();
        self.judge_return(now, sequence);
        // A ping that says "nothing sent yet" means a restart only if this very link has heard
        // otherwise: over links of different speed an old ping may come after newer data.
        let nothing_sent = sequence == SequenceNumber::ZERO;
        let stale_start = timed && nothing_sent && *on_link == SequenceNumber::ZERO;
        if timed {
            *on_link = sequence;
        }
        if !stale_start {
            self.sync.on_ping(sequence, timed, &mut self.window);
        }
        if self.window.generation() != generation {
            self.reassembler.clear(pool);
        }
    }

    /// After a loss: does the first ping go on where the window is, or start over?
    fn judge_return(&mut self, now: Instant, sequence: SequenceNumber) {
        let (Some(lost_at), Some(newest)) = (self.lost_at, self.window.newest()) else {
            return;
        };
        let goes_on = sequence.ahead_of(newest) < HALF_OF_THE_NUMBERS;
        // A ping with an older number may have been on its way since before the loss; only one
        // that is too late for that speaks of a restart.
        let straggler = now.saturating_duration_since(lost_at) < STRAGGLER_TIME;
        if goes_on && sequence != SequenceNumber::ZERO {
            self.lost_at = None;
        } else if sequence == SequenceNumber::ZERO || !straggler {
            self.lost_at = None;
            self.window.reset();
        }
    }
}

/// Numbers up to this far ahead are taken as newer, the others as older.
const HALF_OF_THE_NUMBERS: u16 = 1 << 15;

/// How long a packet may have been on its way when its link was given up.
const STRAGGLER_TIME: Duration = Duration::from_secs(1);
