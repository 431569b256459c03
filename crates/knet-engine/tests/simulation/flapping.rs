//! An hour of links that come and go.

use std::time::{Duration, Instant};

use knet_engine::Policy;

use crate::cluster::{Cluster, Plan};
use crate::network::{Path, Weather};
use crate::node::Target;
use crate::seeds::each_seed;

const HOUR: Duration = Duration::from_secs(3600);

/// Every path, each direction by itself, is cut and given back at random, after half a minute in
/// the mean, while each host sends a message every other second.
fn flap(cluster: &mut Cluster, time: Duration) {
    let end = cluster.now + time;
    let paths = cluster.plan.paths();
    let hosts: Vec<_> = cluster.plan.host_ids().collect();
    let mut next_flap: Vec<(Instant, Path)> =
        paths.iter().map(|&path| (cluster.now, path)).collect();
    while cluster.now < end {
        for (at, path) in &mut next_flap {
            if *at <= cluster.now {
                let cut = !cluster.network.weather(*path).cut;
                let weather = Weather { cut, ..cluster.plan.weather };
                cluster.set_weather_of(*path, weather);
                *at += Duration::from_secs(1)
                    + Duration::from_secs(60).mul_f64(cluster.network.rng.f64());
            }
        }
        for &from in &hosts {
            cluster.send(from, Target::Everybody, 50, 3);
        }
        cluster.run_for(Duration::from_secs(2));
    }
}

fn flaps_and_comes_back(seed: u64, plan: Plan) {
    let mut cluster = Cluster::start_and_settle(seed, plan);
    flap(&mut cluster, HOUR);
    let now = cluster.now;
    for path in cluster.plan.paths() {
        let engine = &cluster.node(path.from).engine;
        let stats = engine.link_status(now, path.to, path.link).unwrap().stats;
        assert!(stats.down_count > 10, "{path:?} hardly flapped: {stats:?}");
    }
    assert!(cluster.ledger.all_deliveries() > 500, "{}", cluster.ledger.all_deliveries());
    cluster.heal();
    let from = cluster.plan.host_ids().next().unwrap();
    let id = cluster.send(from, Target::Everybody, 60_000, 3).unwrap();
    cluster.run_for(Duration::from_secs(1));
    for to in cluster.plan.host_ids().filter(|&to| to != from) {
        assert!(cluster.ledger.has(cluster.life(to), id), "{id:?} did not reach {to}");
    }
    cluster.finish();
}

#[test]
fn an_hour_of_flapping_links_breaks_no_promise() {
    each_seed(|seed| flaps_and_comes_back(seed, Plan::new(2, 3, Policy::Active)));
}

#[test]
fn an_hour_of_flapping_links_between_three_hosts_breaks_no_promise() {
    each_seed(|seed| {
        let mut plan = Plan::new(3, 2, Policy::RoundRobin);
        plan.weather =
            Weather { jitter: Duration::from_millis(50), duplicate: 0.1, ..Weather::CLEAR };
        plan.pong_count = 2;
        flaps_and_comes_back(seed, plan);
    });
}
