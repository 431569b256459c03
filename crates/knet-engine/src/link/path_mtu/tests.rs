//! Searches on a path whose narrow place and whose kernel are up to the test.

use knet_wire::{CryptoSizes, IpVersion};
use proptest::prelude::*;

use super::*;

const CLEAR: CryptoSizes = CryptoSizes::CLEAR;
const AES_SHA1: CryptoSizes = CryptoSizes { block: 16, salt: 16, hash: 20 };
const AES_SHA256: CryptoSizes = CryptoSizes { block: 16, salt: 16, hash: 32 };

/// A path with a narrow place, and what the sender's kernel knows of it.
struct Path {
    now: Instant,
    conditions: Conditions,
    /// The longest IP packet that passes the path.
    mtu: usize,
    /// The MTU of the sender's interface. The kernel refuses longer packets.
    interface: usize,
    /// `true` if the kernel reports that MTU when it refuses a packet.
    hints: bool,
    probes: Vec<usize>,
}

fn path(mtu: usize, interface: usize, crypto: CryptoSizes, version: IpVersion) -> Path {
    let now = Instant::now();
    let patience = Duration::from_millis(100);
    let interval = Duration::from_secs(60);
    let last_pong = Some(now);
    let conditions = Conditions {
        version,
        crypto,
        patience,
        interval,
        last_pong,
        data_packets: 0,
        fresh_cookie: 0,
    };
    Path { now, conditions, mtu, interface, hints: true, probes: Vec::new() }
}

impl Path {
    /// Runs the discovery for `time`, with a pong and a data packet before each step.
    fn run(&mut self, discovery: &mut PathMtu, time: Duration) {
        let end = self.now + time;
        while let Some(at) = discovery.next_timeout(self.now).filter(|&at| at <= end) {
            self.now = at.max(self.now);
            self.conditions.last_pong = Some(self.now + Duration::from_nanos(1));
            self.conditions.data_packets += 1;
            self.conditions.fresh_cookie = self.conditions.fresh_cookie.wrapping_mul(5) + 1;
            let Some(probe) = discovery.poll_probe(self.now, &self.conditions) else {
                continue;
            };
            self.probes.push(probe.onwire);
            if probe.onwire > self.interface {
                if self.hints {
                    discovery.limit(self.now, self.interface, &self.conditions);
                }
                discovery.probe_refused(probe.onwire, &self.conditions);
            } else if probe.onwire <= self.mtu {
                assert!(discovery.probe_answered(probe.cookie));
            }
        }
        self.now = end;
    }

    /// Searches the MTU without prior knowledge.
    fn find(&mut self) -> Option<usize> {
        let mut discovery = PathMtu::default();
        discovery.search();
        while discovery.is_searching() {
            self.run(&mut discovery, Duration::from_millis(100));
        }
        discovery.verified()
    }
}

#[test]
fn with_the_kernels_hint_ethernet_takes_two_probes() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    assert_eq!(path.find(), Some(1500));
    assert_eq!(path.probes, [65_535, 1500]);
    let mut path = super::tests::path(1500, 1500, AES_SHA1, IpVersion::V4);
    assert_eq!(path.find(), Some(1488), "as captured: packet V16");
    assert!(path.probes.len() <= 3, "{:?}", path.probes);
}

#[test]
fn a_silent_ethernet_behind_a_wide_interface_takes_few_sizes() {
    let mut path = path(1500, 65_535, CLEAR, IpVersion::V4);
    assert_eq!(path.find(), Some(1500));
    assert_eq!(path.probes, [&[65_535, 576][..], &[65_535; 4], &[1500], &[1501; 4]].concat());
}

#[test]
fn a_lost_probe_is_sent_again_before_it_counts() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.mtu = 0;
    path.run(&mut discovery, Duration::from_millis(150));
    assert_eq!(path.probes, [65_535, 1500, 576], "the first was lost");
    path.mtu = 1500;
    path.run(&mut discovery, Duration::from_secs(5));
    assert_eq!(discovery.verified(), Some(1500));
}

