//! The duplicate window: which of a host's latest messages were seen before (`docs/protocol.md`,
//! "Duplicate window").

use knet_wire::SequenceNumber;

/// The numbers of one host's messages, from the newest back over 4096 of them.
///
/// ```text
///                 ┌───────── 4096 numbers ────────┐
///   forgotten ... │ 1 0 1 1 ...       1 0 0 1 1 0 │ ... not seen yet
///                 ▲                             ▲
///          newest − 4095                     newest
/// ```
///
/// Two bits belong to each number: *delivered*, the message reached the application, and
/// *started*, a fragment of it was taken for reassembly. Both tables share one window, so they
/// move together. A number ahead of `newest` moves the window there. A number that is further away
/// than the window is long, in either direction, means that the host was restarted or that a very
/// long gap was missed: everything is forgotten, and the window starts over at that number.
///
/// Distances are modulo 65536 and 4096 divides that, so a number keeps its bit across the wrap
/// from 65535 to 1. No operation waits, allocates or depends on a clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct DuplicateWindow {
    /// The newest number seen. While it is `None`, both tables are empty.
    newest: Option<SequenceNumber>,
    delivered: Bits,
    started: Bits,
    generation: u32,
}

/// Whether a number was marked before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Not marked in this window.
    New,
    /// Marked: the packet with this number is a duplicate.
    Seen,
}

impl Verdict {
    pub(crate) fn is_seen(self) -> bool {
        self == Self::Seen
    }
}

impl DuplicateWindow {
    /// Moves the window so that it covers `s`, and returns whether `s` was delivered before.
    ///
    /// Marks nothing: a message that cannot be delivered now may arrive again over another link.
    pub(crate) fn check_delivered(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.delivered.verdict(s)
    }

    /// Moves the window so that it covers `s`, and returns whether reassembly of `s` began before.
    pub(crate) fn check_started(&mut self, s: SequenceNumber) -> Verdict {
        self.follow(s);
        self.started.verdict(s)
    }

    /// Marks `s` as delivered. Has no effect if the window has left `s` behind.
    pub(crate) fn mark_delivered(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            self.delivered.set(s);
        }
    }

    /// Marks `s` as started. Has no effect if the window has left `s` behind.
    pub(crate) fn mark_started(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            self.started.set(s);
        }
    }

    /// Reverts [`DuplicateWindow::mark_delivered`] for a message whose delivery failed.
    ///
    /// `generation` is the value of [`DuplicateWindow::generation`] when `s` was marked. If
    /// everything was forgotten since, `s` may be another message by now and keeps its mark.
    pub(crate) fn unmark_delivered(&mut self, s: SequenceNumber, generation: u32) {
        if generation == self.generation && self.contains(s) {
            self.delivered.unset(s);
        }
    }

    /// Moves the window so that it covers `s`.
    pub(crate) fn follow(&mut self, s: SequenceNumber) {
        if self.contains(s) {
            return;
        }
        if let Some(newest) = self.newest {
            let ahead = s.ahead_of(newest);
            if ahead <= SPAN {
                self.delivered.clear_after(newest, ahead);
                self.started.clear_after(newest, ahead);
            } else {
                self.reset();
            }
        }
        self.newest = Some(s);
    }

    /// Forgets everything: the next number becomes `newest`, whatever it is.
    pub(crate) fn reset(&mut self) {
        self.delivered = Bits::default();
        self.started = Bits::default();
        self.newest = None;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Returns the newest number seen, or `None` before the first one and after a reset.
    pub(crate) fn newest(&self) -> Option<SequenceNumber> {
        self.newest
    }

    /// Returns how often everything was forgotten. State about numbers that is kept outside this
    /// window is void once this has changed.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    fn contains(&self, s: SequenceNumber) -> bool {
        self.newest.is_some_and(|newest| newest.ahead_of(s) < SPAN)
    }
}

