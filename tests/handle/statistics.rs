//! Statistics of handles, hosts, links and channels, and queries of their settings
//! (`docs/protocol.md`, "Statistics").

use std::process::Command;
use std::thread;
use std::time::Duration;

use knet_tests::cluster::{Cluster, channel, flush, message, wait_up};
use knet_tests::network::{in_own_network, ip, run};
use knet_tests::wait::{receive, until};
use kronosnet::{
    ChannelStats, ClearStats, DownReason, DropStats, HandleStats, LinkState, Policy, Verdict,
};

#[test]
fn a_message_is_counted_at_each_stage() {
    let cluster = Cluster::new(2, 2);
    let (from, to) = (cluster.create(1, 3), cluster.create(2, 3));
    cluster.peer(1, 2).set_policy(Policy::Active).unwrap();
    // Two packets per link: each carries 522 bytes.
    from.send(&message(1000, 1)).unwrap();
    receive(&to);
    until("the duplicates have arrived", || {
        cluster.peer(2, 1).stats().unwrap().links.rx_data_packets == 4
    });
    flush(cluster.handle(2));

    let sent = cluster.handle(1).stats();
    assert_eq!((sent.channels.tx_messages, sent.channels.tx_bytes), (1, 1000));
    assert_eq!((sent.totals.hosts, sent.totals.reachable_hosts), (1, 1));
    assert_eq!((sent.totals.links, sent.totals.usable_links), (2, 2));
    assert_eq!(sent.totals.stats.tx_data_packets, 4);
    assert_eq!(sent.totals.stats.tx_data_bytes, 2 * (1000 + 2 * 14), "with knet's headers");
    for link in [0, 1] {
        assert_eq!(cluster.link(1, 2, link).status().unwrap().stats.tx_data_packets, 2);
    }

    let received = cluster.handle(2).stats();
    assert_eq!((received.channels.rx_messages, received.channels.rx_bytes), (1, 1000));
    assert_eq!(received.totals.stats.rx_data_packets, 4);
    assert_eq!(received.drops.duplicate, 2);
    assert_eq!(received.reassembly_memory, 0);
    let host = cluster.peer(2, 1).stats().unwrap();
    assert_eq!((host.rx_messages, host.rx_duplicates, host.rx_incomplete), (1, 2, 0));
    assert_eq!((host.up_count, host.down_count), (1, 0));
    assert_eq!((host.links.up_count, host.links.down_count), (2, 0));
}

#[test]
fn totals_are_the_sums_of_all_channels() {
    let cluster = Cluster::pair();
    let mut bytes = 0;
    for number in [0, 7, 31] {
        let (from, to) = (cluster.create(1, number), cluster.create(2, number));
        from.send(&message(100 + usize::from(number), 0)).unwrap();
        receive(&to);
        bytes += 100 + u64::from(number);
    }
    flush(cluster.handle(2));
    let (sent, received) = (cluster.handle(1).stats(), cluster.handle(2).stats());
    assert_eq!((sent.channels.tx_messages, sent.channels.tx_bytes), (3, bytes));
    assert_eq!((received.channels.rx_messages, received.channels.rx_bytes), (3, bytes));
}

#[test]
fn a_new_handle_has_counted_nothing() {
    let handle = kronosnet::Handle::new(kronosnet::HostId::new(1)).unwrap();
    assert_eq!(handle.stats(), HandleStats::default());
    let host = handle.add_host(kronosnet::HostId::new(2)).unwrap();
    assert_eq!(host.stats().unwrap(), kronosnet::HostStats::default());
    assert_eq!(handle.stats().totals.hosts, 1);
}