#[test]
fn the_size_in_use_stays_while_a_search_runs() {
    let mut path = path(9000, 9000, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    assert_eq!(discovery.verified(), Some(9000));
    discovery.search();
    assert!(discovery.is_searching());
    assert_eq!(discovery.verified(), Some(9000));
}

#[test]
fn a_narrower_interface_is_heeded_at_once() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.limit(path.now, 1400, &path.conditions);
    assert_eq!(discovery.verified(), Some(1400));
    (path.mtu, path.interface) = (1400, 1400);
    path.run(&mut discovery, Duration::from_secs(1));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1400), false));
}

#[test]
fn a_black_hole_is_noticed_and_searched() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    path.mtu = 1420;
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!(discovery.verified(), Some(1420));
}

#[test]
fn a_black_hole_is_noticed_however_often_wider_paths_are_looked_for() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    path.conditions.interval = Duration::from_secs(1);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(3));
    path.mtu = 1420;
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!(discovery.verified(), Some(1420));
}

#[test]
fn what_a_path_no_longer_takes_is_out_of_use_before_the_search_is_over() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    path.mtu = 1390;
    discovery.suggest(path.now, 1390);
    // Two answers at once, four probes of what was in use without one.
    path.run(&mut discovery, Duration::from_millis(1150));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1390), true));
}

#[test]
fn a_silent_link_is_not_taken_for_a_narrow_one() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.search();
    let mut now = path.now;
    for _ in 0..40 {
        assert!(discovery.poll_probe(now, &path.conditions).is_some());
        now += Duration::from_secs(1);
    }
    assert_eq!(discovery.verified(), Some(1500));
    path.now = now;
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
}

#[test]
fn a_size_that_did_arrive_gets_another_chance() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.search();
    path.mtu = 576;
    while discovery.verified() == Some(1500) {
        path.run(&mut discovery, Duration::from_millis(100));
    }
    path.mtu = 1500;
    path.run(&mut discovery, Duration::from_secs(3));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
}

#[test]
fn a_refused_check_is_a_narrower_interface_also_without_a_hint() {
    let mut path = path(9000, 9000, CLEAR, IpVersion::V4);
    path.hints = false;
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(9000), false));
    path.interface = 1500;
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
}

#[test]
fn what_the_kernel_takes_is_in_use_only_once_it_arrived() {
    let mut path = path(9000, 9000, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    // The interface becomes narrower, and the path behind it even more so.
    discovery.limit(path.now, 4000, &path.conditions);
    (path.interface, path.mtu) = (4000, 1280);
    path.run(&mut discovery, Duration::from_secs(30));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1280), false));
}

#[test]
fn a_wider_path_is_found_at_the_next_search() {
    let mut path = path(1400, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!(discovery.verified(), Some(1400));
    path.mtu = 1500;
    path.run(&mut discovery, Duration::from_secs(70));
    assert_eq!(discovery.verified(), Some(1500));
}

#[test]
fn a_forged_hint_costs_a_search_and_nothing_else() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.suggest(path.now, 600);
    assert_eq!(discovery.verified(), Some(1500));
    path.run(&mut discovery, Duration::from_secs(3));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
}

#[test]
fn an_unexpected_answer_changes_nothing() {
    let mut discovery = PathMtu::default();
    assert!(!discovery.probe_answered(9000));
    let path = path(1500, 1500, CLEAR, IpVersion::V4);
    discovery.probe_refused(100, &path.conditions);
    assert_eq!(discovery.verified(), None);
    discovery.search();
    assert!(!discovery.probe_answered(0));
    let probe = discovery.poll_probe(path.now, &path.conditions).unwrap();
    assert_eq!(probe.onwire, 65_535);
    assert!(!discovery.probe_answered(probe.cookie.wrapping_add(1)));
    assert_eq!(discovery.verified(), None);
    assert!(discovery.probe_answered(probe.cookie));
    assert!(!discovery.probe_answered(probe.cookie), "once");
    assert_eq!(discovery.verified(), Some(65_535));
}

