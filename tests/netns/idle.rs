//! Hosts that cannot send, and must not spin.

use std::thread;
use std::time::{Duration, Instant};

use knet_tests::cluster::QUICK;
use knet_tests::lan::{Family, Lan, address, interface};
use knet_tests::wait::{next, next_like, silent, until};
use kronosnet::{LinkEvent, PingTimers};

use crate::member::Member;
use crate::peer_process::{PeerProcess, Report};

/// Pings so far apart that even a busy machine goes to sleep between them.
const TIMERS: PingTimers =
    PingTimers { interval: Duration::from_millis(100), timeout: Duration::from_secs(1), ..QUICK };

/// Closes the path out of host 2, which is a process, checks that it does no more than necessary,
/// and opens the path again.
fn rests_while_closed(family: Family, close: impl Fn(&Lan), open: impl Fn(&Lan)) {
    let lan = Lan::new(2, 1);
    let member = Member::new(1);
    let mut peer = PeerProcess::start(lan.host(2), family, TIMERS);
    let ends = (address(family, 1, 0), address(family, 2, 0));
    member.connect(lan.host(1), (2, 0), ends, TIMERS);
    assert!(next(&member.link_events).state.is_up());

    close(&lan);
    next_like(&member.link_events, |event: &LinkEvent| !event.state.is_up());
    let (start, before) = (Instant::now(), peer.report());
    silent(&member.link_events, Duration::from_secs(2));
    let mut after = peer.report();
    until("it still sends pings", || {
        after = peer.report();
        after.pings > before.pings
    });
    let elapsed = start.elapsed();
    did_no_more_than_ping(before, after, elapsed);

    open(&lan);
    next_like(&member.link_events, |event: &LinkEvent| event.state.is_up());
}

/// Checks that the host only pinged. Its thread sleeps once per ping. A thread that spins sleeps
/// once per failure, or never, and uses all of its processor.
fn did_no_more_than_ping(before: Report, after: Report, elapsed: Duration) {
    let (slept, pings) = (after.slept - before.slept, after.pings - before.pings);
    let expected = pings / 2..=4 * pings + 50;
    assert!(expected.contains(&slept), "{slept} wake-ups for {pings} pings");
    let cpu = after.cpu - before.cpu;
    assert!(cpu < elapsed / 4, "{cpu:?} of {elapsed:?}");
}

#[test]
fn while_an_interface_is_down() {
    both_families(|family| {
        let set = |up| move |lan: &Lan| lan.set_interface(2, 0, up);
        rests_while_closed(family, set(false), set(true));
    });
}

#[test]
fn while_a_cable_is_unplugged() {
    both_families(|family| {
        rests_while_closed(family, |lan| lan.pull(2, 0), |lan| lan.plug(2, 0));
    });
}

/// Removes the peer's address. The kernel finds out by ARP or neighbour discovery, and puts
/// `EHOSTUNREACH` into the error queue.
#[test]
fn while_no_host_has_the_address_of_the_peer() {
    both_families(|family| {
        let leave = |lan: &Lan| {
            lan.set_interface(1, 0, false);
            lan.host(2).ip(&format!("neighbour flush dev {}", interface(0)));
        };
        rests_while_closed(family, leave, |lan| lan.set_interface(1, 0, true));
    });
}

/// Fails with `EHOSTUNREACH`.
#[test]
fn while_a_route_is_unreachable() {
    both_families(|family| refused_by_route(family, "unreachable"));
}

/// Fails with `EACCES`.
#[test]
fn while_a_route_is_prohibited() {
    both_families(|family| refused_by_route(family, "prohibit"));
}

/// Fails with `EINVAL`.
#[test]
fn while_a_route_is_a_blackhole() {
    both_families(|family| refused_by_route(family, "blackhole"));
}

fn refused_by_route(family: Family, refusal: &str) {
    let route = |verb| {
        let to = address(family, 1, 0);
        move |lan: &Lan| lan.host(2).ip(&format!("route {verb} {refusal} {to}"))
    };
    rests_while_closed(family, route("add"), route("del"));
}

/// Runs a test for both families at the same time, each in networks of its own.
fn both_families(test: impl Fn(Family) + Sync) {
    thread::scope(|scope| {
        for family in [Family::V4, Family::V6] {
            let test = &test;
            scope.spawn(move || test(family));
        }
    });
}
