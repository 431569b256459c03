//! Paths that become narrower and wider again, under traffic (`docs/protocol.md`, "Path MTU
//! discovery").

use std::time::{Duration, Instant};

use knet_tests::cluster::{QUICK, link_id, message};
use knet_tests::lan::{Family, address};
use knet_tests::namespace::Namespace;
use knet_tests::wait::{DEADLINE, next, receive, until};
use knet_tests::wan::{Conditions, interface};
use kronosnet::{DownReason, LinkState, PingTimers, Policy};

use crate::member::{Distant, Member};
use crate::traffic::Traffic;

/// Keeps links up although the machine stalls.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(20), ..QUICK };

/// Returns the overhead of a packet: IP, UDP and the header that MTU arithmetic charges.
fn overhead(family: Family) -> usize {
    match family {
        Family::V4 => 20 + 8 + 26,
        Family::V6 => 40 + 8 + 26,
    }
}

/// Waits until both hosts fragment messages for this MTU.
fn wait_for(members: &[Member], family: Family, mtu: u16) {
    let data_mtu = usize::from(mtu) - overhead(family);
    until(&format!("an MTU of {mtu} bytes is in use"), || {
        found(members, mtu) && members.iter().all(|member| member.handle.data_mtu() == data_mtu)
    });
}

/// Returns `true` if both hosts have found this MTU.
fn found(members: &[Member], mtu: u16) -> bool {
    let links = [members[0].link(2, 0), members[1].link(1, 0)];
    links.iter().all(|link| link.status().unwrap().path_mtu == Some(mtu.into()))
}

/// Makes two hosts on a path whose MTU both have found and search again every second.
fn connected(family: Family, interface_mtu: u16, path: Conditions) -> Distant {
    let pair = Distant::new(1, interface_mtu, 7);
    pair.paths[0].set(path);
    search_often(&pair.members);
    pair.connect(family, PATIENT);
    wait_for(&pair.members, family, path.mtu.min(interface_mtu));
    pair
}

fn search_often(members: &[Member]) {
    for member in members {
        member.handle.set_mtu_interval(Duration::from_secs(1)).unwrap();
    }
}

/// Sends messages while `change` runs and until both hosts have found the new MTU. Until then some
/// may be lost if `may_lose`.
fn change_under_traffic(
    members: &[Member],
    family: Family,
    mtu: u16,
    may_lose: bool,
    change: impl FnOnce(),
) {
    let mut traffic = Traffic::new(members, 6000);
    for _ in 0..20 {
        traffic.round();
    }
    change();
    let give_up = Instant::now() + DEADLINE;
    while !found(members, mtu) {
        assert!(Instant::now() < give_up, "an MTU of {mtu} bytes was not found");
        traffic.round_with_losses(|_, _| may_lose);
    }
    for _ in 0..100 {
        traffic.round();
    }
    wait_for(members, family, mtu);
    assert!(members.iter().all(|member| member.link_events.is_empty()), "the link stayed up");
}

fn narrower_and_wider(family: Family, reports: bool) {
    let wide = Conditions { reports, ..Conditions::default() };
    let pair = connected(family, 1500, wide);
    let narrow = Conditions { mtu: 1400, ..wide };
    change_under_traffic(&pair.members, family, 1400, true, || pair.paths[0].set(narrow));
    change_under_traffic(&pair.members, family, 1500, false, || pair.paths[0].set(wide));
}

#[test]
fn a_path_that_becomes_narrower_with_reports_is_followed() {
    narrower_and_wider(Family::V4, true);
}

#[test]
fn an_ipv6_path_that_becomes_narrower_with_reports_is_followed() {
    narrower_and_wider(Family::V6, true);
}

#[test]
fn a_path_that_becomes_narrower_silently_is_followed() {
    narrower_and_wider(Family::V4, false);
}

#[test]
fn an_ipv6_path_that_becomes_narrower_silently_is_followed() {
    narrower_and_wider(Family::V6, false);
}

/// Narrows the last hop to host 2 behind a router of the kernel, which reports that to host 1.
fn narrower_behind_a_router(family: Family) {
    let router = Namespace::new();
    router.set("ipv4/ip_forward", 1);
    router.set("ipv6/conf/all/forwarding", 1);
    let hosts = [Namespace::new(), Namespace::new()];
    // Each host is in a network of its own.
    let ends = [address(family, 1, 0), address(family, 2, 1)];
    for ((host, end), link) in hosts.iter().zip(ends).zip([0, 1]) {
        let (port, gateway) = (format!("port{link}"), address(family, 254, link));
        router.connect(&port, host, "eth0");
        router.add_address(&port, gateway, family.prefix());
        host.add_address("eth0", end, family.prefix());
        host.ip(&format!("route add default via {gateway}"));
    }
    let members = [Member::new(1), Member::new(2)];
    search_often(&members);
    members[0].connect(&hosts[0], (2, 0), (ends[0], ends[1]), PATIENT);
    members[1].connect(&hosts[1], (1, 0), (ends[1], ends[0]), PATIENT);
    members.iter().for_each(|member| member.wait_for_first(1, 1));
    wait_for(&members, family, 1500);
    // Both ends of the last cable.
    let set = |mtu: u16| {
        router.ip(&format!("link set port1 mtu {mtu}"));
        hosts[1].ip(&format!("link set eth0 mtu {mtu}"));
    };
    change_under_traffic(&members, family, 1400, true, || set(1400));
    change_under_traffic(&members, family, 1500, false, || set(1500));
}

