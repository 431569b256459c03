//! More messages than there are sequence numbers.

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::HostId;

use crate::cluster::{Cluster, Plan};
use crate::network::Weather;
use crate::node::Target;
use crate::seeds::each_seed;

const ONE: HostId = HostId::new(1);
const TWO: HostId = HostId::new(2);
const THREE: HostId = HostId::new(3);

/// Time between two messages: up to a hundred are on their way at once.
const PACE: Duration = Duration::from_micros(100);

#[test]
fn seventy_thousand_messages_arrive_across_the_wrap() {
    let mut cluster = Cluster::start_and_settle(1, Plan::new(2, 1, Policy::Passive));
    cluster.set_weather(Weather {
        jitter: Duration::from_millis(10),
        duplicate: 0.1,
        ..Weather::CLEAR
    });
    for _ in 0..71_000 {
        cluster.send(ONE, Target::Everybody, 20, 0).unwrap();
        cluster.run_for(PACE);
    }
    cluster.run_for(Duration::from_secs(1));
    let lives = [ONE, TWO].map(|host| cluster.life(host));
    assert_eq!(cluster.ledger.deliveries(lives[0], lives[1]), 71_000);
    cluster.finish();
}

#[test]
fn a_host_that_gets_none_of_the_messages_follows_their_numbers() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 1, Policy::Passive));
        let lives = [ONE, TWO, THREE].map(|host| cluster.life(host));
        let mut for_three = 0;
        for number in 1..=65_535u64 + 20 {
            // The last twenty have the same sequence numbers as the first ten.
            let three = number <= 10 || number > 65_535;
            let target = if three { Target::Only(THREE) } else { Target::Only(TWO) };
            for_three += u64::from(three);
            cluster.send(ONE, target, 12, 0).unwrap();
            cluster.run_for(PACE);
        }
        cluster.run_for(Duration::from_secs(1));
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[2]), for_three);
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[1]), 65_525);
        cluster.finish();
    });
}