#[test]
fn clearing_resets_what_it_names() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    let round_trip = || {
        from.send(b"there").unwrap();
        receive(&to);
        to.send(b"and back").unwrap();
        receive(&from);
        flush(cluster.handle(1));
    };
    round_trip();
    let handle = cluster.handle(1);
    handle.clear_stats(ClearStats::HandleOnly).unwrap();
    let stats = handle.stats();
    assert_eq!((stats.channels, stats.drops), (ChannelStats::default(), DropStats::default()));
    assert_eq!(handle.channel_stats(channel(0)), ChannelStats::default());
    assert_eq!((stats.totals.stats.tx_data_packets, stats.totals.stats.rx_data_packets), (1, 1));
    assert_eq!(cluster.peer(1, 2).stats().unwrap().rx_messages, 1);

    round_trip();
    assert_eq!(handle.channel_stats(channel(0)).rx_messages, 1);
    handle.clear_stats(ClearStats::HandleAndLinks).unwrap();
    let stats = handle.stats();
    assert_eq!(stats.channels, ChannelStats::default());
    // Pings continue.
    assert_eq!((stats.totals.stats.tx_data_packets, stats.totals.stats.rx_data_packets), (0, 0));
    assert_eq!((stats.totals.stats.up_count, stats.totals.usable_links), (0, 1));
    assert_eq!(cluster.peer(1, 2).stats().unwrap().rx_messages, 0);
    assert_eq!(cluster.link(1, 2, 0).status().unwrap().history, []);

    round_trip();
    cluster.peer(1, 2).clear_stats().unwrap();
    assert_eq!(cluster.peer(1, 2).stats().unwrap().rx_messages, 0);
    assert_eq!(handle.channel_stats(channel(0)).rx_messages, 1, "clearing a host keeps channels");
}

/// Clears the latencies. libknet's minima stay 0 from then on.
#[test]
fn the_minimum_latency_is_measured_again_after_clearing() {
    let cluster = Cluster::pair();
    let link = cluster.link(1, 2, 0);
    let range = || {
        let status = link.status().unwrap();
        Some((status.latency_min?, status.latency?, status.latency_max?))
    };
    until("the first pong came", || range().is_some());
    for _ in 0..3 {
        link.clear_stats().unwrap();
        until("a pong came", || range().is_some());
        let (min, mean, max) = range().unwrap();
        assert!(Duration::ZERO < min && min <= mean && mean <= max, "{min:?} {mean:?} {max:?}");
    }
}

#[test]
fn a_link_records_when_it_went_up_and_down_and_why() {
    let cluster = Cluster::pair();
    let link = cluster.link(1, 2, 0);
    link.disable().unwrap();
    link.enable().unwrap();
    wait_up(&link);
    let status = link.status().unwrap();
    let states: Vec<_> = status.history.iter().map(|change| change.state).collect();
    let down = LinkState::Down(DownReason::Disabled);
    assert_eq!(states, [LinkState::Up, down, LinkState::Up]);
    assert!(status.history.is_sorted_by(|older, newer| older.age >= newer.age));
    assert_eq!(status.history[2].age, status.state_age);
    assert_eq!(cluster.link(2, 1, 0).status().unwrap().stats.up_count, 1, "only one end counts it");
}

#[test]
fn settings_can_be_queried() {
    let cluster = Cluster::pair();
    let handle = cluster.handle(1);
    assert!(!handle.has_filter());
    handle.set_filter(|_| Verdict::Broadcast).unwrap();
    assert!(handle.has_filter());
    handle.remove_filter().unwrap();
    assert!(!handle.has_filter());
    let local = cluster.link(1, 2, 0).local_addr().unwrap();
    assert_eq!(
        cluster.link(2, 1, 0).remote_addr().unwrap(),
        Some(local),
        "the port that was bound"
    );
}

#[test]
fn statistics_may_be_read_and_cleared_under_traffic() {
    let cluster = Cluster::pair();
    let (from, to) = (cluster.create(1, 0), cluster.create(2, 0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..1000 {
                for at in [1, 2] {
                    assert_eq!(cluster.handle(at).stats().totals.usable_links, 1);
                    cluster.handle(at).clear_stats(ClearStats::HandleAndLinks).unwrap();
                }
            }
        });
        for number in 0..500 {
            from.send(&message(600, number)).unwrap();
            assert!(receive(&to) == message(600, number));
        }
    });
}

/// Sends through a device with a short queue, which refuses packets with `ENOBUFS`.
#[test]
fn retried_packets_are_counted() {
    in_own_network(
        || {
            let shape = "qdisc replace dev lo root tbf rate 40mbit burst 70000 limit 5000";
            ip("link set lo mtu 1500")?;
            run(Command::new("tc").args(shape.split(' ')))
        },
        |()| {
            let cluster = Cluster::pair();
            let (from, link) = (cluster.create(1, 0), cluster.link(1, 2, 0));
            let stats = || link.status().unwrap().stats;
            until("a packet is retried", || {
                // Whether all packets are sent in the end does not matter.
                let _ = from.send(&message(65_536, 0));
                stats().tx_data_retries > 0
            });
            assert!(stats().tx_retries() >= stats().tx_data_retries);
            link.clear_stats().unwrap();
            assert_eq!(stats().tx_data_retries, 0);
        },
    );
}
