//! Cables that are unplugged under traffic, and plugged in again.
//!
//! Events bound what may be lost: with the passive policy, the messages to a host from the moment
//! its cable is touched until the sender notices; with the active policy, none.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::{QUICK, link_id};
use knet_tests::lan::{Family, Lan, address};
use knet_tests::wait::{DEADLINE, next, until};
use kronosnet::{DownReason, LinkState, LinkStats, PingTimers, Policy};
use nix::libc::EACCES;

use crate::member::{Member, members};
use crate::traffic::Traffic;

/// Keeps connected links up, however long the machine stalls.
const PATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(600), ..QUICK };

/// Takes links down quickly while they are cut, when every report of a link going down is true.
const IMPATIENT: PingTimers = PingTimers { timeout: Duration::from_secs(1), ..QUICK };

/// Where a link is interrupted.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// At the switch: the host's interface has no carrier, the others notice nothing.
    Cable,
    /// In the host: its interface is down, and nothing can be sent on it.
    Interface,
    /// Host 1 must not send to the host, as behind a firewall.
    Forbidden,
}

impl Cut {
    /// Shortens the timeouts and cuts link 0 of the last host, or lengthens them and restores it.
    fn set_among(self, members: &[Member], lan: &Lan, family: Family, works: bool) {
        let timers = if works { PATIENT } else { IMPATIENT };
        let set_timers = || {
            for (from, to) in self.concerns(lan.hosts()) {
                let link = members[usize::from(from) - 1].link(to, 0);
                link.set_ping_timers(timers).unwrap();
            }
        };
        if works {
            set_timers();
        }
        self.set(lan, family, works);
        if !works {
            set_timers();
        }
    }

    /// Cuts or restores link 0 of the last host.
    fn set(self, lan: &Lan, family: Family, works: bool) {
        let host = lan.hosts();
        match (self, works) {
            (Self::Cable, false) => lan.pull(host, 0),
            (Self::Cable, true) => lan.plug(host, 0),
            (Self::Interface, works) => lan.set_interface(host, 0, works),
            (Self::Forbidden, works) => {
                let (verb, to) = (if works { "del" } else { "add" }, address(family, host, 0));
                lan.host(1).ip(&format!("route {verb} prohibit {to}"));
            }
        }
    }

    /// Returns the pairs of hosts of which the first notices that its link to the second is down.
    fn concerns(self, hosts: u16) -> BTreeSet<(u16, u16)> {
        let others = if matches!(self, Self::Forbidden) { 1..2 } else { 1..hosts };
        others.flat_map(|other| [(other, hosts), (hosts, other)]).collect()
    }
}

/// Cuts the first link of the last host under traffic, and restores it once every affected host has
/// noticed.
fn cut_and_restore(hosts: u16, family: Family, policy: Policy, cut: Cut) {
    let lan = Lan::new(hosts, 2);
    let members = members(&lan, 2, family, PATIENT);
    members.iter().for_each(|member| member.set_policy(policy));
    let mut traffic = Traffic::new(&members, 3000);
    for _ in 0..50 {
        traffic.round();
    }
    for works in [false, true] {
        let mut waiting = cut.concerns(hosts);
        let give_up = Instant::now() + DEADLINE;
        thread::scope(|scope| {
            let (lan, members) = (&lan, &members);
            let done = scope.spawn(move || cut.set_among(members, lan, family, works));
            while !waiting.is_empty() || !done.is_finished() {
                assert!(Instant::now() < give_up, "{waiting:?} did not notice");
                let may_lose =
                    |from, to| policy == Policy::Passive && !works && waiting.contains(&(from, to));
                traffic.round_with_losses(may_lose);
                for member in members {
                    note_changes(member, works, &mut waiting);
                }
            }
        });
        for _ in 0..50 {
            traffic.round();
        }
    }
    if policy == Policy::Active {
        assert_eq!(traffic.lost(), 0);
    }
    assert!(
        members.iter().all(|member| member.host_events.is_empty()),
        "every host stayed reachable"
    );
}