/// How many numbers the window spans, `newest` included.
pub(crate) const SPAN: u16 = 4096;

const WORD: u16 = u64::BITS as u16;
const WORDS: usize = (SPAN / WORD) as usize;

/// One bit per number of the window: that of `s` is bit `s` modulo [`SPAN`].
#[derive(Clone, Debug)]
struct Bits([u64; WORDS]);

impl Bits {
    fn verdict(&self, s: SequenceNumber) -> Verdict {
        let (word, bit) = place(s.get());
        if self.0[word] & bit == 0 { Verdict::New } else { Verdict::Seen }
    }

    fn set(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        self.0[word] |= bit;
    }

    fn unset(&mut self, s: SequenceNumber) {
        let (word, bit) = place(s.get());
        self.0[word] &= !bit;
    }

    /// Clears the bits of the `count` numbers that follow `s`, a word at a time.
    fn clear_after(&mut self, s: SequenceNumber, count: u16) {
        let mut next = s.get().wrapping_add(1);
        let mut left = count;
        while left > 0 {
            let run = left.min(WORD - next % WORD);
            let ones = u64::MAX >> (WORD - run);
            let (word, _) = place(next);
            self.0[word] &= !(ones << (next % WORD));
            next = next.wrapping_add(run);
            left -= run;
        }
    }
}

