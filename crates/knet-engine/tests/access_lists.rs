//! Source checks: access lists of dynamic links, addresses of static ones, and links that do not
//! exist (`docs/protocol.md`, "Access lists"; CVE-2026-15812).

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use knet_engine::{
    AclAction, AclEntry, AclError, DownReason, Event, LinkError, LinkState, Policy, Rejection,
    RejectionReason,
};
use knet_wire::{Fragment, HostId, LinkId, Ping};
use pair::{A, B, HOSTS, LINK, Pair, address, data, number, socket};

const OTHER_LINK: LinkId = LinkId::ALL[1];

fn ping(link: LinkId) -> [u8; 26] {
    let ping = Ping { link, cookie: [1; 16], sequence: number(7), timed: true };
    ping.encode_ping(HOSTS[A])
}

fn accept(address: &str) -> AclEntry {
    AclEntry::address(AclAction::Accept, address.parse().unwrap())
}

fn reject(address: IpAddr) -> AclEntry {
    AclEntry::address(AclAction::Reject, address)
}

/// Two hosts; the link of `B` is dynamic, with these entries as its list.
fn listed(entries: &[AclEntry]) -> Pair {
    let mut pair = Pair::dynamic();
    pair.engines[B].clear_acl(HOSTS[A], LINK).unwrap();
    for &entry in entries {
        pair.engines[B].add_acl_entry(HOSTS[A], LINK, entry).unwrap();
    }
    pair.enable(A);
    pair.enable(B);
    pair
}

fn is_up(pair: &Pair) -> bool {
    pair.status(B, LINK).state.is_up()
}

fn rejections(pair: &mut Pair, at: usize) -> Vec<Rejection> {
    let events = pair.take_events(at).into_iter();
    events
        .filter_map(|event| match event {
            Event::Rejected(rejection) => Some(rejection),
            _ => None,
        })
        .collect()
}

/// Returns why host `B` rejects this datagram. It sends no answer.
fn rejected(pair: &mut Pair, source: SocketAddr, datagram: &[u8]) -> RejectionReason {
    pair.take_events(B);
    // Long after the previous report.
    pair.now += Duration::from_secs(2);
    pair.flying.clear();
    pair.arrive_from(B, socket(LINK), source, datagram);
    assert!(pair.flying.is_empty() && pair.astray.is_empty(), "it was answered");
    let [rejection] = &rejections(pair, B)[..] else { panic!("expected one rejection") };
    assert_eq!((rejection.source, rejection.suppressed), (source, 0));
    rejection.reason
}

#[test]
fn a_ping_from_one_links_address_may_not_name_another_link() {
    let mut pair = Pair::new(2, Policy::Passive);
    let reason = rejected(&mut pair, address(A, LINK), &ping(OTHER_LINK));
    assert_eq!(reason, RejectionReason::WrongSource(HOSTS[A], Some(OTHER_LINK)));
    assert_eq!(pair.engines[B].drops().wrong_source, 1);
    assert_eq!(pair.status(B, OTHER_LINK).stats.rx_rejected, 1);
    assert_eq!(pair.status(B, OTHER_LINK).stats.rx_ping_packets, 0);
    assert_eq!(pair.status(B, LINK).stats.rx_rejected, 0);
}

#[test]
fn a_ping_may_not_name_a_link_that_is_not_configured() {
    let mut pair = Pair::new(2, Policy::Passive);
    let reason = rejected(&mut pair, address(A, LINK), &ping(LinkId::ALL[2]));
    assert_eq!(reason, RejectionReason::UnknownLink(HOSTS[A], LinkId::ALL[2]));
    assert_eq!(pair.engines[B].drops().unknown_link, 1);
}

#[test]
fn a_ping_may_not_name_a_link_that_cannot_be() {
    let mut pair = Pair::new(2, Policy::Passive);
    for link in [8, 9, 128, 255] {
        let mut packet = ping(LINK);
        packet[6] = link;
        let reason = rejected(&mut pair, address(A, LINK), &packet);
        assert_eq!(reason, RejectionReason::InvalidLink(link));
        assert_eq!(reason.to_string(), format!("there is no link {link}: 0 to 7"));
    }
    assert_eq!(pair.engines[B].drops().invalid_link, 4);
    for link in pair.links() {
        assert_eq!(pair.status(B, link).stats.rx_ping_packets, 0, "no modulo 8");
    }
}

#[test]
fn a_flood_of_rejected_packets_is_counted_and_reported_once_a_second() {
    let mut pair = Pair::new(1, Policy::Passive);
    let stranger = SocketAddr::from(([10, 9, 9, 9], 1));
    let start = pair.now;
    for ms in 0..3000 {
        pair.now = start + Duration::from_millis(ms);
        pair.arrive_from(B, socket(LINK), stranger, &ping(LINK));
        pair.arrive_from(B, socket(LINK), stranger, &ping(OTHER_LINK));
    }
    let reported = rejections(&mut pair, B);
    let more = |reported: &[Rejection], reason| -> Vec<u64> {
        reported
            .iter()
            .filter(|rejection| rejection.reason == reason)
            .map(|rejection| rejection.suppressed)
            .collect()
    };
    let wrong = RejectionReason::WrongSource(HOSTS[A], Some(LINK));
    // Each reason separately, so that a flood for one does not hide another.
    assert_eq!(more(&reported, wrong), [0, 999, 999]);
    assert_eq!(more(&reported, RejectionReason::UnknownLink(HOSTS[A], OTHER_LINK)), [0, 999, 999]);
    assert_eq!(reported.len(), 6);
    let drops = pair.engines[B].drops();
    assert_eq!((drops.wrong_source, drops.unknown_link), (3000, 3000));
    assert_eq!(pair.status(B, LINK).stats.rx_rejected, 3000);
}

