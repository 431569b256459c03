//! Tests of the duplicate window.

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
    delivered(&mut window, 50_000);
    for late in [45_905, 45_904, 20_000, 17_233] {
        delivered(&mut window, late);
        assert_eq!(window.newest(), Some(n(50_000)));
        assert_eq!(window.check_delivered(n(late)), Seen);
        assert_eq!(window.check_delivered(n(50_000)), Seen);
    }
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
fn one_step_of_any_length_keeps_the_last_16384_numbers() {
    for step in [1, 4096, 4097, 16_384, 20_000, FURTHEST] {
        let mut window = DuplicateWindow::default();
        for number in 1..=16_384u16 {
            delivered(&mut window, 40_000u16.wrapping_add(number));
            window.mark_started(n(40_000u16.wrapping_add(number)));
        }
        let newest = 40_000u16.wrapping_add(16_384);
        delivered(&mut window, newest.wrapping_add(step));
        for number in 1..=16_384u16 {
            let number = n(40_000u16.wrapping_add(number));
            assert_eq!(window.delivered.verdict(number), Seen, "{number} after {step}");
            assert_eq!(window.started.verdict(number), Seen, "{number} after {step}");
        }
        // What was skipped is new, late or not.
        let skipped =
            [1, step / 2, step.saturating_sub(1)].into_iter().filter(|&s| 0 < s && s < step);
        for skipped in skipped {
            assert_eq!(window.check_delivered(n(newest.wrapping_add(skipped))), New);
        }
        assert_eq!(window.generation(), 0);
    }
}

#[test]
fn a_number_is_new_again_in_the_next_round() {
    let mut window = DuplicateWindow::default();
    for round in 0..3 {
        for number in 1..=65_535 {
            assert_eq!(window.check_delivered(n(number)), New, "{number} in round {round}");
            window.mark_delivered(n(number));
        }
    }
    // The furthest step skips the numbers of half a round.
    let mut window = DuplicateWindow::default();
    let mut number = 1u16;
    for _ in 0..20 {
        delivered(&mut window, number);
        number = number.wrapping_add(FURTHEST);
    }
}

#[test]
fn a_rewind_forgets_what_is_ahead_and_keeps_what_is_behind() {
    let mut window = DuplicateWindow::default();
    for number in 1..=2000 {
        delivered(&mut window, number);
        window.mark_started(n(number));
    }
    let position = window.position_of(n(500));
    window.rewind(n(500));
    assert_eq!((window.newest(), window.position()), (Some(n(500)), position));
    assert_eq!(window.generation(), 1);
    for number in 1..=500 {
        assert_eq!(window.check_delivered(n(number)), Seen, "{number}");
    }
    for number in 501..=2000 {
        assert_eq!(window.check_started(n(number)), New, "{number}");
        delivered(&mut window, number);
    }
}