impl Default for Bits {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

/// Returns the word and the bit of a number. The remainder keeps the word below [`WORDS`].
fn place(number: u16) -> (usize, u64) {
    let index = number % SPAN;
    (usize::from(index / WORD), 1 << (index % WORD))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::Verdict::{New, Seen};
    use super::*;

    fn n(number: u16) -> SequenceNumber {
        SequenceNumber::new(number)
    }

    fn delivered(window: &mut DuplicateWindow, number: u16) {
        assert_eq!(window.check_delivered(n(number)), New, "{number}");
        window.mark_delivered(n(number));
    }

    #[test]
    fn the_first_number_is_the_reference_whatever_it_is() {
        for first in [1, 2, 4095, 4096, 30_000, 65_535] {
            let mut window = DuplicateWindow::default();
            assert_eq!(window.newest(), None);
            delivered(&mut window, first);
            assert_eq!(window.newest(), Some(n(first)));
            assert_eq!(window.check_delivered(n(first)), Seen);
        }
    }

    #[test]
    fn a_message_that_was_not_delivered_may_come_again() {
        let mut window = DuplicateWindow::default();
        assert_eq!(window.check_delivered(n(7)), New);
        assert_eq!(window.check_delivered(n(7)), New);
    }

    #[test]
    fn a_late_duplicate_behind_the_newest_is_seen() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 100);
        delivered(&mut window, 101);
        assert_eq!(window.check_delivered(n(100)), Seen);
        assert_eq!(window.newest(), Some(n(101)));
    }

    #[test]
    fn what_comes_late_but_first_is_new_and_does_not_move_the_window_back() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 5000);
        delivered(&mut window, 905);
        assert_eq!(window.newest(), Some(n(5000)));
        assert_eq!(window.check_delivered(n(905)), Seen);
        assert_eq!(window.generation(), 0);
    }

    #[test]
    fn numbers_stay_marked_across_the_wrap() {
        let mut window = DuplicateWindow::default();
        for number in (65_000..=65_535).chain(1..=1000) {
            delivered(&mut window, number);
        }
        for number in (65_000..=65_535).chain(1..=1000) {
            assert_eq!(window.check_delivered(n(number)), Seen, "{number}");
        }
        assert_eq!(window.generation(), 0);
    }

    #[test]
    fn the_longest_step_ahead_keeps_nothing_but_the_generation() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 1000);
        window.mark_started(n(1000));
        delivered(&mut window, 1000 + 4096);
        assert_eq!(window.generation(), 0);
        // 1001 has the bit that 5097 will have, 1000 shares one with 5096.
        assert_eq!(window.check_started(n(5096)), New);
        assert_eq!(window.check_delivered(n(1001)), New);
    }

    #[test]
    fn one_further_in_either_direction_forgets_everything() {
        for jump in [10_000 + 4097, 10_000 - 4096, 50_000] {
            let mut window = DuplicateWindow::default();
            delivered(&mut window, 10_000);
            window.mark_started(n(10_000));
            delivered(&mut window, jump);
            assert_eq!((window.newest(), window.generation()), (Some(n(jump)), 1));
            let neighbours = [jump.wrapping_sub(1), jump.wrapping_add(1)];
            assert!(neighbours.iter().all(|&s| window.clone().check_delivered(n(s)) == New));
            assert_eq!(window.check_started(n(jump)), New);
        }
    }

    #[test]
    fn both_tables_move_together_and_are_marked_apart() {
        let mut window = DuplicateWindow::default();
        window.check_started(n(10));
        window.mark_started(n(10));
        assert_eq!(window.check_delivered(n(10)), New);
        window.mark_delivered(n(10));
        delivered(&mut window, 4106);
        assert_eq!(window.check_started(n(4106)), New, "the bit of 10 was cleared in both");
    }

    #[test]
    fn a_failed_delivery_is_taken_back_only_in_its_own_generation() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 10);
        window.unmark_delivered(n(10), window.generation());
        assert_eq!(window.check_delivered(n(10)), New);

        let before = window.generation();
        window.reset();
        delivered(&mut window, 10);
        window.unmark_delivered(n(10), before);
        assert_eq!(window.check_delivered(n(10)), Seen);
    }

    #[test]
    fn nothing_behind_the_window_is_marked_or_unmarked() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 4096 + 10);
        window.unmark_delivered(n(10), 0);
        assert_eq!(window.check_delivered(n(4106)), Seen);

        let mut window = DuplicateWindow::default();
        window.follow(n(4106));
        window.mark_delivered(n(10));
        window.mark_started(n(10));
        assert_eq!(window.check_delivered(n(4106)), New);
        assert_eq!(window.check_started(n(4106)), New);
    }

    #[test]
    fn a_reset_window_takes_no_marks_until_a_number_is_seen() {
        let mut window = DuplicateWindow::default();
        delivered(&mut window, 10);
        window.reset();
        assert_eq!((window.newest(), window.generation()), (None, 1));
        window.mark_delivered(n(10));
        assert_eq!(window.check_delivered(n(10)), New);
    }

    /// 8.4 word by word, on sets of numbers in place of bits.
    #[derive(Default)]
    struct Model {
        newest: Option<u16>,
        delivered: HashSet<u16>,
        started: HashSet<u16>,
        generation: u32,
    }

    impl Model {
        fn follow(&mut self, s: u16) {
            let Some(newest) = self.newest else {
                self.newest = Some(s);
                return;
            };
            if newest.wrapping_sub(s) <= 4095 {
                return;
            }
            if !(1..=4096).contains(&s.wrapping_sub(newest)) {
                self.delivered.clear();
                self.started.clear();
                self.generation += 1;
            }
            self.newest = Some(s);
            self.delivered.retain(|&old| s.wrapping_sub(old) <= 4095);
            self.started.retain(|&old| s.wrapping_sub(old) <= 4095);
        }

        fn contains(&self, s: u16) -> bool {
            self.newest.is_some_and(|newest| newest.wrapping_sub(s) <= 4095)
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Operation {
        CheckDelivered,
        CheckStarted,
        MarkDelivered,
        MarkStarted,
        Unmark { generations_ago: u32 },
        Deliver,
        Follow,
        Reset,
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            3 => Just(Operation::CheckDelivered),
            3 => Just(Operation::CheckStarted),
            1 => Just(Operation::MarkDelivered),
            2 => Just(Operation::MarkStarted),
            1 => (0..2u32).prop_map(|generations_ago| Operation::Unmark { generations_ago }),
            8 => Just(Operation::Deliver),
            1 => Just(Operation::Follow),
            1 => Just(Operation::Reset),
        ]
    }

    /// How far from the newest number the next one lies.
    fn step() -> impl Strategy<Value = i32> {
        prop_oneof![
            10 => -3..=3i32,
            4 => -100..=100i32,
            2 => prop::sample::select(vec![-4097, -4096, -4095, -4094, 4094, 4095, 4096, 4097]),
            1 => -4096..=4096i32,
            1 => -32_768..=32_767i32,
        ]
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_sets_of_numbers(
            start in prop_oneof![1..=20u16, 4090..=4100u16, 65_500..=65_535u16, 1..=65_535u16],
            operations in prop::collection::vec((operation(), step()), 1..400),
        ) {
            let (mut window, mut model) = (DuplicateWindow::default(), Model::default());
            for (operation, step) in operations {
                let s = model.newest.unwrap_or(start).wrapping_add(step as u16).max(1);
                apply(&mut window, &mut model, operation, s)?;
                prop_assert_eq!(window.newest().map(SequenceNumber::get), model.newest);
                prop_assert_eq!(window.generation(), model.generation);
            }
            // Every number the window covers is right, marked or not.
            if let Some(newest) = model.newest {
                for s in (0..4096).map(|back| newest.wrapping_sub(back)) {
                    let expected = (model.delivered.contains(&s), model.started.contains(&s));
                    let found = (window.check_delivered(n(s)), window.check_started(n(s)));
                    prop_assert_eq!((found.0 == Seen, found.1 == Seen), expected, "{}", s);
                }
            }
        }

        #[test]
        fn nothing_within_the_window_is_delivered_twice(
            start in 1..=65_535u16,
            arrivals in prop::collection::vec(0..4096u16, 1..2000),
        ) {
            // The peer sends one message an arrival; what arrives is any of its last 4096.
            let (mut window, mut delivered) = (DuplicateWindow::default(), HashSet::new());
            let mut sent = 0u32;
            for late in arrivals {
                sent += 1;
                window.follow(n(start.wrapping_add(sent as u16)));
                let Some(arriving) = sent.checked_sub(u32::from(late)) else { continue };
                let s = n(start.wrapping_add(arriving as u16));
                let verdict = window.check_delivered(s);
                prop_assert_eq!(verdict == New, delivered.insert(arriving));
                window.mark_delivered(s);
            }
        }
    }

    fn apply(
        window: &mut DuplicateWindow,
        model: &mut Model,
        operation: Operation,
        s: u16,
    ) -> Result<(), TestCaseError> {
        match operation {
            Operation::CheckDelivered | Operation::Deliver => {
                model.follow(s);
                let seen = window.check_delivered(n(s)) == Seen;
                prop_assert_eq!(seen, model.delivered.contains(&s));
                if matches!(operation, Operation::Deliver) {
                    window.mark_delivered(n(s));
                    model.delivered.insert(s);
                }
            }
            Operation::CheckStarted => {
                model.follow(s);
                let seen = window.check_started(n(s)) == Seen;
                prop_assert_eq!(seen, model.started.contains(&s));
            }
            Operation::MarkDelivered => {
                window.mark_delivered(n(s));
                if model.contains(s) {
                    model.delivered.insert(s);
                }
            }
            Operation::MarkStarted => {
                window.mark_started(n(s));
                if model.contains(s) {
                    model.started.insert(s);
                }
            }
            Operation::Unmark { generations_ago } => {
                window.unmark_delivered(n(s), model.generation.wrapping_sub(generations_ago));
                if generations_ago == 0 && model.contains(s) {
                    model.delivered.remove(&s);
                }
            }
            Operation::Follow => {
                window.follow(n(s));
                model.follow(s);
            }
            Operation::Reset => {
                window.reset();
                *model = Model { generation: model.generation + 1, ..Model::default() };
            }
        }
        Ok(())
    }
}
