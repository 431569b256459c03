//! Statistics of links: counters, latency, history (`docs/protocol.md`, "Statistics").

// Clippy allows this in tests, but not in the functions that they call.
#![allow(clippy::unwrap_used)]

mod pair;

use std::net::SocketAddr;
use std::time::Duration;

use knet_engine::{DownReason, LinkPath, LinkState, LinkStats, Policy};
use knet_wire::LinkId;
use pair::{A, B, HOSTS, LATENCY, LINK, Pair, REFUSED, address, socket};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_link_remembers_when_it_came_up_and_went_down_and_why() {
    let mut pair = Pair::new(1, Policy::Passive);
    assert_eq!(pair.status(A, LINK).history, []);
    pair.run(SECOND);
    pair.enable(A);
    assert_eq!(pair.status(A, LINK).history, [], "it was not up");
    pair.run(SECOND * 4 + LATENCY * 2);
    let up = pair.now;
    pair.run(SECOND * 3);
    pair.gone[B] = true;
    pair.report(A, LINK);
    pair.run(SECOND / 5);
    let down = pair.now;
    pair.run(SECOND);
    // The next ping is refused too, which changes nothing.
    pair.run(SECOND);

    let status = pair.status(A, LINK);
    let seen: Vec<_> = status.history.iter().map(|c| (pair.now - c.age, c.state)).collect();
    let reason = DownReason::TransportError { errno: REFUSED };
    assert_eq!(seen, [(up, LinkState::Up), (down, LinkState::Down(reason))]);
    assert_eq!(status.state_age, SECOND * 2);
}

#[test]
fn the_age_of_the_newest_answered_ping_says_what_the_peer_has_seen() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(SECOND * 20);
    let (status, now) = (pair.status(A, LINK), pair.now);
    let left = now - status.last_answered_ping.unwrap();
    assert_eq!(now - status.last_pong.unwrap(), left + LATENCY * 2);

    // Pings that are lost, and pongs that are, leave it where it is.
    pair.set_cut(B, true);
    pair.run(SECOND * 30);
    let status = pair.status(A, LINK);
    assert_eq!(status.last_pong, None, "forgotten when the link went down");
    assert_eq!(pair.now - status.last_answered_ping.unwrap(), left);
    pair.set_cut(B, false);
    pair.run(SECOND + LATENCY * 2);
    assert!(pair.status(A, LINK).last_answered_ping.unwrap() <= SECOND + LATENCY * 2);
}

#[test]
fn totals_are_the_sums_of_all_kinds() {
    let mut pair = Pair::up(1, Policy::Passive);
    pair.run(SECOND * 20);
    pair.send(B, &[1; 1000]);
    pair.run(SECOND);
    let stats = pair.status(A, LINK).stats;
    assert_eq!(stats.rx_data_packets, 2);
    for count in [stats.tx_ping_packets, stats.tx_pong_packets, stats.tx_pmtu_packets] {
        assert!(count > 0, "{stats:?}");
    }
    let sum = stats.tx_ping_packets + stats.tx_pong_packets + stats.tx_pmtu_packets;
    assert_eq!((stats.tx_data_packets, stats.tx_packets()), (0, sum));
    let sum = stats.rx_ping_bytes + stats.rx_pong_bytes + stats.rx_pmtu_bytes;
    assert_eq!(stats.rx_bytes(), stats.rx_data_bytes + sum);
    // Pings, pongs and replies to probes have fixed lengths.
    assert_eq!(stats.tx_pong_bytes, stats.tx_pong_packets * 26);

    let mut both = stats;
    both += &stats;
    assert_eq!(both.tx_packets(), 2 * stats.tx_packets());
    assert_eq!(both.rx_bytes(), 2 * stats.rx_bytes());
    assert_eq!((both.up_count, both.tx_errors()), (2, 0));
}

/// libknet credits the first link that has the address, whatever the port and the socket.
#[test]
fn data_are_credited_to_the_link_with_the_address_the_port_and_the_socket() {
    let mut pair = Pair::up(1, Policy::Passive);
    let first = address(A, LINK);
    let other_port = SocketAddr::new(first.ip(), first.port() + 1);
    let other_socket = socket(LinkId::ALL[2]);
    let ways = [(socket(LINK), first), (socket(LINK), other_port), (other_socket, first)];
    for (link, (socket, remote)) in LinkId::ALL.into_iter().zip(ways).skip(1) {
        let path = LinkPath { socket, remote };
        pair.engines[B].add_link(pair.now, HOSTS[A], link, path).unwrap();
    }
    // As many from each as the number of the link, plus one.
    for (times, (socket, source)) in (1..).zip(ways) {
        for _ in 0..times {
            let (_, packet) = pair.packets(A, b"hello").remove(0);
            pair.arrive_from(B, socket, source, &packet);
        }
    }
    let packets = |link: &LinkId| pair.status(B, *link).stats.rx_data_packets;
    assert_eq!(LinkId::ALL[..3].iter().map(packets).collect::<Vec<_>>(), [1, 2, 3]);
}

