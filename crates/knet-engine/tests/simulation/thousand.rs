//! A thousand hosts.

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::HostId;

use crate::cluster::{Cluster, Plan, Shape};
use crate::network::Weather;
use crate::node::Target;
use crate::seeds::one_seed;

const HUB: HostId = HostId::new(1);

/// One host has two links to each of 999 others, which have two to each of their neighbours. A part
/// of the network breaks, hosts are restarted, and all of them find each other again.
#[test]
fn a_thousand_hosts_find_each_other_again_and_again() {
    one_seed(|seed| {
        let mut plan = Plan { shape: Shape::Wheel, ..Plan::new(1000, 2, Policy::Passive) };
        plan.pong_count = 2;
        let mut cluster = Cluster::start_and_settle(seed, plan);
        everybody_hears(&mut cluster, HUB);

        let paths = cluster.plan.paths();
        for _ in 0..paths.len() / 2 {
            let path = paths[cluster.network.rng.usize(0..paths.len())];
            let weather = if cluster.network.rng.bool() { Weather::CUT } else { Weather::STORM };
            cluster.set_weather_of(path, weather);
        }
        let restarted: Vec<_> = (0..50).map(|n| HostId::new(2 + n * 19)).collect();
        for &host in &restarted {
            cluster.stop_host(host);
        }
        cluster.run_for(Duration::from_secs(8));
        cluster.judge_links();
        for &host in &restarted {
            cluster.start_host(host);
        }
        cluster.run_for(Duration::from_secs(2));
        cluster.heal();
        cluster.judge_links();
        everybody_hears(&mut cluster, HUB);
        everybody_hears(&mut cluster, restarted[0]);
        cluster.finish();
    });
}

/// A message reaches all hosts that there are links to.
fn everybody_hears(cluster: &mut Cluster, from: HostId) {
    let id = cluster.send(from, Target::Everybody, 1000, 0).unwrap();
    cluster.run_for(Duration::from_secs(1));
    for to in cluster.plan.peers_of(from) {
        assert!(cluster.ledger.has(cluster.life(to), id), "{id:?} did not reach {to}");
    }
}
