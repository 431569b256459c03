//! The moves of a dynamic link's peer from one address to another.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What is remembered of the moves of one peer.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// The address that the peer left last, and when.
    left: Option<(SocketAddr, Instant)>,
    reported: Option<Instant>,
    suppressed: u64,
}

/// A move to report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Move {
    /// The peer is back at the address that it left a moment ago.
    pub(crate) contested: bool,
    /// How many moves were not reported since the last one that was.
    pub(crate) suppressed: u64,
}

impl Moves {
    /// Notes that the peer moved. Returns what to report, unless a move was reported within the last
    /// second.
    pub(crate) fn add(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) -> Option<Move> {
        let age = |at: Instant| now.saturating_duration_since(at);
        let contested = self.left.is_some_and(|(left, at)| left == to && age(at) < CONTEST_TIME);
        self.left = Some((from, now));
        if self.reported.is_some_and(|at| age(at) < REPORT_INTERVAL) {
            self.suppressed += 1;
            return None;
        }
        self.reported = Some(now);
        Some(Move { contested, suppressed: std::mem::take(&mut self.suppressed) })
    }
}

/// A peer that is back within this time probably never left: two machines use the id of its host.
const CONTEST_TIME: Duration = Duration::from_secs(10);

/// The time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddr {
        ([10, 0, 0, host], 5405).into()
    }

    #[test]
    fn a_peer_that_is_back_after_a_while_has_moved_twice() {
        let (mut moves, now) = (Moves::default(), Instant::now());
        let first = moves.add(now, address(1), address(2));
        assert_eq!(first, Some(Move { contested: false, suppressed: 0 }));
        let back = moves.add(now + CONTEST_TIME, address(2), address(1));
        assert_eq!(back, Some(Move { contested: false, suppressed: 0 }));
        let again = moves.add(now + CONTEST_TIME * 2 - REPORT_INTERVAL, address(1), address(2));
        assert_eq!(again, Some(Move { contested: true, suppressed: 0 }));
    }

    #[test]
    fn moves_are_reported_once_per_second() {
        let (mut moves, start) = (Moves::default(), Instant::now());
        let mut reported = Vec::new();
        for n in 0..1000u32 {
            let (from, to) = (address((n % 2) as u8), address((1 - n % 2) as u8));
            reported.extend(moves.add(start + Duration::from_millis(10) * n, from, to));
        }
        assert_eq!(reported.len(), 10);
        assert_eq!(reported[0], Move { contested: false, suppressed: 0 });
        assert!(reported[1..].iter().all(|&each| each == Move { contested: true, suppressed: 99 }));
    }
}
