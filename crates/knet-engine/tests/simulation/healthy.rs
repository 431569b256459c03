//! Healthy networks: every message arrives once, and no host does more than needed.

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::HostId;

use crate::cluster::{Cluster, Plan};
use crate::node::Target;
use crate::seeds::each_seed;

const POLICIES: [Policy; 3] = [Policy::Passive, Policy::Active, Policy::RoundRobin];

#[test]
fn every_message_reaches_everybody_once() {
    each_seed(|seed| {
        for policy in POLICIES {
            let mut cluster = Cluster::start_and_settle(seed, Plan::new(4, 3, policy));
            let hosts: Vec<_> = cluster.plan.host_ids().collect();
            for n in 0..200 {
                let from = hosts[n % hosts.len()];
                let channel = (n % 32) as u8;
                cluster.send(from, Target::Everybody, 12 + n, channel).unwrap();
                cluster.run_for(Duration::from_millis(1));
            }
            cluster.run_for(Duration::from_secs(1));
            assert_eq!(cluster.ledger.all_deliveries(), 200 * 3, "{policy}");
            // With the active policy two of the three packets of each message are duplicates.
            let copies = if policy == Policy::Active { 2 } else { 0 };
            for host in hosts {
                let drops = cluster.node(host).engine.drops();
                assert_eq!(drops.duplicate, copies * 150, "{policy}");
                assert_eq!((drops.not_reachable, drops.forged_pong, drops.bad_fragment), (0, 0, 0));
            }
            cluster.finish();
        }
    });
}

#[test]
fn a_message_for_one_host_reaches_no_other() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Active));
        let [one, two, three] = [1, 2, 3].map(HostId::new);
        for _ in 0..50 {
            cluster.send(one, Target::Only(three), 40, 0).unwrap();
        }
        cluster.run_for(Duration::from_secs(1));
        let lives = [one, two, three].map(|host| cluster.life(host));
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[1]), 0);
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[2]), 50);
        cluster.finish();
    });
}

#[test]
fn an_idle_cluster_wakes_up_for_its_pings_only() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Passive));
        let host = HostId::new(1);
        let now = cluster.now;
        cluster.node(host).engine.set_manual_mtu(now, Some(576)).unwrap();
        let before = (cluster.node(host).wakeups, cluster.node(host).events.len());
        cluster.run_for(Duration::from_secs(600));
        let node = cluster.node(host);
        // Four links were enabled together, so all are pinged in the same wake-up once a second.
        assert_eq!(node.wakeups - before.0, 600);
        assert_eq!(node.events.len(), before.1, "nothing happened: {:?}", node.events);
    });
}

#[test]
fn forty_hosts_find_each_other() {
    let mut cluster = Cluster::start_and_settle(1, Plan::new(40, 1, Policy::Passive));
    let hosts: Vec<_> = cluster.plan.host_ids().collect();
    for &from in &hosts {
        cluster.send(from, Target::Everybody, 1000, 5).unwrap();
    }
    cluster.run_for(Duration::from_secs(1));
    assert_eq!(cluster.ledger.all_deliveries(), 40 * 39);
}
