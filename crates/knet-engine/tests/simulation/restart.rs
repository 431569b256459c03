//! Restarts: a process ends and another one starts in its place, with numbers that start over.

use std::time::Duration;

use knet_engine::{DownReason, Event, LinkState, Policy};
use knet_wire::{HostId, LinkId};

use crate::cluster::{Cluster, Plan};
use crate::network::{Path, Weather};
use crate::node::Target;
use crate::seeds::each_seed;

const ONE: HostId = HostId::new(1);
const TWO: HostId = HostId::new(2);
const THREE: HostId = HostId::new(3);

fn send_some(cluster: &mut Cluster, from: HostId, count: usize) {
    for n in 0..count {
        cluster.send(from, Target::Everybody, 20 + n % 3000, 0).unwrap();
        cluster.run_for(Duration::from_millis(20));
    }
}

/// Runs for long enough that pings have reported all sent messages to all hosts.
fn tell_numbers(cluster: &mut Cluster) {
    cluster.run_for(Duration::from_secs(3));
}

#[test]
fn messages_flow_again_after_a_restart_however_long_it_took() {
    each_seed(|seed| {
        for (policy, downtime_ms) in [
            (Policy::Passive, 10),
            (Policy::Active, 500),
            (Policy::Active, 4_000),
            (Policy::RoundRobin, 60_000),
        ] {
            let mut plan = Plan::new(3, 2, policy);
            plan.weather.jitter = Duration::from_millis(2);
            let mut cluster = Cluster::start_and_settle(seed, plan);
            for _round in 0..3 {
                send_some(&mut cluster, ONE, 200);
                send_some(&mut cluster, TWO, 10);
                tell_numbers(&mut cluster);
                cluster.stop_host(ONE);
                cluster.run_for(Duration::from_millis(downtime_ms));
                cluster.start_host(ONE);
                cluster.heal();
            }
            send_some(&mut cluster, ONE, 200);
            send_some(&mut cluster, TWO, 10);
            cluster.run_for(Duration::from_secs(1));
            for (from, to, count) in
                [(ONE, TWO, 200), (ONE, THREE, 200), (TWO, ONE, 10), (TWO, THREE, 40)]
            {
                let (from, to) = (cluster.life(from), cluster.life(to));
                let delivered = cluster.ledger.deliveries(from, to);
                assert_eq!(delivered, count, "{policy}, {downtime_ms} ms, {from:?} to {to:?}");
            }
            cluster.finish();
        }
    });
}

#[test]
fn a_refused_packet_takes_links_down_long_before_their_timeout() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 2, Policy::Passive));
        cluster.refuses = true;
        cluster.stop_host(TWO);
        let stopped = cluster.now;
        cluster.run_for(Duration::from_millis(1350));
        let node = cluster.node(ONE);
        assert!(node.routes.is_empty(), "within an interval, the way there and a check");
        let refused = |event: &Event| {
            matches!(event, Event::Link(link)
            if link.state == LinkState::Down(DownReason::TransportError { errno: 111 }))
        };
        let down = node.events.iter().filter(|(at, event)| *at > stopped && refused(event));
        assert_eq!(down.count(), 2, "{:?}", node.events);
        cluster.start_host(TWO);
        cluster.heal();
        send_some(&mut cluster, ONE, 20);
        cluster.finish();
    });
}

#[test]
fn a_host_that_restarted_unseen_is_heard_again() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 1, Policy::Passive));
        send_some(&mut cluster, ONE, 300);
        tell_numbers(&mut cluster);
        // Host 2 loses host 1, but goes on hearing its pings, until these end too.
        let link = LinkId::ALL[0];
        cluster.set_weather_of(Path { from: TWO, to: ONE, link }, Weather::CUT);
        cluster.run_for(Duration::from_secs(15));
        cluster.set_weather_of(Path { from: ONE, to: TWO, link }, Weather::CUT);
        // Meanwhile host 1 is restarted, and sends to host 3 alone.
        cluster.stop_host(ONE);
        cluster.run_for(Duration::from_secs(1));
        cluster.start_host(ONE);
        cluster.run_for(Duration::from_secs(15));
        send_some(&mut cluster, ONE, 50);
        tell_numbers(&mut cluster);
        cluster.heal();
        send_some(&mut cluster, ONE, 300);
        let lives = [ONE, TWO].map(|host| cluster.life(host));
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[1]), 300);
        cluster.finish();
    });
}
