//! Runs of datagrams that the kernel segments (UDP GSO) or coalesces (UDP GRO).
//!
//! A run consists of equally long datagrams from one address to one destination, with the same marking. Passing one through
//! the kernel costs as much as passing a single datagram. The rules are those of `udp(7)`, `UDP_SEGMENT` and
//! `UDP_GRO`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Datagram;

/// The largest number of datagrams in a run (`UDP_MAX_SEGMENTS` before Linux 6.9).
const MAX_SEGMENTS: usize = 64;
/// The largest length of a run in bytes: that of one datagram over IPv4.
const MAX_RUN_BYTES: usize = 65_507;

/// Returns how many of `datagrams`, from the first on, form a run. The last one may be shorter than the
/// others. At least 1, unless there are none.
pub(crate) fn run_length(datagrams: &[Datagram<'_>]) -> usize {
    let Some((first, rest)) = datagrams.split_first() else { return 0 };
    let size = first.len();
    let (mut count, mut bytes) = (1, size);
    for datagram in rest.iter().take(MAX_SEGMENTS - 1) {
        let len = datagram.len();
        let fits = len > 0 && len <= size && bytes + len <= MAX_RUN_BYTES;
        let alike = (datagram.destination, datagram.source, datagram.marking)
            == (first.destination, first.source, first.marking);
        if !fits || !alike {
            break;
        }
        count += 1;
        bytes += len;
        if len < size {
            break;
        }
    }
    count
}

/// The destinations of a socket to which no runs are sent, because a device on the way out refused one. GSO depends
/// on the route: one destination may be behind IPsec while all others are not.
#[derive(Debug, Default)]
pub(crate) struct Segmentation {
    /// Whether there are any. A socket without costs one atomic load per run.
    any: AtomicBool,
    refused: Mutex<Vec<Refused>>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    destination: SocketAddr,
    at: Instant,
}

impl Segmentation {
    /// Returns `true` if runs may be sent to a destination.
    pub(crate) fn allows(&self, destination: SocketAddr) -> bool {
        !self.any.load(Ordering::Relaxed) || self.allows_at(destination, Instant::now())
    }

    fn allows_at(&self, destination: SocketAddr, now: Instant) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|refused| now.saturating_duration_since(refused.at) < RETRY_AFTER);
        self.any.store(!refused.is_empty(), Ordering::Relaxed);
        // With many, it is the kernel or the only device that refuses, not the route.
        refused.len() < MAX_REFUSED && refused.iter().all(|it| it.destination != destination)
    }

    /// Sends no runs to a destination for a while.
    pub(crate) fn refuse(&self, destination: SocketAddr) {
        self.refuse_at(destination, Instant::now());
    }

    fn refuse_at(&self, destination: SocketAddr, at: Instant) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() < MAX_REFUSED {
            refused.push(Refused { destination, at });
            self.any.store(true, Ordering::Relaxed);
        }
    }
}

