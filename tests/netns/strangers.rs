//! A third machine on the network that sends what it pleases (`docs/hardening.md`, "Unauthenticated
//! hints").

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use knet_tests::forge::Report;
use knet_tests::lan::{Family, Lan, address};
use knet_tests::wait::{DEADLINE, until};
use kronosnet::{DownReason, Error, Link, LinkState, PingTimers};
use nix::libc::{ECONNREFUSED, EHOSTUNREACH};

use crate::member::{Member, PORT};
use crate::traffic::Traffic;

/// Timers so long that pings in quick succession are those of checks.
const TIMERS: PingTimers = PingTimers {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(600),
    precision: 64,
};

/// Two hosts with a link, and a third machine that is no member.
struct Target {
    lan: Lan,
    members: [Member; 2],
    ends: [SocketAddr; 2],
    /// The link of host 1.
    link: Link,
}

impl Target {
    fn new(family: Family) -> Self {
        let lan = Lan::new(3, 1);
        let members = [Member::new(1), Member::new(2)];
        let ips = [1, 2].map(|host| address(family, host, 0));
        let link = members[0].connect(lan.host(1), (2, 0), (ips[0], ips[1]), TIMERS);
        members[1].connect(lan.host(2), (1, 0), (ips[1], ips[0]), TIMERS);
        members.iter().for_each(|member| member.wait_for_first(1, 1));
        Self { lan, members, ends: ips.map(|ip| SocketAddr::new(ip, PORT)), link }
    }
}

/// Forges each report that host 2 cannot be reached, to host 1, again and again.
fn forged_reports(family: Family) {
    let Target { lan, members, ends: [here, there], link } = Target::new(family);
    let pings = || link.status().unwrap().stats.tx_ping_packets;
    let mut traffic = Traffic::new(&members, 3000);
    let (start, before) = (Instant::now(), pings());
    let mut sent = 0;
    // Pings that are due anyway, and one for each of many checks.
    while pings() - before < 10 + start.elapsed().as_secs() {
        assert!(start.elapsed() < DEADLINE, "{sent} reports started no check");
        Report::UNREACHABLE[sent % 3].send(lan.host(3), here, there);
        sent += 1;
        traffic.round();
    }
    let events = |member: &Member| member.link_events.try_iter().count();
    assert_eq!(members.iter().map(events).sum::<usize>(), 0, "a link went down");

    // The peer's socket is closed while the reports go on.
    let other = members[1].link(1, 0);
    other.disable().unwrap();
    other.clear().unwrap();
    let down = loop {
        assert!(start.elapsed() < 2 * DEADLINE, "the closed port was not noticed");
        Report::UNREACHABLE[sent % 3].send(lan.host(3), here, there);
        sent += 1;
        if let Some(notification) = members[0].link_events.try_iter().next() {
            break notification.event.state;
        }
    };
    let reasons = [ECONNREFUSED, EHOSTUNREACH].map(|errno| DownReason::TransportError { errno });
    assert!(reasons.map(LinkState::Down).contains(&down), "{down}");
}

#[test]
fn forged_reports_take_no_link_down() {
    forged_reports(Family::V4);
}

#[test]
fn forged_ipv6_reports_take_no_link_down() {
    forged_reports(Family::V6);
}

/// Ends a flood, also if the test fails.
struct EndOfFlood<'a>(&'a AtomicBool);

impl Drop for EndOfFlood<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Floods host 1 with reports that host 2 cannot be reached while it sends. The kernel returns each of them
/// to the packet that host 1 sends next.
fn forged_refusals(family: Family) {
    let lan = Lan::new(3, 1);
    let members = [Member::new(1), Member::new(2)];
    let [here, there] = [1, 2].map(|host| SocketAddr::new(address(family, host, 0), PORT));
    let link = members[0].connect(lan.host(1), (2, 0), (here.ip(), there.ip()), TIMERS);
    members[1].connect(lan.host(2), (1, 0), (there.ip(), here.ip()), TIMERS);
    members.iter().for_each(|member| member.wait_for_first(1, 1));
    let (sent, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                Report::HostUnreachable.send_while(lan.host(3), here, there, || {
                    sent.fetch_add(1, Relaxed);
                    !done.load(Relaxed)
                });
            });
        }
        let _flood = EndOfFlood(&done);
        let (start, mut messages) = (Instant::now(), 0);
        while sent.load(Relaxed) < 200_000 || messages < 20_000 {
            let reports = sent.load(Relaxed);
            assert!(start.elapsed() < DEADLINE, "{reports} reports, {messages} messages");
            messages += 1;
            // The flood may leave no room for packets on their way, even for those of the heartbeat. But
            // they leave.
            match members[0].datafd.send(&[7; 3000]) {
                Ok(_) | Err(Error::NoReachableHost { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    });
    assert_eq!(link.status().unwrap().stats.tx_errors(), 0);
}

#[test]
fn forged_reports_refuse_no_packet() {
    forged_refusals(Family::V4);
}

#[test]
fn forged_ipv6_reports_refuse_no_packet() {
    forged_refusals(Family::V6);
}

/// Forges reports that packets are too long, with one limit after the other, to host 1.
fn forged_limits(family: Family) {
    let Target { lan, members, ends: [here, there], link } = Target::new(family);
    let path_mtu = || link.status().unwrap().path_mtu;
    until("the MTU of Ethernet is found", || path_mtu() == Some(1500));
    let probes = || link.status().unwrap().stats.tx_pmtu_packets;
    let mut traffic = Traffic::new(&members, 6000);
    let (start, before) = (Instant::now(), probes());
    let mut sent: u16 = 0;
    // A search costs at most four probes here, and there is one per second.
    while probes() - before < 12 {
        assert!(start.elapsed() < DEADLINE, "{sent} reports started no search");
        Report::TooBig(68 + sent % 1400).send(lan.host(3), here, there);
        sent += 1;
        traffic.round();
        assert_eq!(path_mtu(), Some(1500), "after {sent} reports");
    }
    let searches = 2 + start.elapsed().as_secs();
    assert!(probes() - before <= 4 * searches + 8, "{} probes", probes() - before);
    assert!(members.iter().all(|member| member.link_events.is_empty()), "a link went down");
}

#[test]
fn forged_limits_lower_no_mtu() {
    forged_limits(Family::V4);
}

#[test]
fn forged_ipv6_limits_lower_no_mtu() {
    forged_limits(Family::V6);
}
