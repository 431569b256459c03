//! Restart detection from the sequence numbers in pings (`docs/protocol.md`, "Restart detection").
//!
//! A sender counts its messages to all hosts in 16 bits. A host that gets few of them would lose
//! track, and take a new message for a duplicate of one that had the same number a round before.
//! Pings keep it up to date: a timed ping with number 0 shows that the sender was restarted, and a
//! forced ping, one per eighth of the number space, that many messages went to other hosts.

use knet_wire::SequenceNumber;

use super::dedup::DuplicateWindow;

/// The numbers in the latest pings of one host.
///
/// The loss of the host does not change this, because the numbers continue from where they were.
#[derive(Debug, Default)]
pub(crate) struct RestartDetector {
    /// The number in the latest forced ping. A burst has one ping per link; only the first counts.
    last_forced: SequenceNumber,
    /// The number in the latest timed ping.
    last_timed: SequenceNumber,
    /// `true` if a data packet came since the latest burst of forced pings.
    got_data: bool,
}

impl RestartDetector {
    /// Handles the number in a ping over any link. Moves or resets the window of the host.
    pub(crate) fn on_ping(
        &mut self,
        sequence: SequenceNumber,
        timed: bool,
        window: &mut DuplicateWindow,
    ) {
        if timed {
            self.on_timed(sequence, window);
        } else if sequence != SequenceNumber::ZERO {
            // A forced ping announces the message that follows it, and no message is number 0.
            self.on_forced(sequence, window);
        }
    }

    /// Notes that a data packet of the host came in.
    pub(crate) fn on_data(&mut self) {
        self.got_data = true;
    }

    fn on_timed(&mut self, sequence: SequenceNumber, window: &mut DuplicateWindow) {
        if sequence == self.last_timed {
            return;
        }
        self.last_timed = sequence;
        if sequence == SequenceNumber::ZERO {
            window.reset();
        }
    }

    fn on_forced(&mut self, sequence: SequenceNumber, window: &mut DuplicateWindow) {
        if sequence != self.last_forced {
            self.last_forced = sequence;
            let flowing = std::mem::take(&mut self.got_data);
            if !flowing {
                window.reset();
            }
        }
        window.follow(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::dedup::Verdict::{self, New, Seen};

    const TIMED: bool = true;
    const FORCED: bool = false;

    #[derive(Default)]
    struct Receiver {
        sync: RestartDetector,
        window: DuplicateWindow,
    }

    impl Receiver {
        fn ping(&mut self, sequence: u16, timed: bool) {
            self.sync.on_ping(SequenceNumber::new(sequence), timed, &mut self.window);
        }

        /// Delivers message `sequence`. Returns whether the window had seen it.
        fn data(&mut self, sequence: u16) -> Verdict {
            let sequence = SequenceNumber::new(sequence);
            self.sync.on_data();
            let verdict = self.window.check_delivered(sequence);
            self.window.mark_delivered(sequence);
            verdict
        }
    }

    #[test]
    fn a_timed_zero_makes_old_numbers_deliverable_again() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(100), New);
        receiver.ping(100, TIMED);
        assert_eq!(receiver.data(100), Seen);
        receiver.ping(0, TIMED);
        assert_eq!(receiver.window.newest(), None);
        assert_eq!(receiver.data(100), New);
    }

    #[test]
    fn a_repeated_timed_zero_forgets_only_once() {
        let mut receiver = Receiver::default();
        receiver.ping(100, TIMED);
        receiver.ping(0, TIMED);
        assert_eq!(receiver.data(1), New);
        receiver.ping(0, TIMED);
        assert_eq!(receiver.data(1), Seen);
    }

    #[test]
    fn the_very_first_timed_zero_does_nothing() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(1), New);
        receiver.ping(0, TIMED);
        assert_eq!(receiver.data(1), Seen);
        assert_eq!(receiver.window.generation(), 0);
    }

    #[test]
    fn other_timed_pings_do_not_touch_the_window() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(1), New);
        receiver.ping(30_000, TIMED);
        assert_eq!(receiver.window.newest(), Some(SequenceNumber::new(1)));
        assert_eq!(receiver.data(1), Seen);
    }

    #[test]
    fn a_forced_ping_after_data_keeps_the_window() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(8190), New);
        receiver.ping(8191, FORCED);
        assert_eq!(receiver.data(8190), Seen);
        assert_eq!(receiver.data(8191), New, "announced, but not received yet");
    }

    #[test]
    fn two_forced_pings_without_data_in_between_forget() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(8190), New);
        receiver.ping(8191, FORCED);
        assert_eq!(receiver.window.generation(), 0);
        receiver.ping(8192, FORCED);
        assert_eq!(receiver.window.generation(), 1);
        assert_eq!(receiver.window.newest(), Some(SequenceNumber::new(8192)));
        assert_eq!(receiver.data(8190), New);
    }

    #[test]
    fn a_burst_counts_once_however_many_links_carry_it() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(8190), New);
        for _link in 0..8 {
            receiver.ping(8191, FORCED);
        }
        assert_eq!(receiver.data(8190), Seen);
        assert_eq!(receiver.window.generation(), 0);
    }

    #[test]
    fn a_late_copy_of_a_burst_does_not_use_up_the_data_that_came_since() {
        let mut receiver = Receiver::default();
        receiver.ping(8191, FORCED);
        assert_eq!(receiver.data(8191), New);
        receiver.ping(8191, FORCED);
        receiver.ping(8192, FORCED);
        assert_eq!(receiver.data(8191), Seen);
    }

    #[test]
    fn a_host_that_gets_no_data_follows_the_numbers_of_its_peer() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.data(1), New);
        // The peer sends 65535 messages to others; then its counter is back at 1.
        for burst in 1..=8 {
            receiver.ping(burst * 8191, FORCED);
        }
        assert_eq!(receiver.data(1), New);
        assert_eq!(receiver.data(1), Seen);
    }

    #[test]
    fn a_forced_zero_is_no_message_number() {
        let mut receiver = Receiver::default();
        receiver.ping(8191, FORCED);
        assert_eq!(receiver.data(8191), New);
        receiver.ping(0, FORCED);
        assert_eq!(receiver.window.newest(), Some(SequenceNumber::new(8191)));
        assert_eq!(receiver.data(8191), Seen);
    }
}
