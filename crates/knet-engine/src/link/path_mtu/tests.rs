//! Searches on a path whose narrow place and whose kernel are up to the test.

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
    let conditions = Conditions { version, crypto, patience, interval, last_pong, data_packets: 0 };
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
            let Some(onwire) = discovery.poll_probe(self.now, &self.conditions) else {
                continue;
            };
            self.probes.push(onwire);
            if onwire > self.interface {
                if self.hints {
                    discovery.limit(self.interface, &self.conditions);
                }
                discovery.probe_refused(onwire, &self.conditions);
            } else if onwire <= self.mtu {
                assert!(discovery.probe_answered(onwire));
            }
        }
        self.now = end;
    }

    /// Searches the MTU without prior knowledge.
    fn find(&mut self) -> Option<usize> {
        let mut discovery = PathMtu::default();
        discovery.search(&self.conditions);
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
    assert_eq!(path.probes, [&[65_535; 4][..], &[1500], &[1501; 4]].concat());
}

#[test]
fn a_lost_probe_is_sent_again_before_it_counts() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
    path.mtu = 0;
    path.run(&mut discovery, Duration::from_millis(150));
    assert_eq!(path.probes, [65_535, 1500, 1500], "the first was lost");
    path.mtu = 1500;
    path.run(&mut discovery, Duration::from_secs(5));
    assert_eq!(discovery.verified(), Some(1500));
}

#[test]
fn the_size_in_use_stays_while_a_search_runs() {
    let mut path = path(9000, 9000, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    assert_eq!(discovery.verified(), Some(9000));
    discovery.search(&path.conditions);
    assert!(discovery.is_searching());
    assert_eq!(discovery.verified(), Some(9000));
}

#[test]
fn a_narrower_interface_is_heeded_at_once() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.limit(1400, &path.conditions);
    assert_eq!(discovery.verified(), Some(1400));
    (path.mtu, path.interface) = (1400, 1400);
    path.run(&mut discovery, Duration::from_secs(1));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1400), false));
}

#[test]
fn a_black_hole_is_noticed_and_searched() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
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
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(3));
    path.mtu = 1420;
    path.run(&mut discovery, Duration::from_secs(10));
    assert_eq!(discovery.verified(), Some(1420));
}

#[test]
fn what_a_path_no_longer_takes_is_out_of_use_before_the_search_is_over() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    path.mtu = 1390;
    discovery.suggest(1390, &path.conditions);
    // Two answers at once, four probes of what was in use without one.
    path.run(&mut discovery, Duration::from_millis(1150));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1390), true));
}

#[test]
fn a_silent_link_is_not_taken_for_a_narrow_one() {
    let mut path = path(1500, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.search(&path.conditions);
    let mut now = path.now;
    for _ in 0..10 * MAX_SENDS {
        assert_eq!(discovery.poll_probe(now, &path.conditions), Some(1500));
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
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.search(&path.conditions);
    path.mtu = 576;
    while discovery.verified().is_some() {
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
    discovery.search(&path.conditions);
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
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    // The interface becomes narrower, and the path behind it even more so.
    discovery.limit(4000, &path.conditions);
    (path.interface, path.mtu) = (4000, 1280);
    path.run(&mut discovery, Duration::from_secs(30));
    assert_eq!((discovery.verified(), discovery.is_searching()), (Some(1280), false));
}

#[test]
fn a_wider_path_is_found_at_the_next_search() {
    let mut path = path(1400, 1500, CLEAR, IpVersion::V4);
    let mut discovery = PathMtu::default();
    discovery.search(&path.conditions);
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
    discovery.search(&path.conditions);
    path.run(&mut discovery, Duration::from_secs(1));
    discovery.suggest(600, &path.conditions);
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
    discovery.search(&path.conditions);
    assert!(!discovery.probe_answered(9000));
    assert_eq!(discovery.poll_probe(path.now, &path.conditions), Some(65_535));
    assert!(!discovery.probe_answered(9000));
    assert_eq!(discovery.verified(), None);
    assert!(discovery.probe_answered(65_535));
    assert!(!discovery.probe_answered(65_535), "once");
    assert_eq!(discovery.verified(), Some(65_535));
}

proptest! {
    /// For every path, kernel and cipher, the search finds the longest packet that passes.
    #[test]
    fn what_is_found_is_what_the_path_takes(
        mtu in 1280usize..=65_535,
        extra in 0usize..70_000,
        hints: bool,
        v6: bool,
        crypto in prop_oneof![Just(CLEAR), Just(AES_SHA1), Just(AES_SHA256)],
    ) {
        let version = if v6 { IpVersion::V6 } else { IpVersion::V4 };
        let mut path = path(mtu, mtu + extra, crypto, version);
        path.hints = hints;
        let expected = path.conditions.align_down(mtu);
        prop_assert_eq!(path.find(), expected);
        prop_assert!(path.probes.len() <= 3 * 25, "{} probes", path.probes.len());
    }
}
