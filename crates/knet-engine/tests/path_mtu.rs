//! Path MTU discovery between two engines.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pair;

use std::time::Duration;

use knet_engine::{Event, MtuEvent, Policy};
use knet_wire::{HostId, LinkId};
use pair::{A, B, HOSTS, LINK, Pair};

/// A pair whose links came up on a path of this MTU, and the searches are over.
fn found(mtu: u16) -> Pair {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = mtu;
    pair.enable(A);
    pair.enable(B);
    pair.run(Duration::from_secs(40));
    pair
}

fn data_mtu(pair: &Pair, at: usize) -> usize {
    pair.status(at, LINK).data_mtu
}

#[test]
fn both_ends_find_what_the_path_takes_and_use_it() {
    for (mtu, data) in [(576, 522), (1280, 1226), (1500, 1446), (9000, 8946), (65_535, 65_481)] {
        let pair = found(mtu);
        for at in [A, B] {
            assert_eq!(data_mtu(&pair, at), data, "{mtu} bytes on the wire");
            assert_eq!(pair.status(at, LINK).path_mtu, Some(usize::from(mtu)));
            assert_eq!(pair.status(at, LINK).overhead, usize::from(mtu) - data);
            assert!(!pair.status(at, LINK).searching_mtu);
            assert_eq!(pair.routes[at].get(HOSTS[1 - at]).unwrap().data_mtu(), data);
            assert_eq!(pair.engines[at].data_mtu(), data);
        }
    }
}

#[test]
fn the_application_is_told_of_another_mtu_only() {
    let reported = |pair: &mut Pair| -> Vec<usize> {
        let mtu = |event| match event {
            Event::Mtu(MtuEvent::Link { data_mtu, .. }) => Some(data_mtu),
            _ => None,
        };
        pair.take_events(A).into_iter().filter_map(mtu).collect()
    };
    let mut pair = found(1500);
    assert_eq!(reported(&mut pair).last(), Some(&1446));
    pair.run(Duration::from_secs(200));
    assert!(reported(&mut pair).is_empty(), "the same was found again");
    assert!(reported(&mut found(576)).is_empty(), "it is what was used from the start");
}

/// The MTU events of the first host, without their host and link.
fn mtu_events(pair: &mut Pair) -> Vec<(&'static str, usize)> {
    let mtu = |event| match event {
        Event::Mtu(event @ MtuEvent::Link { .. }) => Some(("link", event.data_mtu())),
        Event::Mtu(event @ MtuEvent::Host { .. }) => Some(("host", event.data_mtu())),
        Event::Mtu(event) => Some(("handle", event.data_mtu())),
        _ => None,
    };
    pair.take_events(A).into_iter().filter_map(mtu).collect()
}

#[test]
fn links_hosts_and_the_handle_have_their_own_mtu() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.mtu = 1500;
    pair.enable(A);
    pair.enable(B);
    pair.run(Duration::from_secs(10));
    let all = [("host", 522), ("handle", 522), ("link", 1446), ("host", 1446), ("handle", 1446)];
    assert_eq!(mtu_events(&mut pair), all);

    pair.engines[A].set_manual_mtu(pair.now, Some(1000)).unwrap();
    pair.drain(A);
    assert_eq!(mtu_events(&mut pair), [("link", 946), ("host", 946), ("handle", 946)]);
    pair.engines[A].set_manual_mtu(pair.now, Some(1000)).unwrap();
    pair.drain(A);
    assert_eq!(mtu_events(&mut pair), [], "the same again");

    // Without a host in reach there is only the smallest that libknet works with.
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    pair.drain(A);
    assert_eq!(mtu_events(&mut pair), [("handle", 482)]);
    assert_eq!(pair.engines[A].data_mtu(), 482);
}

/// With two links in use the narrower one counts, with one the other does not.
#[test]
fn a_host_is_told_of_the_links_in_use() {
    let mut pair = Pair::up(2, Policy::Passive);
    let wide = LinkId::ALL[1];
    // Both have found that the path takes 576 bytes.
    pair.run(Duration::from_secs(30));
    pair.take_events(A);
    pair.mtu = 1500;
    // A link that is enabled again searches at once; the other one keeps what it found.
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], wide, false).unwrap();
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], wide, true).unwrap();
    pair.drain(A);
    pair.run(Duration::from_secs(10));
    assert_eq!(mtu_events(&mut pair), [("link", 1446)], "link 0 carries the data");
    pair.engines[A].set_priority(pair.now, HOSTS[B], wide, 1).unwrap();
    pair.drain(A);
    assert_eq!(mtu_events(&mut pair), [("host", 1446), ("handle", 1446)]);
    pair.engines[A].set_policy(pair.now, HOSTS[B], Policy::Active).unwrap();
    pair.drain(A);
    assert_eq!(mtu_events(&mut pair), [("host", 522), ("handle", 522)]);
}

