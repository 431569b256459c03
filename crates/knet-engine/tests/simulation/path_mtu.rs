//! Paths on which packets may be longer or shorter than before, and networks that do not make it
//! easy to find out.

use std::time::Duration;

use knet_engine::{Event, MtuEvent, Policy};
use knet_wire::{HostId, LinkId, MAX_MESSAGE};

use crate::cluster::{Cluster, Plan};
use crate::message::MessageId;
use crate::network::{Path, Weather};
use crate::node::Target;
use crate::promises::MTU_FOUND;
use crate::seeds::each_seed;

const ONE: HostId = HostId::new(1);
const TWO: HostId = HostId::new(2);

/// Long enough for everybody to know how long packets may be.
fn find_out(cluster: &mut Cluster) {
    // The judge looks when the time is over.
    cluster.run_for(cluster.plan.recovery() + MTU_FOUND);
}

fn clear(mtu: u16) -> Weather {
    Weather { mtu: Some(mtu), ..Weather::CLEAR }
}

fn path_mtu(cluster: &mut Cluster, from: HostId, to: HostId) -> Option<usize> {
    let now = cluster.now;
    let engine = &cluster.node(from).engine;
    engine.link_status(now, to, LinkId::ALL[0]).unwrap().path_mtu
}

#[test]
fn each_direction_finds_its_own() {
    each_seed(|seed| {
        let mut cluster = Cluster::start(seed, Plan::new(3, 3, Policy::Active));
        for path in cluster.plan.paths() {
            let mtu = cluster.network.rng.u16(1280..);
            cluster.set_weather_of(path, clear(mtu));
        }
        find_out(&mut cluster);
        for (from, to) in [(ONE, TWO), (TWO, ONE)] {
            assert!(path_mtu(&mut cluster, from, to).is_some_and(|mtu| mtu >= 1280));
        }
        cluster.finish();
    });
}

#[test]
fn what_the_kernel_refuses_costs_no_time() {
    let plan = Plan { weather: clear(1500), ..Plan::new(2, 1, Policy::Passive) };
    let mut cluster = Cluster::start(1, plan);
    cluster.set_interface(1500);
    cluster.run_for(cluster.plan.recovery());
    for (from, to) in [(ONE, TWO), (TWO, ONE)] {
        assert_eq!(path_mtu(&mut cluster, from, to), Some(1500));
        let now = cluster.now;
        let engine = &cluster.node(from).engine;
        let sent = engine.link_status(now, to, LinkId::ALL[0]).unwrap().stats;
        assert!(sent.tx_pmtu_packets <= 3 + 2, "{} with two answers", sent.tx_pmtu_packets);
    }
}

/// Paths become narrower and wider in silence, over and over, whether anybody sends or not.
#[test]
fn a_path_that_changes_in_silence_is_found_out_about() {
    each_seed(|seed| {
        let mut cluster = Cluster::start_and_settle(seed, Plan::new(2, 1, Policy::Passive));
        for round in 0..8 {
            for path in cluster.plan.paths() {
                let mtu = [1500, 1420, 9000, cluster.network.rng.u16(576..)][round % 4];
                cluster.set_weather_of(path, clear(mtu));
            }
            if round < 4 {
                for _ in 0..60 {
                    cluster.send(ONE, Target::Everybody, 3000, 0).unwrap();
                    cluster.run_for(Duration::from_secs(1));
                }
            }
            find_out(&mut cluster);
            let id = cluster.send(ONE, Target::Everybody, MAX_MESSAGE, 0).unwrap();
            cluster.run_for(Duration::from_secs(1));
            assert!(cluster.ledger.has(cluster.life(TWO), id), "in round {round}");
        }
        cluster.finish();
    });
}

