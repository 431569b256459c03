//! A day on a network that works, but loses a packet now and then.

use std::time::Duration;

use knet_engine::{Event, Policy};
use knet_wire::HostId;

use crate::cluster::{Cluster, Plan};
use crate::network::Weather;
use crate::node::Target;
use crate::seeds::one_seed;

const DAY: u64 = 86_400;

/// One packet in a hundred is lost, independently, for a day, without consequences: no link goes
/// down, no MTU changes, with default timers.
#[test]
fn a_day_at_one_percent_loss_takes_no_link_down() {
    one_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 2, Policy::Passive));
        cluster.set_weather(Weather { loss: 0.01, mtu: Some(1500), ..Weather::CLEAR });
        cluster.run_for(Duration::from_secs(300));
        let hosts = [1, 2].map(HostId::new);
        for host in hosts {
            cluster.node(host).events.clear();
        }
        // Every now and then there is data, so that the MTU is watched.
        for _ in 0..DAY / 4 {
            for host in hosts {
                cluster.send(host, Target::Everybody, 100, 0).unwrap();
            }
            cluster.run_for(Duration::from_secs(4));
        }
        for host in hosts {
            let events: Vec<&Event> = cluster.node(host).events.iter().map(|(_, e)| e).collect();
            assert!(events.is_empty(), "{host}: {events:?}");
        }
        cluster.heal();
        cluster.finish();
    });
}
