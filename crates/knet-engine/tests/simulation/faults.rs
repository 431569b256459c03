//! Lossy, bursty, slow, one-way and broken networks, and the time after they heal.

use std::time::Duration;

use knet_engine::{HostRoute, Policy};
use knet_wire::{HostId, LinkId};

use crate::cluster::{Cluster, Plan, losses};
use crate::network::{Path, Weather};
use crate::node::Target;
use crate::seeds::each_seed;

/// After the network has healed every message arrives again.
fn expect_all_delivered_after_healing(mut cluster: Cluster) {
    cluster.heal();
    cluster.run_for(Duration::from_secs(1));
    let hosts: Vec<_> = cluster.plan.host_ids().collect();
    let lost: Vec<_> = hosts.iter().map(|&host| losses(&cluster.node(host).events)).collect();
    for n in 0..60 {
        let from = hosts[n % hosts.len()];
        let id = cluster.send(from, Target::Everybody, 12 + n * 100, 9).unwrap();
        cluster.run_for(Duration::from_millis(500));
        for &to in hosts.iter().filter(|&&to| to != from) {
            assert!(cluster.ledger.has(cluster.life(to), id), "{id:?} did not reach {to}");
        }
    }
    let still: Vec<_> = hosts.iter().map(|&host| losses(&cluster.node(host).events)).collect();
    assert_eq!(lost, still, "a healthy link went down");
    cluster.finish();
}

#[test]
fn loss_jitter_and_copies_break_no_promise() {
    each_seed(|seed| {
        for policy in [Policy::Passive, Policy::Active, Policy::RoundRobin] {
            let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 3, policy));
            cluster.set_weather(Weather::STORM);
            let hosts: Vec<_> = cluster.plan.host_ids().collect();
            let mut sent = 0;
            for _ in 0..400 {
                let from = hosts[cluster.network.rng.usize(0..hosts.len())];
                let len = if cluster.network.rng.f64() < 0.1 { 20_000 } else { 100 };
                sent += u64::from(cluster.send(from, Target::Everybody, len, 1).is_some());
                cluster.run_for(Duration::from_millis(25));
            }
            let delivered = cluster.ledger.all_deliveries();
            assert!(delivered > sent, "{policy}: {delivered} deliveries of {sent} to two hosts");
            expect_all_delivered_after_healing(cluster);
        }
    });
}

#[test]
fn bursts_take_links_down_and_they_come_back() {
    each_seed(|seed| {
        let mut plan = Plan::new(2, 2, Policy::Passive);
        plan.pong_count = 2;
        let mut cluster = Cluster::start_and_settle(seed, plan);
        // Half of the bursts are as long as the pong timeout.
        cluster.set_weather(Weather { burst: 0.05, ..Weather::CLEAR });
        cluster.run_for(Duration::from_secs(600));
        let status = |cluster: &mut Cluster| {
            let now = cluster.now;
            let engine = &cluster.node(HostId::new(1)).engine;
            engine.link_status(now, HostId::new(2), LinkId::ALL[0]).unwrap()
        };
        let stats = status(&mut cluster).stats;
        assert!(stats.down_count > 3 && stats.up_count > 3, "{stats:?}");
        expect_all_delivered_after_healing(cluster);
    });
}

#[test]
fn a_link_that_carries_one_way_only_is_down_on_both_ends() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 2, Policy::Active));
        let [one, two] = [1, 2].map(HostId::new);
        let link = LinkId::ALL[0];
        cluster.set_weather_of(Path { from: one, to: two, link }, Weather::CUT);
        cluster.run_for(Duration::from_secs(20));
        for (from, to) in [(one, two), (two, one)] {
            let links = cluster.node(from).routes.get(to).unwrap().links();
            assert_eq!(links.iter().map(|l| l.link).collect::<Vec<_>>(), [LinkId::ALL[1]]);
        }
        let id = cluster.send(one, Target::Everybody, 100, 0).unwrap();
        cluster.run_for(Duration::from_secs(1));
        assert!(cluster.ledger.has(cluster.life(two), id));
        expect_all_delivered_after_healing(cluster);
    });
}

#[test]
fn a_split_is_noticed_and_heals() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(4, 2, Policy::RoundRobin));
        let side = |host: HostId| host.get() <= 2;
        for path in cluster.plan.paths() {
            if side(path.from) != side(path.to) {
                cluster.set_weather_of(path, Weather::CUT);
            }
        }
        cluster.run_for(Duration::from_secs(30));
        for host in cluster.plan.host_ids() {
            let node = cluster.node(host);
            let reached: Vec<_> = node.routes.hosts().map(HostRoute::host).collect();
            assert_eq!(reached.len(), 1, "{host} still reaches {reached:?}");
            assert_eq!(side(reached[0]), side(host));
        }
        let id = cluster.send(HostId::new(1), Target::Everybody, 100, 0).unwrap();
        cluster.run_for(Duration::from_secs(1));
        let others = [2, 3, 4].map(|n| cluster.life(HostId::new(n)));
        assert_eq!(others.map(|life| cluster.ledger.has(life, id)), [true, false, false]);
        expect_all_delivered_after_healing(cluster);
    });
}

#[test]
fn a_host_that_has_lost_all_others_sends_nothing() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 1, Policy::Passive));
        cluster.set_weather(Weather::CUT);
        cluster.run_for(Duration::from_secs(30));
        assert_eq!(cluster.send(HostId::new(1), Target::Everybody, 100, 0), None);
        assert_eq!(cluster.send(HostId::new(1), Target::Only(HostId::new(2)), 100, 0), None);
        expect_all_delivered_after_healing(cluster);
    });
}