#[test]
fn both_tables_move_together_and_are_marked_apart() {
    let mut window = DuplicateWindow::default();
    window.check_started(n(10));
    window.mark_started(n(10));
    assert_eq!(window.check_delivered(n(10)), New);
    window.mark_delivered(n(10));
    for number in [30_000, 60_000, 9] {
        window.follow(n(number));
    }
    assert_eq!(window.check_started(n(10)), New, "forgotten in both");
    assert_eq!(window.check_delivered(n(10)), New);
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
fn a_reset_window_takes_no_marks_until_a_number_is_seen() {
    let mut window = DuplicateWindow::default();
    delivered(&mut window, 10);
    window.reset();
    assert_eq!((window.newest(), window.generation()), (None, 1));
    window.mark_delivered(n(10));
    assert_eq!(window.check_delivered(n(10)), New);
}

/// The same with sets of positions in place of bits.
#[derive(Default)]
struct Model {
    newest: Option<i64>,
    delivered: HashSet<i64>,
    started: HashSet<i64>,
    generation: u32,
}

impl Model {
    /// Where a number is, seen from the newest one.
    fn position(&self, s: u16) -> i64 {
        let newest = self.newest.unwrap_or(i64::from(s));
        newest + i64::from(s.wrapping_sub(newest as u16) as i16)
    }

    fn follow(&mut self, s: u16) -> i64 {
        let position = self.position(s);
        let newest = self.newest.map_or(position, |newest| newest.max(position));
        self.newest = Some(newest);
        self.forget();
        position
    }

    fn rewind(&mut self, s: u16) {
        let position = self.position(s);
        self.newest = Some(position);
        self.generation += 1;
        // The bits of the oldest numbers are those of the numbers ahead.
        let reach = position - 32_767..=position;
        self.delivered.retain(|position| reach.contains(position));
        self.started.retain(|position| reach.contains(position));
    }

    fn forget(&mut self) {
        let Some(newest) = self.newest else { return };
        let reach = newest - 49_151..=newest;
        self.delivered.retain(|position| reach.contains(position));
        self.started.retain(|position| reach.contains(position));
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    CheckDelivered,
    CheckStarted,
    Mark,
    Unmark { generations_ago: u32 },
    Deliver,
    Follow,
    Reset,
    Rewind,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Just(Operation::CheckDelivered),
        3 => Just(Operation::CheckStarted),
        2 => Just(Operation::Mark),
        1 => (0..2u32).prop_map(|generations_ago| Operation::Unmark { generations_ago }),
        8 => Just(Operation::Deliver),
        1 => Just(Operation::Follow),
        1 => Just(Operation::Reset),
        1 => Just(Operation::Rewind),
    ]
}

/// How far from the newest number the next one lies.
fn step() -> impl Strategy<Value = i32> {
    prop_oneof![
        10 => -3..=3i32,
        4 => -100..=100i32,
        2 => prop::sample::select(vec![-32_768, -32_767, -16_384, 16_383, 16_384, 16_385, 32_767]),
        1 => -16_384..=16_384i32,
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
            let s = model.newest.map_or(start, |newest| newest as u16).wrapping_add(step as u16);
            apply(&mut window, &mut model, operation, s)?;
            prop_assert_eq!(window.newest().map(SequenceNumber::get), model.newest.map(|n| n as u16));
            prop_assert_eq!(window.generation(), model.generation);
        }
        // Every number is right, marked or not.
        let mut expected = vec![(false, false); 1 << 16];
        for &position in &model.delivered {
            expected[usize::from(position as u16)].0 = true;
        }
        for &position in &model.started {
            expected[usize::from(position as u16)].1 = true;
        }
        let found = |s| {
            (window.delivered.verdict(n(s)).is_seen(), window.started.verdict(n(s)).is_seen())
        };
        let wrong = (0..=u16::MAX).find(|&s| found(s) != expected[usize::from(s)]);
        prop_assert_eq!(wrong, None);
    }

    #[test]
    fn nothing_within_the_window_is_delivered_twice(
        start in 1..=65_535u16,
        arrivals in prop::collection::vec(0..32_768u16, 1..2000),
    ) {
        // The peer sends one message an arrival; what arrives is any of its last 32768.
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
            let position = model.follow(s);
            let seen = window.check_delivered(n(s)) == Seen;
            prop_assert_eq!(seen, model.delivered.contains(&position));
            if matches!(operation, Operation::Deliver) {
                window.mark_delivered(n(s));
                model.delivered.insert(position);
            }
        }
        Operation::CheckStarted => {
            let position = model.follow(s);
            let seen = window.check_started(n(s)) == Seen;
            prop_assert_eq!(seen, model.started.contains(&position));
        }
        Operation::Mark => {
            let position = model.follow(s);
            window.follow(n(s));
            window.mark_delivered(n(s));
            window.mark_started(n(s));
            model.delivered.insert(position);
            model.started.insert(position);
        }
        Operation::Unmark { generations_ago } => {
            window.unmark_delivered(n(s), model.generation.wrapping_sub(generations_ago));
            if generations_ago == 0 {
                let position = model.position(s);
                model.delivered.remove(&position);
                model.delivered.remove(&(position - 65_536));
            }
        }
        Operation::Follow => {
            let before = model.newest;
            model.follow(s);
            prop_assert_eq!(window.follow(n(s)), model.newest != before);
        }
        Operation::Reset => {
            window.reset();
            *model = Model { generation: model.generation + 1, ..Model::default() };
        }
        Operation::Rewind => {
            if model.newest.is_some_and(|newest| model.position(s) <= newest) {
                window.rewind(n(s));
                model.rewind(s);
            }
        }
    }
    Ok(())
}
