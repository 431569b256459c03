//! The three policies: the links that a message takes, and failover (`docs/protocol.md`, "Link
//! policies").

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use knet_tests::cluster::{Cluster, flush, message, wait_up};
use knet_tests::wait::{is_readable, receive, until};
use kronosnet::{Link, Policy};

fn with_policy(links: u8, policy: Policy) -> Cluster {
    let cluster = Cluster::new(2, links);
    cluster.peer(1, 2).set_policy(policy).unwrap();
    cluster.peer(2, 1).set_policy(policy).unwrap();
    cluster
}

/// Returns the number of data packets that host 1 has sent on each of its links.
fn sent(cluster: &Cluster, links: u8) -> Vec<u64> {
    let packets = |link| cluster.link(1, 2, link).status().unwrap().stats.tx_data_packets;
    (0..links).map(packets).collect()
}

#[test]
fn passive_uses_the_link_with_the_highest_priority_and_the_lowest_id() {
    let cluster = with_policy(3, Policy::Passive);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let six = || {
        for number in 0..6 {
            from.send(&message(100, number)).unwrap();
            assert_eq!(receive(&to), message(100, number));
        }
    };
    six();
    assert_eq!(sent(&cluster, 3), [6, 0, 0]);
    // As measured with libknet: priorities 1, 5, 5.
    for (link, priority) in [(0, 1), (1, 5), (2, 5)] {
        cluster.link(1, 2, link).set_priority(priority).unwrap();
    }
    six();
    assert_eq!(sent(&cluster, 3), [6, 6, 0]);
    cluster.link(1, 2, 2).set_priority(6).unwrap();
    six();
    assert_eq!(sent(&cluster, 3), [6, 6, 6]);
}

#[test]
fn active_uses_every_link_and_delivers_once() {
    let cluster = with_policy(3, Policy::Active);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for number in 0..50 {
        // The longer ones take several packets per link.
        let bytes = message(1 + number * 40, number);
        from.send(&bytes).unwrap();
        assert_eq!(receive(&to), bytes);
    }
    let packets = sent(&cluster, 3);
    assert!(packets[0] >= 50);
    assert_eq!((packets[1], packets[2]), (packets[0], packets[0]));
    until("all copies have arrived", || {
        let all = packets.iter().sum::<u64>();
        let arrived = |link| cluster.link(2, 1, link).status().unwrap().stats.rx_data_packets;
        (0..3).map(arrived).sum::<u64>() == all
    });
    assert!(!is_readable(&to), "nothing arrives twice");
    assert!(cluster.handle(2).drop_stats().duplicate >= 100);
}

#[test]
fn round_robin_uses_the_links_in_turn() {
    let cluster = with_policy(3, Policy::RoundRobin);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for number in 0..6 {
        from.send(&message(100, number)).unwrap();
        assert_eq!(receive(&to), message(100, number));
    }
    assert_eq!(sent(&cluster, 3), [2, 2, 2]);
    // All packets of a message take the same link.
    from.send(&message(5220, 6)).unwrap();
    assert_eq!(receive(&to), message(5220, 6));
    assert_eq!(sent(&cluster, 3), [12, 2, 2]);
}

#[test]
fn round_robin_loses_nothing_of_a_burst_of_messages_in_several_packets() {
    let cluster = with_policy(4, Policy::RoundRobin);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for round in 0..10 {
        let numbers = || (round * 300)..(round * 300 + 300);
        for number in numbers() {
            assert_eq!(nix::unistd::write(&from, &message(1500, number)), Ok(1500));
        }
        // Links may overtake each other, so messages may arrive in any order.
        let received: HashSet<_> = numbers().map(|_| receive(&to)).collect();
        assert!(numbers().all(|number| received.contains(&message(1500, number))));
    }
}

#[test]
fn passive_fails_over_and_back() {
    let cluster = with_policy(2, Policy::Passive);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    for side in [cluster.link(1, 2, 1), cluster.link(2, 1, 1)] {
        side.set_priority(10).unwrap();
    }
    let mut number = 0;
    let mut ten = || {
        for _ in 0..10 {
            from.send(&message(700, number)).unwrap();
            assert_eq!(receive(&to), message(700, number));
            number += 1;
        }
        sent(&cluster, 2)
    };
    assert_eq!(ten(), [0, 20]);
    cluster.link(1, 2, 1).disable().unwrap();
    assert_eq!(ten(), [20, 20]);
    cluster.link(1, 2, 1).enable().unwrap();
    wait_up(&cluster.link(1, 2, 1));
    assert_eq!(ten(), [20, 40]);
}

/// Disables and enables the links in turn, each after the previous one is up again.
fn toggle(links: &[Link], stop: &AtomicBool) -> usize {
    let mut toggled = 0;
    while !stop.load(Ordering::SeqCst) {
        let link = &links[toggled % links.len()];
        link.disable().unwrap();
        link.enable().unwrap();
        wait_up(link);
        toggled += 1;
    }
    toggled
}

/// Sends messages one by one while links come and go. Each must arrive exactly once.
fn nothing_is_lost_while_links_come_and_go(policy: Policy) {
    let cluster = with_policy(2, policy);
    let (one, two) = (cluster.create(1, 0), cluster.create(2, 0));
    let links = [cluster.link(1, 2, 0), cluster.link(1, 2, 1)];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let toggling = scope.spawn(|| toggle(&links, &stop));
        for number in 0..1000 {
            for (from, to) in [(&one, &two), (&two, &one)] {
                let bytes = message(800, number);
                assert_eq!(nix::unistd::write(from, &bytes), Ok(800));
                assert_eq!(receive(to), bytes, "message {number}");
            }
        }
        stop.store(true, Ordering::SeqCst);
        assert!(toggling.join().unwrap() > 2);
    });
    flush(cluster.handle(1));
    flush(cluster.handle(2));
    assert!(!is_readable(&one) && !is_readable(&two), "nothing arrives twice");
}

#[test]
fn active_loses_nothing_while_links_come_and_go() {
    nothing_is_lost_while_links_come_and_go(Policy::Active);
}

#[test]
fn passive_loses_nothing_while_links_come_and_go() {
    nothing_is_lost_while_links_come_and_go(Policy::Passive);
}

#[test]
fn round_robin_loses_nothing_while_links_come_and_go() {
    nothing_is_lost_while_links_come_and_go(Policy::RoundRobin);
}

#[test]
fn the_policy_may_change_under_traffic() {
    let cluster = with_policy(3, Policy::Passive);
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let policies = [Policy::Active, Policy::RoundRobin, Policy::Passive];
    for number in 0..300 {
        cluster.peer(1, 2).set_policy(policies[number % 3]).unwrap();
        from.send(&message(600, number)).unwrap();
        assert_eq!(receive(&to), message(600, number));
    }
    assert!(!is_readable(&to));
}
