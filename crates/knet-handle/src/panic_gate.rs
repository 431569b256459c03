//! How often the panics of a filter are reported.
//!
//! A filter that panics on certain bytes does so at the will of their sender.

use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lets one report per [`REPORT_INTERVAL`] pass.
#[derive(Debug, Default)]
pub(crate) struct PanicGate {
    /// Whether there was a panic. Checked first, because it is called for every message.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    not_before: Option<Instant>,
    suppressed: u64,
}

impl PanicGate {
    /// Records a panic. Returns how many were not reported since the last that was, or `None` if this one
    /// is not to be reported either.
    pub(crate) fn record(&self, now: Instant) -> Option<u64> {
        self.any.store(true, Relaxed);
        let mut state = self.state.lock();
        if state.not_before.is_some_and(|at| now < at) {
            state.suppressed += 1;
            return None;
        }
        state.not_before = Some(now + REPORT_INTERVAL);
        Some(std::mem::take(&mut state.suppressed))
    }

    /// Keeps the panic hook of the process from being called for panics of this thread, until the return
    /// value is dropped, if they are not to be reported: by default it writes each to standard error.
    pub(crate) fn silence(&self, now: Instant) -> Option<Silence> {
        if !self.any.load(Relaxed) || self.state.lock().not_before.is_none_or(|at| at <= now) {
            return None;
        }
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let hook = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                if !SILENT.try_with(Cell::get).unwrap_or(false) {
                    hook(info);
                }
            }));
        });
        SILENT.set(true);
        Some(Silence)
    }
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// See [`PanicGate::silence`].
#[derive(Debug)]
pub(crate) struct Silence;

impl Drop for Silence {
    fn drop(&mut self) {
        SILENT.set(false);
    }
}

/// At most one panic is reported in this time.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_panic_per_second_is_reported_with_the_number_of_the_others() {
        let (gate, now) = (PanicGate::default(), Instant::now());
        assert!(gate.silence(now).is_none());
        assert_eq!(gate.record(now), Some(0));
        for _ in 0..5 {
            assert!(gate.silence(now).is_some());
            assert_eq!(gate.record(now), None);
        }
        let later = now + REPORT_INTERVAL;
        assert!(gate.silence(later).is_none());
        assert_eq!(gate.record(later), Some(5));
    }
}
