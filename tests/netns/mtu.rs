//! Paths that are narrow, get narrower and get wider again, under traffic (`spec/engine.md` 15).

use std::time::{Duration, Instant};

use knet_tests::cluster::{QUICK, message};
use knet_tests::lan::Family;
use knet_tests::waiting::{DEADLINE, receive, until};
use knet_tests::wan::{Conditions, interface};
use kronosnet::PingTimers;

use crate::member::{Distant, Member};
use crate::traffic::Traffic;

/// A machine that stalls is no broken link here.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(20), ..QUICK };

/// What a packet carries besides the message: IP, UDP and the header that MTU arithmetic charges.
fn overhead(family: Family) -> usize {
    match family {
        Family::V4 => 20 + 8 + 26,
        Family::V6 => 40 + 8 + 26,
    }
}

/// Waits until both hosts cut messages for a path of so many bytes.
fn wait_for(pair: &Distant, family: Family, mtu: usize) {
    for (at, peer) in [(0, 2), (1, 1)] {
        let link = pair.members[at].link(peer, 0);
        until(&format!("{mtu} bytes found"), || link.status().unwrap().path_mtu == Some(mtu));
        let found = pair.members[at].handle.data_mtu();
        assert_eq!(found, mtu - overhead(family));
    }
}

/// Two hosts on a path whose MTU both have found, and look for again every second.
fn connected(family: Family, interface_mtu: u16, path: Conditions) -> Distant {
    let pair = Distant::new(1, interface_mtu, 7);
    pair.ways[0].set(path);
    for member in &pair.members {
        member.handle.set_mtu_interval(Duration::from_secs(1)).unwrap();
    }
    pair.connect(family, PATIENT);
    wait_for(&pair, family, path.mtu.min(interface_mtu).into());
    pair
}

/// Messages flow while `change` happens and until both hosts have found the new MTU; until then
/// some may be lost if `may_lose`.
fn change_under_traffic(
    pair: &Distant,
    family: Family,
    mtu: u16,
    may_lose: bool,
    change: impl FnOnce(),
) {
    let mut traffic = Traffic::new(&pair.members, 6000);
    for _ in 0..20 {
        traffic.round();
    }
    change();
    let links = [pair.members[0].link(2, 0), pair.members[1].link(1, 0)];
    let found =
        || links.iter().all(|link| link.status().unwrap().path_mtu == Some(usize::from(mtu)));
    let give_up = Instant::now() + DEADLINE;
    while !found() {
        assert!(Instant::now() < give_up, "{mtu} was not found");
        traffic.round_with_losses(|_, _| may_lose);
    }
    for _ in 0..100 {
        traffic.round();
    }
    wait_for(pair, family, mtu.into());
    assert!(links.iter().all(|link| link.status().unwrap().stats.down_count == 0));
}

fn narrower_and_wider(family: Family, tells: bool) {
    let wide = Conditions { tells, ..Conditions::default() };
    let pair = connected(family, 1500, wide);
    let narrow = Conditions { mtu: 1400, ..wide };
    change_under_traffic(&pair, family, 1400, true, || pair.ways[0].set(narrow));
    change_under_traffic(&pair, family, 1500, false, || pair.ways[0].set(wide));
}

#[test]
fn a_path_that_gets_narrow_and_says_so_is_followed() {
    narrower_and_wider(Family::V4, true);
}

#[test]
fn an_ipv6_path_that_gets_narrow_and_says_so_is_followed() {
    narrower_and_wider(Family::V6, true);
}

#[test]
fn a_path_that_gets_narrow_silently_is_followed() {
    narrower_and_wider(Family::V4, false);
}

#[test]
fn an_ipv6_path_that_gets_narrow_silently_is_followed() {
    narrower_and_wider(Family::V6, false);
}

#[test]
fn an_interface_that_takes_less_loses_nothing_in_silence() {
    let pair = connected(Family::V4, 1500, Conditions::default());
    let [one, two] = pair.members.as_slice() else { panic!("two hosts") };
    let link = one.link(2, 0);
    let set = |mtu: u16| {
        pair.namespace(1).ip(&format!("link set {} mtu {mtu}", interface(0)));
        until_flowing(one, two, || link.status().unwrap().path_mtu == Some(mtu.into()))
    };
    set(1400);
    let refused = set(1500);
    assert_eq!(refused, 0, "nothing is too long on a wider path");
    assert_eq!(link.status().unwrap().stats.down_count, 0);
}

/// Sends messages until it is so: each is refused for its length, or arrives. How many were refused.
fn until_flowing(from: &Member, to: &Member, done: impl Fn() -> bool) -> usize {
    let give_up = Instant::now() + DEADLINE;
    let mut refused = 0;
    for number in 0.. {
        assert!(Instant::now() < give_up, "the new MTU was not found");
        // Before the last message: that one is cut for the new MTU.
        let last = done();
        match from.datafd.send(&message(6000, number)) {
            Ok(_) => assert!(receive(&to.datafd) == message(6000, number)),
            Err(error) if error.errno() == nix::libc::EMSGSIZE && !last => refused += 1,
            Err(error) => panic!("{error}"),
        }
        if last {
            break;
        }
    }
    refused
}

/// Long delays make for long patience with probes, so that none is taken for lost.
fn slow(mtu: u16) -> Conditions {
    Conditions { mtu, delay: Duration::from_millis(250), ..Conditions::default() }
}

/// The lengths of the probes that left on a path of 1500 bytes until its MTU was found.
fn probes_on_ethernet(family: Family, interface_mtu: u16) -> Vec<usize> {
    let pair = Distant::new(1, interface_mtu, 7);
    pair.ways[0].set(slow(1500));
    pair.connect(family, PATIENT);
    let link = pair.members[0].link(2, 0);
    until("the search is over", || !link.status().unwrap().searching_mtu);
    assert_eq!(link.status().unwrap().path_mtu, Some(1500));
    // Pings and answers are shorter.
    pair.ways[0].lengths().into_iter().filter(|&length| length > 500).collect()
}

#[test]
fn where_the_kernel_knows_the_mtu_nothing_else_is_tried_on_the_wire() {
    for family in [Family::V4, Family::V6] {
        assert_eq!(probes_on_ethernet(family, 1500), [1500]);
    }
}

#[test]
fn where_a_router_tells_the_mtu_three_sizes_are_tried() {
    assert_eq!(probes_on_ethernet(Family::V4, 9000), [1500, 1501, 9000]);
}

#[test]
fn where_an_ipv6_router_tells_the_mtu_three_sizes_are_tried() {
    assert_eq!(probes_on_ethernet(Family::V6, 9000), [1500, 1501, 9000]);
}