/// Removes from `waiting` the pairs whose first host has noticed the change.
fn note_changes(member: &Member, works: bool, waiting: &mut BTreeSet<(u16, u16)>) {
    for event in member.link_events.try_iter().map(|notification| notification.event) {
        assert_eq!((event.link, event.state.is_up()), (link_id(0), works), "{event:?}");
        let pair = (member.id(), event.host.get());
        assert!(waiting.remove(&pair), "reported twice, or for the wrong link: {event:?}");
    }
}

#[test]
fn passive_loses_messages_only_until_it_notices_an_unplugged_cable() {
    cut_and_restore(2, Family::V4, Policy::Passive, Cut::Cable);
}

#[test]
fn passive_loses_messages_only_until_it_notices_an_interface_that_is_down() {
    cut_and_restore(2, Family::V4, Policy::Passive, Cut::Interface);
}

#[test]
fn passive_over_ipv6_loses_messages_only_until_it_notices() {
    cut_and_restore(2, Family::V6, Policy::Passive, Cut::Cable);
    cut_and_restore(2, Family::V6, Policy::Passive, Cut::Interface);
}

#[test]
fn passive_loses_nothing_between_hosts_that_stay_connected() {
    cut_and_restore(3, Family::V4, Policy::Passive, Cut::Cable);
}

/// Prohibits sending by a route, as a firewall would. The only link waits for a pong as long as
/// ever, but reports why none came, and still does once it is enabled again.
#[test]
fn a_link_that_must_not_send_reports_the_reason() {
    for family in [Family::V4, Family::V6] {
        let lan = Lan::new(2, 1);
        let members = members(&lan, 1, family, PATIENT);
        let link = members[0].link(2, 0);
        let forbidden = LinkState::Down(DownReason::TransportError { errno: EACCES });
        Cut::Forbidden.set_among(&members, &lan, family, false);
        assert_eq!(next(&members[0].link_events).state, forbidden);
        let sent = |stats: &LinkStats| (stats.tx_ping_packets, stats.tx_pong_packets);
        let before = link.status().unwrap().stats;
        until("no pong can be sent either", || {
            link.status().unwrap().stats.tx_pong_errors > before.tx_pong_errors
        });
        let stats = link.status().unwrap().stats;
        assert!(stats.tx_ping_errors > 0);
        assert_eq!(
            sent(&stats),
            sent(&before),
            "packets that were not sent are not counted as sent"
        );
        link.disable().unwrap();
        link.enable().unwrap();
        until("it reports why", || link.status().unwrap().state == forbidden);
        Cut::Forbidden.set_among(&members, &lan, family, true);
        assert_eq!(next(&members[0].link_events).state, LinkState::Up);
    }
}

#[test]
fn passive_loses_nothing_to_others_when_one_host_is_prohibited() {
    cut_and_restore(3, Family::V4, Policy::Passive, Cut::Forbidden);
}

#[test]
fn active_loses_nothing_when_one_host_is_prohibited() {
    cut_and_restore(3, Family::V6, Policy::Active, Cut::Forbidden);
}

#[test]
fn active_loses_nothing_when_a_cable_is_unplugged() {
    cut_and_restore(2, Family::V4, Policy::Active, Cut::Cable);
}

#[test]
fn active_loses_nothing_when_an_interface_is_down() {
    cut_and_restore(2, Family::V4, Policy::Active, Cut::Interface);
}

#[test]
fn active_over_ipv6_loses_nothing_when_a_cable_is_unplugged() {
    cut_and_restore(2, Family::V6, Policy::Active, Cut::Cable);
    cut_and_restore(2, Family::V6, Policy::Active, Cut::Interface);
}

#[test]
fn active_loses_nothing_among_three_hosts() {
    cut_and_restore(3, Family::V6, Policy::Active, Cut::Cable);
}
