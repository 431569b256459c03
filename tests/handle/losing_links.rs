//! Links that go down by themselves: silence, a peer that the kernel reports as gone, and the
//! events that follow (`docs/protocol.md`, "Link state" and "Kernel errors").

use std::net::UdpSocket;
use std::time::Duration;

use knet_tests::cluster::{
    Cluster, QUICK, link_id, message, node, stats, wait_until_reachable, watch,
};
use knet_tests::relay::Relay;
use knet_tests::wait::{next, next_like, receive, until};
use kronosnet::{
    Datafd, DownReason, Error, Handle, HostEvent, HostId, LinkEvent, LinkState, PingTimers, Policy,
};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// The shortest timeout. It is tenfold on a new link, and shrinks by one multiple per second.
const IMPATIENT: PingTimers = PingTimers { timeout: PingTimers::MIN_TIMEOUT, ..QUICK };

/// Makes two hosts with this many links, each through a relay of its own.
fn relayed(links: u8) -> ((Handle, Datafd), (Handle, Datafd), Vec<Relay>) {
    let (one, two) = (node(1), node(2));
    let events = [&one, &two].map(|node| (node.0.link_events(), node.0.host_events()));
    let mut relays = Vec::new();
    for link in 0..links {
        let (here, there) = (one.0.bind(ANY.into()).unwrap(), two.0.bind(ANY.into()).unwrap());
        let relay = Relay::between(here.addr(), there.addr());
        watch(&one.0, 2, link, here.addr(), relay.for_one(), IMPATIENT);
        watch(&two.0, 1, link, there.addr(), relay.for_two(), IMPATIENT);
        relays.push(relay);
    }
    // Streams that are opened afterwards do not report these events.
    for (link_events, host_events) in events {
        for _ in 0..links {
            assert!(next(&link_events).state.is_up());
        }
        assert!(next(&host_events).reachable);
    }
    (one, two, relays)
}

fn is_down(event: &LinkEvent) -> bool {
    !event.state.is_up()
}

#[test]
fn silence_takes_a_link_down_and_an_answer_brings_it_up() {
    let ((one, from), (two, to), relays) = relayed(1);
    let (links, hosts) = (one.link_events(), one.host_events());
    relays[0].cut();
    let event = next_like(&links, is_down);
    assert_eq!((event.host, event.link), (HostId::new(2), link_id(0)));
    let LinkState::Down(DownReason::PongTimeout { silence }) = event.state else {
        panic!("{event:?}")
    };
    assert!(silence >= IMPATIENT.timeout, "{silence:?}");
    let event = next(&hosts);
    assert_eq!((event.host, event.reachable), (HostId::new(2), false));
    assert!(matches!(from.send(b"to nobody"), Err(Error::NoReachableHost { .. })));
    let status = one.host(HostId::new(2)).unwrap().status().unwrap();
    assert!(!status.reachable && status.active_links.is_empty() && status.data_mtu.is_none());
    let waiting =
        one.host(HostId::new(2)).unwrap().wait_until_reachable(Duration::ZERO).unwrap_err();
    assert!(waiting.to_string().contains("link 0 is down: no pong for "), "{waiting}");

    relays[0].mend();
    assert!(next(&links).state.is_up());
    assert!(next(&hosts).reachable);
    wait_until_reachable(&one, &two);
    from.send(b"hello again").unwrap();
    assert_eq!(receive(&to), b"hello again");
}

#[test]
fn messages_are_not_delivered_twice_after_an_outage() {
    let ((one, from), (two, to), relays) = relayed(1);
    for round in 0..3 {
        for number in 0..20 {
            from.send(&message(600, round * 20 + number)).unwrap();
            assert_eq!(receive(&to), message(600, round * 20 + number));
        }
        let links = [one.link_events(), two.link_events()];
        relays[0].cut();
        for events in &links {
            next_like(events, is_down);
        }
        relays[0].mend();
        wait_until_reachable(&one, &two);
    }
    assert_eq!(stats(&two, 0).rx_messages, 60);
}

