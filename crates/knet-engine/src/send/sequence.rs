//! The numbers of a handle's messages (`docs/wire-format.md`, "Sequence numbers").

use std::sync::atomic::{AtomicU16, Ordering};

use knet_wire::SequenceNumber;

/// Counts the messages of one handle: 1, 2, …, 65535, 1, 2, …
///
/// One counter serves all destinations, links and channels, and every thread that sends. It never
/// returns the same number twice within 65535 messages, and never 0.
///
/// # Examples
///
/// ```
/// use knet_engine::SequenceCounter;
/// use knet_wire::SequenceNumber;
///
/// let sent = SequenceCounter::new();
/// assert_eq!(sent.current(), SequenceNumber::ZERO);
/// assert_eq!(sent.next(), SequenceNumber::new(1));
/// assert_eq!(sent.current(), SequenceNumber::new(1));
/// ```
#[derive(Debug, Default)]
pub struct SequenceCounter(AtomicU16);

impl SequenceCounter {
    /// Creates a counter before the first message.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU16::new(0))
    }

    /// Returns the number of the message about to be sent.
    ///
    /// Call it only once nothing else can keep the message from being sent: a message that is
    /// refused consumes no number.
    pub fn next(&self) -> SequenceNumber {
        // One step from 65535 to 1: a ping could read a 0 in between, which would announce a
        // restart of this host. Nothing else is published through the counter, so no ordering is
        // needed.
        let step = |last| Some(SequenceNumber::new(last).next().get());
        let (Ok(last) | Err(last)) =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        SequenceNumber::new(last).next()
    }

    /// Returns the number of the last message, which pings carry. Zero before the first message,
    /// and never after it.
    #[must_use]
    pub fn current(&self) -> SequenceNumber {
        SequenceNumber::new(self.0.load(Ordering::Relaxed))
    }
}

/// Returns `true` if [`Engine::force_pings`](crate::Engine::force_pings) has to be called before
/// message `sequence` is sent, or before thousands of others are.
///
/// True for every 8191st message, an eighth of the number space, so that a peer that gets
/// none of our messages can follow their numbers (`docs/protocol.md`, "Forced pings").
///
/// # Examples
///
/// ```
/// use knet_engine::forced_ping_due;
/// use knet_wire::SequenceNumber;
///
/// assert!(forced_ping_due(SequenceNumber::new(8191)));
/// assert!(!forced_ping_due(SequenceNumber::new(8192)));
/// ```
#[must_use]
pub fn forced_ping_due(sequence: SequenceNumber) -> bool {
    sequence != SequenceNumber::ZERO && sequence.get() % FORCED_PING_PERIOD == 0
}

/// The number of messages between two bursts of forced pings: 65535 / 8.
const FORCED_PING_PERIOD: u16 = 8191;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn zero_is_skipped_at_the_wrap() {
        let counter = SequenceCounter::new();
        for expected in (1..=u16::MAX).chain([1, 2]) {
            assert_eq!(counter.next().get(), expected);
            assert_eq!(counter.current().get(), expected);
        }
    }

    #[test]
    fn asking_for_the_current_number_consumes_none() {
        let counter = SequenceCounter::default();
        assert_eq!(counter.current(), SequenceNumber::ZERO);
        assert_eq!(counter.current(), SequenceNumber::ZERO);
        assert_eq!(counter.next(), SequenceNumber::new(1));
    }

    #[test]
    fn threads_share_out_each_number_exactly_once_a_round() {
        const ROUNDS: usize = 3;
        const NUMBERS: usize = 65_535;
        // 65535 = 5 · 13107, so that five equal shares make whole rounds.
        const THREADS: usize = 5;
        let counter = SequenceCounter::new();
        for _ in 0..ROUNDS {
            let mut taken: Vec<u16> = thread::scope(|scope| {
                let take = || (0..NUMBERS / THREADS).map(|_| counter.next().get()).collect();
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
                threads.into_iter().flat_map(|t| -> Vec<u16> { t.join().unwrap() }).collect()
            });
            taken.sort_unstable();
            assert!(taken.into_iter().eq(1..=u16::MAX));
        }
    }

    #[test]
    fn no_reader_sees_the_counter_at_zero_again() {
        let counter = SequenceCounter::new();
        counter.next();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    assert_ne!(counter.current(), SequenceNumber::ZERO);
                }
            });
            for _ in 0..20 * 65_535u32 {
                counter.next();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
    }

    #[test]
    fn forced_pings_are_due_eight_times_a_round() {
        let due: Vec<u16> =
            (0..=u16::MAX).filter(|&s| forced_ping_due(SequenceNumber::new(s))).collect();
        assert_eq!(due, [8191, 16_382, 24_573, 32_764, 40_955, 49_146, 57_337, 65_528]);
    }
}