/// In libknet, minima stay 0 once they were cleared.
#[test]
fn cleared_statistics_begin_anew() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.run(SECOND * 20);
    let before = pair.status(A, LINK);
    assert_eq!(before.latency_min, Some(LATENCY * 2));
    pair.engines[A].clear_link_stats(HOSTS[B], LINK).unwrap();

    let status = pair.status(A, LINK);
    assert_eq!((status.stats, status.history), (LinkStats::default(), vec![]));
    assert_eq!((status.latency_min, status.latency_max), (None, None));
    assert_eq!(status.latency, before.latency, "that is no statistic but what timeouts go by");
    assert_eq!((status.state, status.path_mtu), (LinkState::Up, before.path_mtu));
    assert_eq!((status.state_age, status.last_pong), (before.state_age, before.last_pong));
    assert!(pair.status(A, LinkId::ALL[1]).stats.up_count == 1, "another link is not touched");

    pair.run(SECOND);
    let status = pair.status(A, LINK);
    assert_eq!((status.latency_min, status.latency_max), (before.latency, before.latency));
    assert_eq!(status.stats.tx_ping_packets, 1);
    pair.engines[A].set_link_enabled(pair.now, HOSTS[B], LINK, false).unwrap();
    let status = pair.status(A, LINK);
    assert_eq!((status.stats.up_count, status.stats.down_count), (0, 1));
    assert_eq!(status.history.len(), 1);
}

#[test]
fn what_came_from_a_host_is_counted_with_what_came_over_its_links() {
    let mut pair = Pair::up(2, Policy::Active);
    pair.send(A, b"whole, twice");
    pair.send(A, &[1; 1000]);
    // The first fragment of a message whose second never comes.
    let (link, lost) = pair.packets(A, &[2; 1000]).swap_remove(0);
    pair.arrive(B, link, &lost);
    pair.run(SECOND * 20);

    let host = pair.engines[B].host_status(HOSTS[A]).unwrap().stats;
    assert_eq!((host.rx_messages, host.rx_duplicates, host.rx_incomplete), (2, 1 + 2, 1));
    assert_eq!((host.up_count, host.down_count), (1, 0));
    let mut sum = pair.status(B, LINK).stats;
    sum += &pair.status(B, LinkId::ALL[1]).stats;
    assert_eq!(host.links, sum);
    assert_eq!(sum.rx_data_packets, 2 + 4 + 1);
    let drops = pair.engines[B].drops();
    assert_eq!((drops.duplicate, drops.incomplete), (1 + 2, 1));

    pair.engines[B].clear_host_stats(HOSTS[A]).unwrap();
    let host = pair.engines[B].host_status(HOSTS[A]).unwrap();
    assert_eq!((host.stats, host.reachable), (Default::default(), true));
    assert_eq!(pair.engines[B].drops(), drops, "those of all hosts are another matter");
    pair.engines[B].clear_drops();
    assert_eq!(pair.engines[B].drops(), Default::default());

    for link in pair.links() {
        pair.engines[B].set_link_enabled(pair.now, HOSTS[A], link, false).unwrap();
    }
    let host = pair.engines[B].host_status(HOSTS[A]).unwrap().stats;
    assert_eq!((host.up_count, host.down_count), (0, 1));
    assert_eq!((host.links.up_count, host.links.down_count), (0, 2));
}

#[test]
fn messages_that_make_room_or_are_of_another_process_count_as_incomplete() {
    let mut pair = Pair::up(1, Policy::Passive);
    let begin = |pair: &mut Pair| {
        let (link, first) = pair.packets(A, &[1; 1000]).swap_remove(0);
        pair.arrive(B, link, &first);
    };
    for _ in 0..33 {
        begin(&mut pair);
    }
    assert_eq!(pair.engines[B].drops().incomplete, 1, "there is room for 32");
    // A ping reports the numbers, and the first two of the new process that they start over.
    pair.run(SECOND * 2);
    pair.restart(A);
    pair.run(SECOND * 2);
    assert_eq!(pair.engines[B].drops().incomplete, 33);
    assert_eq!(pair.engines[B].reassembly_memory(), 0);
}
