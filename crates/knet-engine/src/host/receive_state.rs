//! The state for receiving messages of one host: which were delivered, which are incomplete, and
//! whether the host was restarted.

use std::time::Instant;

use knet_wire::SequenceNumber;

use super::dedup::DuplicateWindow;
use super::defrag::{BufferPool, Reassembler};
use super::reached::STRAGGLER_TIME;
use super::restart_detection::{Judgement, RestartDetector};
use crate::link::Heard;

/// The receive state of one host.
#[derive(Debug, Default)]
pub(crate) struct ReceiveState {
    pub(crate) window: DuplicateWindow,
    pub(crate) reassembler: Reassembler,
    restarts: RestartDetector,
    /// How often a ping has shown that the host was restarted.
    starts: u32,
    /// When the process that runs was last heard to run, at the latest restart.
    started: Option<Instant>,
}

impl ReceiveState {
    /// Handles the loss of the last usable link to the host.
    ///
    /// libknet forgets everything here, so that a duplicate that is still on its way is delivered
    /// again when the host is back a moment later. This window is kept until a ping shows whether
    /// the numbers continue (the same process: duplicates stay duplicates) or start over (a
    /// restart).
    pub(crate) fn host_lost(&mut self, now: Instant) {
        self.restarts.host_lost(now);
    }

    /// Handles the number in a ping over a link. `reachable` is `true` unless the host is lost.
    /// Returns `true` if the ping is to be answered.
    pub(crate) fn handle_ping(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        timed: bool,
        heard: &mut Heard,
        reachable: bool,
        pool: &mut BufferPool,
    ) -> bool {
        let nothing_sent = sequence == SequenceNumber::ZERO;
        if nothing_sent && !timed {
            // A forced ping announces the message that follows it, and no message is number 0.
            return true;
        }
        if !nothing_sent && self.is_of_predecessor(now, *heard) {
            return false;
        }
        let latest = heard.position.filter(|_| heard.starts == self.starts);
        match self.restarts.judge(now, sequence, &self.window, latest, reachable) {
            Judgement::SameProcess => {}
            Judgement::Unused => self.forget_newer(now, sequence, pool),
            Judgement::Doubtful => return false,
            // An answer harms nobody, unless it is one to a successor.
            Judgement::Unfounded => return true,
            Judgement::Restarted(since) => {
                if nothing_sent {
                    self.starts = self.starts.wrapping_add(1);
                    self.started = Some(since);
                }
                self.forget_newer(now, sequence, pool);
            }
        }
        if !nothing_sent {
            self.follow(now, sequence);
        }
        heard.position = (!nothing_sent).then(|| self.window.position_of(sequence));
        heard.starts = self.starts;
        true
    }

    /// Handles the number of a data packet over a link that `heard` this. Returns `false` if it was
    /// sent by a process that has ended.
    pub(crate) fn handle_data(
        &mut self,
        now: Instant,
        sequence: SequenceNumber,
        heard: Heard,
    ) -> bool {
        let current = !self.is_of_predecessor(now, heard);
        if current {
            self.follow(now, sequence);
            self.restarts.message_came(now);
        }
        current
    }

    fn follow(&mut self, now: Instant, sequence: SequenceNumber) {
        self.window.follow(sequence);
        self.restarts.heard(now, self.window.position_of(sequence));
    }

    /// Returns `true` if the link has heard nothing of the process that runs since a moment ago:
    /// what it carries left before.
    fn is_of_predecessor(&self, now: Instant, heard: Heard) -> bool {
        heard.starts != self.starts
            && self
                .started
                .is_some_and(|started| now.saturating_duration_since(started) < STRAGGLER_TIME)
    }

    /// Forgets the numbers that the next process may use for other messages, from this one on.
    fn forget_newer(&mut self, now: Instant, sequence: SequenceNumber, pool: &mut BufferPool) {
        if sequence == SequenceNumber::ZERO {
            self.window.reset();
            self.restarts.start_over(now, None);
        } else {
            // Older messages went to others, or it is the process that is known, after a forged
            // number: then these are its numbers.
            self.window.rewind(sequence);
            self.restarts.start_over(now, Some(self.window.position()));
        }
        self.reassembler.forget_older(&self.window, pool);
    }
}

#[cfg(test)]
mod tests;