#[test]
fn passive_fails_over_when_its_link_goes_silent() {
    let ((one, from), (_two, to), relays) = relayed(2);
    for (link, relay) in (0..).zip(&relays) {
        // Passive: the lowest link that is up.
        let events = one.link_events();
        from.send(b"before").unwrap();
        assert_eq!(receive(&to), b"before");
        if link == 1 {
            break;
        }
        relay.cut();
        let event = next_like(&events, is_down);
        assert_eq!(event.link, link_id(link));
        assert!(one.host(HostId::new(2)).unwrap().is_reachable().unwrap());
    }
    let active = one.host(HostId::new(2)).unwrap().status().unwrap().active_links;
    assert_eq!(active, [link_id(1)]);
}

#[test]
fn active_loses_nothing_when_a_link_goes_silent() {
    let ((one, from), (two, to), relays) = relayed(2);
    for (handle, peer) in [(&one, 2), (&two, 1)] {
        handle.host(HostId::new(peer)).unwrap().set_policy(Policy::Active).unwrap();
    }
    let events = one.link_events();
    let mut number = 0;
    let mut flow = |until: &dyn Fn() -> bool| {
        while !until() {
            from.send(&message(900, number)).unwrap();
            assert_eq!(receive(&to), message(900, number));
            number += 1;
        }
    };
    for relay in &relays {
        relay.cut();
        flow(&|| events.try_iter().any(|event| is_down(&event.event)));
        relay.mend();
        flow(&|| events.try_iter().any(|event| event.event.state.is_up()));
    }
    assert_eq!(stats(&two, 0).rx_messages, number as u64);
}

#[test]
fn a_peer_that_the_kernel_reports_as_gone_is_down_at_once() {
    let cluster = Cluster::pair();
    let (links, hosts) = (cluster.handle(1).link_events(), cluster.handle(1).host_events());
    // Its socket is closed, so our next ping is answered by the kernel: ECONNREFUSED.
    cluster.link(2, 1, 0).disable().unwrap();
    cluster.link(2, 1, 0).clear().unwrap();
    let event = next_like(&links, is_down);
    let refused = DownReason::TransportError { errno: nix::libc::ECONNREFUSED };
    assert_eq!(event.state, LinkState::Down(refused));
    assert!(!next(&hosts).reachable);
    let states = cluster.peer(1, 2).link_states().unwrap();
    assert_eq!(states, [(link_id(0), LinkState::Down(refused))]);
    assert!(refused.to_string().contains("refused"), "{refused}");
}

#[test]
fn a_peer_that_was_never_there_is_reported_with_the_reason() {
    let handle = Handle::new(HostId::new(1)).unwrap();
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    let remote = nobody.local_addr().unwrap();
    drop(nobody);
    let link = watch(&handle, 2, 0, ANY.into(), remote, QUICK);
    let refused = DownReason::TransportError { errno: nix::libc::ECONNREFUSED };
    until("the refusal is known", || link.status().unwrap().state == LinkState::Down(refused));
    let host = handle.host(HostId::new(2)).unwrap();
    let error = host.wait_until_reachable(Duration::from_millis(100)).unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_refusal_affects_only_its_link() {
    let cluster = Cluster::new(3, 1);
    let (from, to) = (cluster.create(1, 0), cluster.create(3, 0));
    let hosts = cluster.handle(1).host_events();
    cluster.link(2, 1, 0).disable().unwrap();
    cluster.link(2, 1, 0).clear().unwrap();
    let lost = next_like(&hosts, |event: &HostEvent| !event.reachable);
    assert_eq!(lost.host, HostId::new(2));
    for number in 0..100 {
        assert_eq!(from.send(&message(700, number)).unwrap().hosts, 1);
        assert_eq!(receive(&to), message(700, number));
    }
    assert!(cluster.peer(1, 3).is_reachable().unwrap());
}