#[test]
fn an_empty_list_accepts_no_source() {
    let mut pair = listed(&[]);
    assert!(pair.engines[B].access_lists(), "on unless turned off");
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.status(B, LINK).remote, None);
    assert_eq!(pair.status(A, LINK).last_pong, None, "it is not even answered");
    let counted = pair.engines[B].drops().access_list;
    assert_eq!(counted, pair.status(B, LINK).stats.rx_rejected);
    assert!(counted >= 10);
    let reported = rejections(&mut pair, B);
    assert!(reported.iter().all(|r| r.reason == RejectionReason::AccessList(HOSTS[A], LINK)));
    assert!(!reported.is_empty());

    pair.engines[B].set_access_lists(false);
    pair.run(Duration::from_secs(10));
    assert!(is_up(&pair));
    assert_eq!(pair.engines[B].drops().access_list, counted);
}

#[test]
fn a_list_that_begins_with_an_accepted_address_accepts_it() {
    let mut pair = listed(&[accept("10.0.0.1")]);
    pair.run(Duration::from_secs(10));
    assert!(is_up(&pair));
}

#[test]
fn a_list_that_changes_counts_from_the_next_packet_on_for_data_too() {
    let mut pair = listed(&[accept("10.0.0.1")]);
    pair.run(Duration::from_secs(20));
    assert!(is_up(&pair));
    let rejected = reject(address(A, LINK).ip());
    pair.engines[B].insert_acl_entry(HOSTS[A], LINK, 0, rejected).unwrap();
    let list = [rejected, accept("10.0.0.1")];
    assert_eq!(pair.engines[B].acl(HOSTS[A], LINK).unwrap(), list);
    pair.arrive(B, LINK, &data(A, number(1), Fragment::Whole, 0, b"rejected"));
    assert!(pair.take_delivered(B).is_empty());
    assert_eq!(pair.engines[B].drops().access_list, 1);
    pair.run(Duration::from_secs(5));
    let state = pair.status(B, LINK).state;
    assert!(matches!(state, LinkState::Down(DownReason::PongTimeout { .. })), "{state}");

    pair.engines[B].remove_acl_entry(HOSTS[A], LINK, rejected).unwrap();
    pair.run(Duration::from_secs(10));
    assert!(is_up(&pair));
}

#[test]
fn a_peer_is_not_followed_to_where_the_list_does_not_let_it_in() {
    let mut pair = listed(&[accept("10.0.0.1")]);
    pair.run(Duration::from_secs(10));
    pair.move_to(A, ([10, 7, 7, 7], 5405).into());
    pair.run(Duration::from_secs(10));
    assert!(!is_up(&pair));
    assert_eq!(pair.status(B, LINK).remote, Some(address(A, LINK)));
    pair.engines[B].add_acl_entry(HOSTS[A], LINK, accept("10.7.7.7")).unwrap();
    pair.run(Duration::from_secs(10));
    assert!(is_up(&pair));
}

#[test]
fn a_static_link_is_bound_to_its_peers_address_whatever_the_switch_says() {
    let mut pair = Pair::new(1, Policy::Passive);
    pair.engines[B].set_access_lists(false);
    let reason = rejected(&mut pair, ([10, 9, 9, 9], 5405).into(), &ping(LINK));
    assert_eq!(reason, RejectionReason::WrongSource(HOSTS[A], Some(LINK)));
    let engine = &mut pair.engines[B];
    let refused = AclError::NotDynamic { host: HOSTS[A], link: LINK };
    let entry = accept("10.9.9.9");
    for answer in [
        engine.add_acl_entry(HOSTS[A], LINK, entry),
        engine.insert_acl_entry(HOSTS[A], LINK, 0, entry),
        engine.remove_acl_entry(HOSTS[A], LINK, entry),
        engine.clear_acl(HOSTS[A], LINK),
    ] {
        assert_eq!(answer, Err(refused.clone()));
    }
    assert_eq!(refused.errno(), 22);
    assert!(engine.acl(HOSTS[A], LINK).unwrap().is_empty());
}

#[test]
fn edits_that_make_no_sense_are_refused() {
    let mut pair = listed(&[accept("10.0.0.1")]);
    let engine = &mut pair.engines[B];
    let add = |engine: &mut knet_engine::Engine, entry| engine.add_acl_entry(HOSTS[A], LINK, entry);
    let six = accept("fd00::1");
    let answers = [
        (add(engine, six), AclError::OtherFamily(six), 22),
        (add(engine, accept("10.0.0.1")), AclError::Listed(accept("10.0.0.1")), 17),
        (
            engine.remove_acl_entry(HOSTS[A], LINK, accept("10.0.0.2")),
            AclError::NotListed(accept("10.0.0.2")),
            2,
        ),
        (
            engine.clear_acl(HostId::new(9), LINK),
            AclError::Link(LinkError::UnknownHost(HostId::new(9))),
            22,
        ),
        (
            engine.clear_acl(HOSTS[A], OTHER_LINK),
            AclError::Link(LinkError::NotConfigured { host: HOSTS[A], link: OTHER_LINK }),
            22,
        ),
    ];
    for (answer, error, errno) in answers {
        assert_eq!(error.errno(), errno, "{error}");
        assert_eq!(answer, Err(error));
    }
    assert_eq!(engine.acl(HOSTS[A], LINK).unwrap(), [accept("10.0.0.1")]);
}
