//! Tests of which numbers count.

use super::*;

const START: u64 = 1 << 62;

fn at(start: Instant, milliseconds: u64) -> Instant {
    start + Duration::from_millis(milliseconds)
}

#[test]
fn numbers_are_old_once_a_later_one_came_a_second_ago() {
    let start = Instant::now();
    let mut reached = Reached::new(start, START);
    assert!(reached.heard(at(start, 500), START + 10));
    assert!(!reached.is_old(at(start, 1499), START + 9));
    assert!(reached.is_old(at(start, 1500), START + 9));
    assert!(!reached.is_old(at(start, 9000), START + 10));
}

#[test]
fn numbers_of_a_host_that_sends_all_the_time_are_old_after_two_seconds_at_most() {
    let start = Instant::now();
    let mut reached = Reached::new(start, START);
    for ms in 1..=2000 {
        reached.look(at(start, ms));
        reached.heard(at(start, ms), START + ms);
    }
    assert!(reached.is_old(at(start, 2000), START + 1));
    assert!(!reached.is_old(at(start, 2000), START + 1001));
}

#[test]
fn a_single_number_far_ahead_does_not_count() {
    let start = Instant::now();
    let mut reached = Reached::new(start, START);
    for second in 0..5 {
        let now = at(start, second * 1000);
        let real = START + second;
        for ms in [0, 1] {
            assert!(!reached.heard(now + Duration::from_millis(ms), real + 30_000));
        }
        reached.heard(now + Duration::from_millis(10), real);
        assert_eq!(reached.position(), real);
    }
}

#[test]
fn numbers_far_ahead_count_once_others_near_them_came() {
    let start = Instant::now();
    let mut reached = Reached::new(start, START);
    assert!(!reached.heard(start, START + 30_000));
    assert!(!reached.heard(at(start, 99), START + 30_001));
    assert!(reached.heard(at(start, 100), START + 30_002));
    assert_eq!(reached.position(), START + 30_002);
    // Further away again, and somewhere else the next time.
    assert!(!reached.heard(at(start, 200), START + 60_000));
    assert!(!reached.heard(at(start, 900), START + 90_000));
    assert!(reached.heard(at(start, 1000), START + 91_000));
}
