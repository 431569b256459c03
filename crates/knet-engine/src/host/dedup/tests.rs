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