/// A stranger can reply to a probe that is out, and with enough attempts guess its cookie.
#[test]
fn an_answer_is_not_guessed() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.conditions.fresh_cookie = 40_000;
    let probe = discovery.poll_probe(path.now, &path.conditions).unwrap();
    assert!((0..u16::MAX).all(|guess| !discovery.probe_answered(guess)));
    assert!(!discovery.probe_answered(probe.cookie), "nobody knows who that comes from");
    // With its next time it has another cookie, by which it is answered.
    path.conditions.fresh_cookie = 7;
    path.now = discovery.next_timeout(path.now).unwrap();
    // A probe that is lost once lets the least size go first.
    let least = discovery.poll_probe(path.now, &path.conditions).unwrap();
    assert_eq!((least.onwire, least.cookie), (576, 7));
    for _ in 0..100 {
        assert!(!discovery.probe_answered(40_000));
    }
    path.conditions.fresh_cookie = 9;
    path.now = discovery.next_timeout(path.now).unwrap();
    let again = discovery.poll_probe(path.now, &path.conditions).unwrap();
    assert_eq!((again.onwire, again.cookie), (576, 9));
    assert!(discovery.probe_answered(9));
    assert_eq!(discovery.verified(), Some(576));
}

/// Among many guesses one may be right, but not three times.
#[test]
fn a_reply_among_many_wrong_ones_answers_the_third_time() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    let mut sent = vec![discovery.poll_probe(path.now, &path.conditions).unwrap()];
    while sent.len() < 3 {
        let cookie = sent.last().unwrap().cookie;
        assert!((0..100).all(|guess| !discovery.probe_answered(cookie ^ (guess + 1))));
        assert!((0..9).all(|_| !discovery.probe_answered(cookie)), "{} times sent", sent.len());
        assert_eq!(discovery.verified(), None);
        // It is sent again at once, and no other probe first.
        path.conditions.fresh_cookie = path.conditions.fresh_cookie.wrapping_mul(5) + 1;
        assert!(discovery.next_timeout(path.now).unwrap() <= path.now);
        sent.push(discovery.poll_probe(path.now, &path.conditions).unwrap());
        assert_ne!(sent.last().unwrap().cookie, cookie);
    }
    let cookie = sent.last().unwrap().cookie;
    assert!((0..100).all(|guess| !discovery.probe_answered(cookie ^ (guess + 1))));
    assert!(discovery.probe_answered(cookie));
    assert_eq!(discovery.verified(), Some(65_535));
}

#[test]
fn the_answer_to_another_probe_is_none() {
    let path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    let first = discovery.poll_probe(path.now, &path.conditions).unwrap();
    discovery.probe_refused(first.onwire, &path.conditions);
    // Even if chance gives both the same number.
    let second = discovery.poll_probe(path.now, &path.conditions).unwrap();
    assert_ne!(first.cookie, second.cookie);
    assert!(!discovery.probe_answered(first.cookie));
}

#[test]
fn a_path_that_is_too_narrow_for_data_is_found_in_a_second_or_two() {
    for (version, least) in [(IpVersion::V4, 576), (IpVersion::V6, 1280)] {
        for (interface, hints) in [(65_535, false), (1500, true), (1500, false)] {
            let mut path = path(least - 1, interface, CLEAR, version);
            path.hints = hints;
            let mut discovery = PathMtu::default();
            discovery.search();
            path.run(&mut discovery, Duration::from_millis(1300));
            let found = (discovery.is_too_narrow(), discovery.verified());
            assert_eq!(found, (true, None), "{interface} {hints} {:?}", path.probes);
            assert!(!discovery.is_searching());
        }
    }
}

#[test]
fn a_path_that_becomes_too_narrow_is_noticed_and_so_is_the_end_of_that() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    for _ in 0..3 {
        path.mtu = 575;
        path.run(&mut discovery, Duration::from_secs(10));
        assert!(discovery.is_too_narrow());
        let before = path.probes.len();
        path.run(&mut discovery, Duration::from_secs(600));
        let probes = &path.probes[before..];
        assert!(probes.iter().all(|&onwire| onwire == 576) && probes.len() < 90, "{probes:?}");
        path.mtu = 1500;
        path.run(&mut discovery, Duration::from_secs(10));
        let found = (discovery.is_too_narrow(), discovery.verified());
        assert_eq!(found, (false, Some(1500)));
    }
}

