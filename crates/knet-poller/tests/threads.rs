//! Threads that wait while others add, modify and remove sources: no stale event is reported.

// Clippy exempts tests, but not the functions they call.
#![allow(clippy::unwrap_used)]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use knet_poller::{Events, Interest, Poller, Token};
use nix::sys::eventfd::EventFd;
use nix::unistd::{dup, dup2};

const WAITERS: usize = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// The token of a source that is always readable, so that no wait blocks.
const NOISE: Token = Token(u64::MAX);

fn ready() -> OwnedFd {
    EventFd::from_value(1).unwrap().into()
}

/// Closes the file of `slot` and makes its number refer to `other`, in one step, so that the number is
/// certain to be reused.
fn replace(slot: &mut OwnedFd, other: impl AsFd) {
    dup2(other, slot).unwrap();
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "a waiting thread is stuck or has failed");
        thread::yield_now();
    }
}

/// Stops the waiting threads when a test ends, even if it fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The number *and* the token of a removed source go immediately to one that is never ready. If a wait
/// that began after the removal reports the token, it has reported the removed source.
#[test]
fn nothing_is_reported_after_remove_even_if_number_and_token_are_reused() {
    const ROUNDS: u64 = 1_000;
    const TOKEN: Token = Token(7);
    let poller = Poller::new().unwrap();
    let noise = ready();
    poller.add(&noise, NOISE, Interest::READ).unwrap();
    // Odd while the ready source is removed, even while it may be reported.
    let phase = AtomicU64::new(0);
    let reported_in = AtomicU64::new(u64::MAX);
    let passes: [AtomicU64; WAITERS] = Default::default();
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        for passes in &passes {
            scope.spawn(|| {
                let _stop = StopOnDrop(&stop);
                let mut events = Events::with_capacity(8);
                while !stop.load(Ordering::SeqCst) {
                    let before = phase.load(Ordering::SeqCst);
                    poller.wait(&mut events, Some(PATIENCE)).unwrap();
                    let after = phase.load(Ordering::SeqCst);
                    if events.iter().any(|event| event.token == TOKEN) {
                        assert!(before % 2 == 0 || after != before, "stale in phase {before}");
                        reported_in.store(before, Ordering::SeqCst);
                    }
                    passes.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                }
            });
        }

        let _stop = StopOnDrop(&stop);
        let mut slot = ready();
        for round in 0..ROUNDS {
            poller.add(&slot, TOKEN, Interest::READ).unwrap();
            let even = 2 * round;
            wait_until(|| reported_in.load(Ordering::SeqCst) == even);
            let duplicate = dup(&slot).unwrap();
            poller.remove(&slot).unwrap();
            phase.store(even + 1, Ordering::SeqCst);

            replace(&mut slot, EventFd::new().unwrap());
            poller.add(&slot, TOKEN, Interest::READ).unwrap();
            for passes in &passes {
                let seen = passes.load(Ordering::SeqCst);
                wait_until(|| passes.load(Ordering::SeqCst) >= seen + 2);
            }
            poller.remove(&slot).unwrap();
            phase.store(even + 2, Ordering::SeqCst);
            drop(duplicate);
            replace(&mut slot, ready());
        }
    });
}

/// Threads churn through sources without pausing for the waiting ones. The tokens count up, and a wait
/// must not report a source that was removed before it began.
#[test]
fn waits_report_no_source_that_was_removed_before_they_began() {
    const CHURNERS: usize = 2;
    const GENERATIONS: u64 = 20_000;
    // Most sources are removed before a wait sees them. Every so often one stays until it has been
    // reported, so that the test proves something.
    const PAUSE: u64 = 100;
    const SHIFT: u32 = 32;
    let poller = Poller::new().unwrap();
    let noise = ready();
    poller.add(&noise, NOISE, Interest::READ).unwrap();
    let removed_up_to: [AtomicU64; CHURNERS] = Default::default();
    let last_reported: [AtomicU64; CHURNERS] = Default::default();
    let stop = AtomicBool::new(false);

    thread::scope(|scope| {
        for _ in 0..WAITERS {
            scope.spawn(|| {
                let _stop = StopOnDrop(&stop);
                let mut events = Events::with_capacity(8);
                while !stop.load(Ordering::SeqCst) {
                    let gone = removed_up_to.each_ref().map(|upto| upto.load(Ordering::SeqCst));
                    poller.wait(&mut events, Some(PATIENCE)).unwrap();
                    for event in events.iter().filter(|event| event.token != NOISE) {
                        let churner = (event.token.0 >> SHIFT) as usize;
                        let generation = event.token.0 & u64::from(u32::MAX);
                        assert!(generation > gone[churner], "{generation} of {churner} is stale");
                        last_reported[churner].fetch_max(generation, Ordering::SeqCst);
                    }
                    thread::yield_now();
                }
            });
        }

        let churners: Vec<_> = (0..CHURNERS)
            .map(|churner| {
                let (poller, removed_up_to) = (&poller, &removed_up_to[churner]);
                let last_reported = &last_reported[churner];
                scope.spawn(move || {
                    let mut slot = ready();
                    for generation in 1..=GENERATIONS {
                        let token = Token(((churner as u64) << SHIFT) | generation);
                        poller.add(&slot, token, Interest::NONE).unwrap();
                        poller.modify(&slot, token, Interest::READ).unwrap();
                        if generation % PAUSE == 0 {
                            wait_until(|| last_reported.load(Ordering::SeqCst) == generation);
                        }
                        poller.remove(&slot).unwrap();
                        removed_up_to.store(generation, Ordering::SeqCst);
                        replace(&mut slot, ready());
                    }
                })
            })
            .collect();
        let _stop = StopOnDrop(&stop);
        churners.into_iter().for_each(|churner| churner.join().unwrap());
    });
}
