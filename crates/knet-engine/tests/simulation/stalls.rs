//! Event loops that stand still for a while, and clocks that jump: it is not the network's fault.

use std::time::Duration;

use knet_engine::{Event, LinkState, Policy};
use knet_wire::HostId;

use crate::cluster::{Cluster, Plan, losses};
use crate::node::Target;
use crate::seeds::each_seed;

const ONE: HostId = HostId::new(1);

fn downs(cluster: &mut Cluster, host: HostId) -> usize {
    let down = |event: &Event| matches!(event, Event::Link(link) if matches!(link.state, LinkState::Down(_)));
    cluster.node(host).events.iter().filter(|(_, event)| down(event)).count()
}

/// However late a loop looks at its timers: what came meanwhile is still in its sockets.
#[test]
fn a_loop_that_stood_still_does_not_blame_its_links() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Active));
        for n in 1..60 {
            let time = Duration::from_millis(cluster.network.rng.u64(1..200 * n));
            cluster.stall(ONE, time);
            let after = Duration::from_secs(cluster.network.rng.u64(1..20));
            cluster.run_for(time + after);
            assert_eq!(downs(&mut cluster, ONE), 0, "after {time:?}");
        }
        cluster.heal();
        cluster.finish();
    });
}

#[test]
fn a_clock_that_jumps_takes_no_link_down() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Passive));
        for _ in 0..100 {
            let time = Duration::from_millis(cluster.network.rng.u64(1..100_000));
            cluster.jump(ONE, time);
            let after = Duration::from_millis(cluster.network.rng.u64(1..10_000));
            cluster.run_for(after);
            cluster.send(ONE, Target::Everybody, 100, 0).unwrap();
            for host in cluster.plan.host_ids() {
                assert_eq!(downs(&mut cluster, host), 0, "{host} after {time:?}");
            }
        }
        assert_eq!(losses(&cluster.node(ONE).events), 0);
        cluster.finish();
    });
}

#[test]
fn a_clock_that_jumps_by_hours_takes_no_link_down() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Active));
        for _ in 0..20 {
            let hours = cluster.network.rng.u64(1..10_000);
            cluster.jump(ONE, Duration::from_secs(3600 * hours));
            let after = Duration::from_millis(cluster.network.rng.u64(0..10_000));
            cluster.run_for(after);
            cluster.send(ONE, Target::Everybody, 3000, 0).unwrap();
            for host in cluster.plan.host_ids() {
                assert_eq!(downs(&mut cluster, host), 0, "{host} after {hours} h");
            }
        }
        cluster.finish();
    });
}

/// The others lose a machine that is suspended. It finds them as it has left them.
#[test]
fn a_machine_that_was_suspended_takes_no_link_down() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(3, 2, Policy::Active));
        for _ in 0..10 {
            let rng = &mut cluster.network.rng;
            let time = Duration::from_millis(rng.u64(1..5000)) * 10u32.pow(rng.u32(0..3));
            cluster.suspend(ONE, time);
            cluster.heal();
            assert_eq!(downs(&mut cluster, ONE), 0, "after {time:?}");
            for host in cluster.plan.host_ids() {
                cluster.send(host, Target::Everybody, 3000, 0).unwrap();
            }
            cluster.run_for(Duration::from_secs(1));
        }
        let lives = [1, 2].map(|host| cluster.life(HostId::new(host)));
        assert_eq!(cluster.ledger.deliveries(lives[0], lives[1]), 10);
        assert_eq!(cluster.ledger.deliveries(lives[1], lives[0]), 10);
        cluster.finish();
    });
}

/// What is broken is still noticed after a stall, and not much later than without.
#[test]
fn a_link_that_broke_during_a_stall_is_given_up_after_it() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 1, Policy::Passive));
        cluster.run_for(Duration::from_secs(20));
        cluster.stall(ONE, Duration::from_secs(30));
        cluster.stop_host(HostId::new(2));
        cluster.run_for(Duration::from_secs(30));
        assert_eq!(downs(&mut cluster, ONE), 0);
        cluster.run_for(cluster.plan.timers.timeout + Duration::from_millis(100));
        assert_eq!(downs(&mut cluster, ONE), 1);
    });
}