/// For how many destinations runs are remembered as refused, before none are sent to any.
const MAX_REFUSED: usize = 16;
/// After how long a run is sent to a destination again. Routes and devices change, and an attempt costs one call.
const RETRY_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::QosMarking;

    fn run(lens: &[usize]) -> usize {
        let bytes = vec![0; lens.iter().copied().max().unwrap_or(0)];
        let destination = SocketAddr::from(([127, 0, 0, 1], 1));
        let datagrams: Vec<_> = lens
            .iter()
            .map(|&len| Datagram {
                header: &bytes[..len / 3],
                payload: &bytes[len / 3..len],
                destination,
                source: None,
                marking: None,
            })
            .collect();
        run_length(&datagrams)
    }

    #[test]
    fn a_run_ends_with_the_first_shorter_datagram_and_before_a_longer_one() {
        assert_eq!(run(&[]), 0);
        assert_eq!(run(&[5]), 1);
        assert_eq!(run(&[5, 5, 5]), 3);
        assert_eq!(run(&[5, 5, 4, 4]), 3);
        assert_eq!(run(&[5, 6]), 1);
        assert_eq!(run(&[5, 5, 6]), 2);
        assert_eq!(run(&[5, 0, 5]), 1, "an empty datagram cannot be part of a run");
        assert_eq!(run(&[0, 0]), 1);
    }

    #[test]
    fn a_run_has_no_more_than_the_kernel_takes() {
        assert_eq!(run(&[1; 100]), MAX_SEGMENTS);
        assert_eq!(run(&[20_000; 10]), 3);
        assert_eq!(run(&[MAX_RUN_BYTES, 1]), 1);
        assert_eq!(run(&[MAX_RUN_BYTES - 1, 1]), 2);
        assert_eq!(run(&[65_527, 65_527]), 1, "longer than a run may be, but sent");
    }

    /// Creates a datagram with one of several destinations and markings.
    fn datagram(len: usize, port: u16, mark: u8) -> Datagram<'static> {
        Datagram {
            header: &[0; 8][..len],
            payload: b"",
            destination: SocketAddr::from(([127, 0, 0, 1], port)),
            source: None,
            marking: [None, Some(QosMarking::default()), Some(MARKING)][usize::from(mark)],
        }
    }

    const MARKING: QosMarking = QosMarking { priority: true, dscp: None };

    #[test]
    fn a_run_has_one_source() {
        let from = |last: u8| Some([127, 0, 0, last].into());
        let with = |source| Datagram { source, ..datagram(2, 1, 0) };
        assert_eq!(run_length(&[with(from(1)), with(from(1)), with(from(2))]), 2);
        assert_eq!(run_length(&[with(from(1)), with(None)]), 1);
    }

    #[test]
    fn a_run_has_one_destination_and_one_marking() {
        let ends_before = |other| run_length(&[datagram(2, 1, 0), datagram(2, 1, 0), other]) == 2;
        assert!(!ends_before(datagram(2, 1, 0)));
        assert!(ends_before(datagram(2, 2, 0)));
        assert!(
            ends_before(datagram(2, 1, 1)),
            "an unmarked datagram has not the marking of the socket"
        );
        assert!(ends_before(datagram(2, 1, 2)));
    }

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn a_refused_destination_gets_runs_again_after_a_while_and_others_all_the_time() {
        let (segmentation, now) = (Segmentation::default(), Instant::now());
        segmentation.refuse_at(to(1), now);
        assert!(!segmentation.allows(to(1)) && segmentation.allows(to(2)));
        let later = now + RETRY_AFTER;
        assert!(!segmentation.allows_at(to(1), later - Duration::from_millis(1)));
        assert!(segmentation.allows_at(to(1), later));
        assert!(segmentation.allows(to(1)), "it is forgotten");
    }

    #[test]
    fn many_refused_destinations_stand_for_all_until_they_are_forgotten() {
        let (segmentation, now) = (Segmentation::default(), Instant::now());
        for port in 1..1000 {
            assert_eq!(segmentation.allows_at(to(0), now), usize::from(port) <= MAX_REFUSED);
            segmentation.refuse_at(to(port), now);
        }
        assert!(segmentation.refused.lock().unwrap().len() <= MAX_REFUSED);
        assert!(segmentation.allows_at(to(1), now + RETRY_AFTER));
    }

    proptest! {
        #[test]
        fn all_datagrams_of_a_run_but_the_last_are_equally_long(lens: Vec<u16>) {
            let lens: Vec<usize> = lens.into_iter().map(usize::from).collect();
            let count = run(&lens);
            let run = &lens[..count];
            prop_assert!(count >= 1 || lens.is_empty());
            if let Some((last, equal)) = run.split_last() {
                let size = run[0];
                prop_assert!(equal.iter().all(|&len| len == size));
                prop_assert!(*last <= size);
            }
        }

        #[test]
        fn runs_are_as_long_as_allowed(
            all in proptest::collection::vec((0..4_usize, 0..2_u16, 0..3_u8), 0..200)
        ) {
            let all: Vec<_> = all.into_iter().map(|(len, to, mark)| datagram(len, to, mark)).collect();
            let mut rest = all.as_slice();
            while !rest.is_empty() {
                let (run, others) = rest.split_at(run_length(rest));
                let (first, last) = (run[0], run[run.len() - 1]);
                for datagram in run {
                    prop_assert_eq!(datagram.destination, first.destination);
                    prop_assert_eq!(datagram.marking, first.marking);
                }
                let fits = |next: &&Datagram<'_>| {
                    (1..=first.len()).contains(&next.len())
                        && (next.destination, next.marking) == (first.destination, first.marking)
                };
                let is_open = run.len() < MAX_SEGMENTS && last.len() == first.len();
                prop_assert!(!(is_open && others.first().is_some_and(|next| fits(&next))));
                rest = others;
            }
        }
    }
}