/// Reports of the own kernel are certain.
#[test]
fn an_interface_that_is_too_narrow_for_data_is_heeded_at_once() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    (path.mtu, path.interface) = (400, 400);
    discovery.limit(path.now, 400, &path.conditions);
    assert!(discovery.is_too_narrow());
    path.run(&mut discovery, Duration::from_secs(60));
    assert!(discovery.is_too_narrow());
    assert!(path.probes.len() < 20, "{:?}", path.probes);
    (path.mtu, path.interface) = (1500, 1500);
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!((discovery.is_too_narrow(), discovery.verified()), (false, Some(1500)));
}

#[test]
fn an_interruption_is_no_narrow_path_however_long_it_is() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    // Pongs came until a moment ago, and nothing comes from now on.
    for _ in 0..100 {
        discovery.poll_probe(path.now, &path.conditions);
        path.now = discovery.next_timeout(path.now).unwrap();
    }
    assert!(!discovery.is_too_narrow());
    path.run(&mut discovery, Duration::from_secs(5));
    assert_eq!((discovery.is_too_narrow(), discovery.verified()), (false, Some(1500)));
}

#[test]
fn a_limit_below_what_was_found_in_a_search_undoes_that() {
    let mut path = path(1500, 9000, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    while discovery.verified() != Some(1500) {
        path.run(&mut discovery, Duration::from_millis(100));
    }
    assert!(discovery.is_searching(), "1501 is probed");
    (path.mtu, path.interface) = (1300, 1400);
    discovery.limit(path.now, 1400, &path.conditions);
    for _ in 0..300 {
        path.run(&mut discovery, Duration::from_millis(100));
        assert!(discovery.verified().is_none_or(|verified| verified <= 1400));
    }
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1300), false));
}

/// The kernel returns what forged reports of routers left behind to whatever is sent next.
#[test]
fn a_refusal_that_is_not_repeated_takes_no_size_out_of_use() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    for (onwire, searches) in [(1500, false), (1500, true), (576, true)] {
        if onwire == 576 {
            discovery = PathMtu::default();
            discovery.search();
            discovery.limit(path.now, 576, &path.conditions);
        } else if searches {
            discovery.search();
        }
        while discovery.probe.is_none_or(|probe| probe.onwire != onwire) {
            path.now = discovery.next_timeout(path.now).unwrap();
            path.conditions.data_packets += 1;
            discovery.poll_probe(path.now, &path.conditions);
        }
        let before = discovery.verified();
        discovery.probe_refused(onwire, &path.conditions);
        for _ in 0..100 {
            assert!(discovery.verified() >= before && !discovery.is_too_narrow(), "{onwire}");
            path.run(&mut discovery, Duration::from_millis(100));
        }
        assert!(discovery.verified() >= Some(onwire) && !discovery.is_too_narrow());
    }
}

#[test]
fn a_report_of_what_is_in_use_starts_no_search() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    for limit in [1500, 1501, 65_535] {
        discovery.suggest(path.now, limit);
        assert!(!discovery.is_searching(), "{limit}");
    }
}

#[test]
fn a_flood_of_forged_reports_costs_a_search_a_second() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search();
    path.run(&mut discovery, Duration::from_secs(1));
    let before = path.probes.len();
    for number in 0..10_000 {
        discovery.suggest(path.now, 577 + number % 900);
        path.run(&mut discovery, Duration::from_millis(1));
    }
    let probes = path.probes.len() - before;
    assert!(probes <= 10 * 4, "{probes} probes in 10 s");
    path.run(&mut discovery, Duration::from_secs(1));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1500), false));
}

proptest! {
    /// For every path, kernel and cipher, the search finds the longest packet that passes.
    #[test]
    fn what_is_found_is_what_the_path_takes(
        mtu in 200usize..=65_535,
        extra in 0usize..70_000,
        hints: bool,
        v6: bool,
        crypto in prop_oneof![Just(CLEAR), Just(AES_SHA1), Just(AES_SHA256)],
    ) {
        let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
        let mut path = path(mtu, mtu + extra, crypto, version);
        path.hints = hints;
        let expected = path.conditions.align_down(mtu).filter(|_| mtu >= version.min_onwire());
        prop_assert_eq!(path.find(), expected);
        prop_assert!(path.probes.len() <= 4 * 25, "{} probes", path.probes.len());
    }
}
