//! The longest messages, in many packets, over paths that reorder, duplicate and lose them.

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::{HostId, MAX_MESSAGE};

use crate::cluster::{Cluster, Plan};
use crate::network::Weather;
use crate::node::Target;
use crate::seeds::each_seed;

const SHUFFLE: Weather =
    Weather { jitter: Duration::from_millis(40), duplicate: 0.05, ..Weather::CLEAR };

/// Two hosts whose links survive many lost pings in a row.
fn patient(links: u8, policy: Policy) -> Plan {
    let mut plan = Plan::new(2, links, policy);
    plan.timers.timeout = Duration::from_secs(30);
    plan
}

#[test]
fn shuffled_packets_make_every_long_message_whole() {
    each_seed(|seed| {
        for policy in [Policy::Passive, Policy::Active] {
            let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 2, policy));
            cluster.set_weather(SHUFFLE);
            for n in 0..20 {
                // 16 of them are on their way at the same time.
                cluster.send(HostId::new(1), Target::Everybody, MAX_MESSAGE - n, 31).unwrap();
                cluster.run_for(Duration::from_micros(2500));
            }
            cluster.run_for(Duration::from_secs(1));
            assert_eq!(cluster.ledger.all_deliveries(), 20);
            let engine = &cluster.node(HostId::new(2)).engine;
            assert_eq!((engine.drops().incomplete, engine.drops().bad_fragment), (0, 0));
            cluster.finish();
        }
    });
}

#[test]
fn a_lost_packet_costs_its_message_and_no_other() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, patient(1, Policy::Passive));
        // 126 packets a message: one in two messages loses one.
        cluster.set_weather(Weather { loss: 0.005, ..SHUFFLE });
        for n in 0..150 {
            cluster.send(HostId::new(1), Target::Everybody, MAX_MESSAGE, 0).unwrap();
            cluster.send(HostId::new(1), Target::Everybody, 12 + n, 0).unwrap();
            cluster.run_for(Duration::from_millis(20));
        }
        cluster.run_for(Duration::from_secs(1));
        let delivered = cluster.ledger.all_deliveries();
        assert!((190..270).contains(&delivered), "{delivered} of 300");
        // What is incomplete made room for newer messages, or is forgotten in time.
        cluster.finish();
    });
}

#[test]
fn a_copy_over_another_link_makes_up_for_a_lost_packet() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, patient(2, Policy::Active));
        cluster.set_weather(Weather { loss: 0.005, ..SHUFFLE });
        for _ in 0..40 {
            cluster.send(HostId::new(1), Target::Everybody, MAX_MESSAGE, 0).unwrap();
            cluster.run_for(Duration::from_millis(20));
        }
        cluster.run_for(Duration::from_secs(1));
        // A message is lost only with both duplicates of a packet: one in three hundred.
        let delivered = cluster.ledger.all_deliveries();
        assert!(delivered >= 37, "{delivered} of 40");
        cluster.finish();
    });
}