#[test]
fn the_mtu_is_still_used_when_the_link_comes_back() {
    let mut pair = found(1500);
    pair.set_cut(B, true);
    pair.run(Duration::from_secs(30));
    assert!(!pair.reachable(A));
    pair.set_cut(B, false);
    while !pair.reachable(A) {
        pair.run(Duration::from_millis(100));
        assert!(data_mtu(&pair, A) == 1446);
    }
}

/// In libknet one call is enough to abort the search that runs.
#[test]
fn a_search_goes_on_while_the_configuration_changes() {
    let search = |configure: fn(&mut Pair)| {
        let mut pair = Pair::up(1, Policy::Passive);
        pair.run(Duration::from_secs(60));
        pair.mtu = 9000;
        pair.engines[A].set_manual_mtu(pair.now, Some(576)).unwrap();
        pair.engines[A].set_manual_mtu(pair.now, None).unwrap();
        pair.drain(A);
        let (start, before) = (pair.now, pair.status(A, LINK).stats.tx_pmtu_packets);
        while pair.status(A, LINK).searching_mtu {
            assert!(pair.now < start + Duration::from_secs(60), "it never ends");
            configure(&mut pair);
            pair.run(Duration::from_millis(10));
        }
        let probes = pair.status(A, LINK).stats.tx_pmtu_packets - before;
        (pair.status(A, LINK).path_mtu, probes, pair.now - start)
    };
    let undisturbed = search(|_| {});
    assert_eq!(undisturbed.0, Some(9000));
    let disturbed = search(|pair| {
        let other = HostId::new(77);
        for policy in [Policy::Active, Policy::Passive] {
            pair.engines[A].set_policy(pair.now, HOSTS[B], policy).unwrap();
        }
        pair.engines[A].set_pong_count(HOSTS[B], LINK, 3).unwrap();
        pair.engines[A].add_host(other).unwrap();
        let link = LinkId::ALL[1];
        pair.engines[A].add_link(pair.now, other, link, pair::path(B, link)).unwrap();
        pair.engines[A].set_link_enabled(pair.now, other, link, true).unwrap();
        pair.engines[A].set_link_enabled(pair.now, other, link, false).unwrap();
        pair.engines[A].clear_link(other, link).unwrap();
        pair.engines[A].remove_host(other).unwrap();
        pair.drain(A);
    });
    assert_eq!(disturbed, undisturbed);
}

#[test]
fn a_wider_path_is_found_at_the_next_search() {
    let mut pair = found(1500);
    pair.engines[A].set_mtu_interval(Duration::from_secs(5)).unwrap();
    pair.mtu = 9000;
    pair.run(Duration::from_secs(70));
    assert_eq!(data_mtu(&pair, A), 8946);
    let now = pair.now;
    pair.mtu = 1500;
    pair.engines[A].handle_mtu_limit(now, pair::socket(LINK), pair::address(B, LINK).ip(), 1500);
    assert_eq!(data_mtu(&pair, A), 1446, "the kernel's word is heeded at once");
}

#[test]
fn an_mtu_set_by_hand_stops_the_search() {
    let mut pair = found(1500);
    let now = pair.now;
    pair.engines[A].set_manual_mtu(now, Some(1000)).unwrap();
    assert_eq!(data_mtu(&pair, A), 946);
    let before = pair.status(A, LINK).stats.tx_pmtu_packets;
    pair.run(Duration::from_secs(200));
    // Answers to the other's probes go on.
    let answers = pair.status(B, LINK).stats.tx_pmtu_packets;
    assert!(pair.status(A, LINK).stats.tx_pmtu_packets - before <= answers);
    assert_eq!(data_mtu(&pair, A), 946);
    let now = pair.now;
    pair.engines[A].set_manual_mtu(now, None).unwrap();
    pair.run(Duration::from_secs(40));
    assert_eq!(data_mtu(&pair, A), 1446);
}

#[test]
fn an_interval_outside_its_range_is_refused() {
    let mut pair = Pair::new(1, Policy::Passive);
    for seconds in [0, 86_401] {
        let error = pair.engines[A].set_mtu_interval(Duration::from_secs(seconds)).unwrap_err();
        assert_eq!(error.errno(), 22, "EINVAL");
    }
    for seconds in [1, 86_400] {
        pair.engines[A].set_mtu_interval(Duration::from_secs(seconds)).unwrap();
        assert_eq!(pair.engines[A].mtu_interval(), Duration::from_secs(seconds));
    }
}