/// A path that drops everything, but not for so long that its link goes down, is not a narrow one.
#[test]
fn an_interruption_is_not_taken_for_a_narrow_path() {
    each_seed(|seed| {
        let plan = Plan { weather: clear(1500), ..Plan::new(2, 1, Policy::Passive) };
        let mut cluster = Cluster::start_and_settle(seed, plan);
        find_out(&mut cluster);
        // Where the gap and the way back of a ping together are too long after all, the link goes
        // down, which changes what all links together carry.
        let mtu = |event: &Event| matches!(event, Event::Mtu(MtuEvent::Link { .. }));
        for host in [ONE, TWO] {
            cluster.node(host).events.clear();
        }
        for _ in 0..200 {
            let at = Duration::from_millis(cluster.network.rng.u64(0..7000));
            let gap = Duration::from_millis(cluster.network.rng.u64(0..1900));
            cluster.send(ONE, Target::Everybody, 12, 0);
            cluster.run_for(at);
            cluster.set_weather(Weather { cut: true, ..clear(1500) });
            cluster.run_for(gap);
            cluster.set_weather(clear(1500));
            cluster.run_for(Duration::from_secs(1));
        }
        for host in [ONE, TWO] {
            let events = &cluster.node(host).events;
            assert!(!events.iter().any(|(_, event)| mtu(event)), "{events:?}");
        }
        cluster.heal();
        cluster.finish();
    });
}

/// The narrower interface shows with the first packet that is too long, without a wait.
#[test]
fn a_narrower_interface_costs_one_message() {
    each_seed(|seed| {
        let plan = Plan { weather: clear(9000), ..Plan::new(2, 1, Policy::Passive) };
        let mut cluster = Cluster::start_and_settle(seed, plan);
        find_out(&mut cluster);
        for interface in [1500, 1400, 1280] {
            cluster.set_interface(interface);
            cluster.send(ONE, Target::Everybody, 20_000, 0).unwrap();
            let id = cluster.send(ONE, Target::Everybody, 20_000, 0).unwrap();
            cluster.run_for(Duration::from_secs(1));
            assert!(cluster.ledger.has(cluster.life(TWO), id), "on {interface}");
            assert_eq!(path_mtu(&mut cluster, ONE, TWO), Some(interface));
        }
        cluster.set_interface(9000);
        find_out(&mut cluster);
        cluster.set_weather_of(Path { from: ONE, to: TWO, link: LinkId::ALL[0] }, clear(2000));
        find_out(&mut cluster);
        assert_eq!(path_mtu(&mut cluster, ONE, TWO), Some(2000));
        cluster.finish();
    });
}

/// One link of two is too narrow for data for a while, in one direction or in both, again and again.
#[test]
fn messages_avoid_a_path_that_is_too_narrow_for_data() {
    each_seed(|seed| {
        for policy in [Policy::Passive, Policy::RoundRobin, Policy::Active] {
            let plan = Plan { weather: clear(1500), ..Plan::new(2, 2, policy) };
            let mut cluster = Cluster::start_and_settle(seed, plan);
            let link = LinkId::ALL[0];
            let paths = [Path { from: ONE, to: TWO, link }, Path { from: TWO, to: ONE, link }];
            for round in 0..4 {
                let narrow = cluster.network.rng.u16(100..576);
                for path in &paths[..1 + round % 2] {
                    cluster.set_weather_of(*path, clear(narrow));
                }
                // Those that are sent while the path is found out about may be lost.
                send_often(&mut cluster, Duration::from_secs(20));
                let ids = send_often(&mut cluster, Duration::from_secs(20));
                cluster.run_for(Duration::from_secs(1));
                for id in ids {
                    let to = if id.sender.host == ONE { TWO } else { ONE };
                    assert!(cluster.ledger.has(cluster.life(to), id), "{policy}: {id:?} is lost");
                }
                for path in paths {
                    cluster.set_weather_of(path, clear(1500));
                }
                find_out(&mut cluster);
            }
            cluster.finish();
        }
    });
}

/// Sends messages in both directions for this time.
fn send_often(cluster: &mut Cluster, time: Duration) -> Vec<MessageId> {
    let end = cluster.now + time;
    let mut ids = Vec::new();
    while cluster.now < end {
        for from in [ONE, TWO] {
            ids.push(cluster.send(from, Target::Everybody, 1000, 0).unwrap());
        }
        cluster.run_for(Duration::from_millis(200));
    }
    ids
}