#[test]
fn the_report_of_a_router_is_followed() {
    narrower_behind_a_router(Family::V4);
}

#[test]
fn the_report_of_an_ipv6_router_is_followed() {
    narrower_behind_a_router(Family::V6);
}

#[test]
fn a_narrower_interface_loses_nothing_silently() {
    narrower_interface(Family::V4);
}

#[test]
fn a_narrower_interface_over_ipv6_loses_nothing_silently() {
    narrower_interface(Family::V6);
}

fn narrower_interface(family: Family) {
    let pair = connected(family, 1500, Conditions::default());
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

/// Sends messages until `done`, each of which is refused for its length or arrives, and returns how
/// many were refused.
fn until_flowing(from: &Member, to: &Member, done: impl Fn() -> bool) -> usize {
    let give_up = Instant::now() + DEADLINE;
    let mut refused = 0;
    for number in 0.. {
        assert!(Instant::now() < give_up, "the new MTU was not found");
        // Checked before the last message, so that this one is fragmented for the new MTU.
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

/// Returns conditions with long delays, which lengthen the timeout of probes, so that none is
/// considered lost.
fn slow(mtu: u16) -> Conditions {
    Conditions { mtu, delay: Duration::from_millis(250), ..Conditions::default() }
}

/// Returns the lengths of the probes that were sent on a path of 1500 bytes until its MTU was
/// found.
fn probes_on_ethernet(family: Family, interface_mtu: u16) -> Vec<usize> {
    let pair = Distant::new(1, interface_mtu, 7);
    pair.paths[0].set(slow(1500));
    pair.connect(family, PATIENT);
    let link = pair.members[0].link(2, 0);
    until("the search is over", || !link.status().unwrap().searching_mtu);
    assert_eq!(link.status().unwrap().path_mtu, Some(1500));
    // Pings and replies are shorter.
    pair.paths[0].lengths().into_iter().filter(|&length| length > 500).collect()
}

#[test]
fn if_the_kernel_knows_the_mtu_only_that_is_probed() {
    for family in [Family::V4, Family::V6] {
        assert_eq!(probes_on_ethernet(family, 1500), [1500]);
    }
}

#[test]
fn if_a_router_reports_the_mtu_three_sizes_are_probed() {
    assert_eq!(probes_on_ethernet(Family::V4, 9000), [1500, 1501, 9000]);
}

#[test]
fn if_an_ipv6_router_reports_the_mtu_three_sizes_are_probed() {
    assert_eq!(probes_on_ethernet(Family::V6, 9000), [1500, 1501, 9000]);
}

/// Makes the path of one of two links too narrow for packets of the least size, and wide again.
fn too_narrow_for_data(family: Family, policy: Policy, reports: bool) {
    let (mtu, least) = match family {
        Family::V4 => (400, 576),
        Family::V6 => (1000, 1280),
    };
    let pair = Distant::new(2, 1500, 7);
    pair.paths[0].set(Conditions { mtu, reports, ..Conditions::default() });
    pair.connect(family, PATIENT);
    pair.members.iter().for_each(|member| member.set_policy(policy));
    let too_narrow = LinkState::Down(DownReason::PathTooNarrow { least });
    for member in &pair.members {
        let event = next(&member.link_events);
        assert_eq!((event.link, event.state), (link_id(0), too_narrow));
    }
    let mut traffic = Traffic::new(&pair.members, 6000);
    for _ in 0..200 {
        traffic.round();
    }
    pair.paths[0].set(Conditions { reports, ..Conditions::default() });
    let give_up = Instant::now() + DEADLINE;
    let mut waiting = [true, true];
    while waiting != [false, false] {
        assert!(Instant::now() < give_up, "the wide path is not used");
        traffic.round();
        for (member, waiting) in pair.members.iter().zip(&mut waiting) {
            if let Some(notification) = member.link_events.try_iter().next() {
                let event = notification.event;
                assert_eq!((event.link, event.state), (link_id(0), LinkState::Up));
                *waiting = false;
            }
        }
    }
    for _ in 0..100 {
        traffic.round();
    }
    assert!(pair.members.iter().all(|member| member.host_events.is_empty()), "always reachable");
}

#[test]
fn another_link_takes_over_from_a_path_that_is_too_narrow_for_data() {
    too_narrow_for_data(Family::V4, Policy::Passive, false);
}

#[test]
fn a_path_that_is_too_narrow_for_data_has_no_turn_in_round_robin() {
    too_narrow_for_data(Family::V4, Policy::RoundRobin, true);
}

#[test]
fn another_link_takes_over_from_an_ipv6_path_that_is_too_narrow_for_data() {
    too_narrow_for_data(Family::V6, Policy::Passive, true);
}
