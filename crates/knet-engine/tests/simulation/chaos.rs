//! Everything at once: cuts, storms, paths that become narrower and wider, stops and starts,
//! stalls, clocks that jump, traffic of all sizes, at random.

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::{HostId, MAX_ONWIRE};

use crate::cluster::{Cluster, Plan};
use crate::network::Weather;
use crate::node::Target;
use crate::promises::MTU_FOUND;
use crate::seeds::each_seed;

/// Hosts stop for at least so long. A shorter stop may go unnoticed by a host that hears nothing of
/// the first pings afterwards: the wire format cannot express that the numbers start over.
const DOWNTIME: Duration = Duration::from_secs(12);

/// The time after which a started host has announced its numbers, and may be stopped again.
const UPTIME: Duration = Duration::from_secs(30);

#[test]
fn nothing_breaks_a_promise() {
    each_seed(|seed| {
        let mut dice = fastrand::Rng::with_seed(seed);
        let policies = [Policy::Passive, Policy::Active, Policy::RoundRobin];
        let policy = policies[dice.usize(0..3)];
        let mut plan = Plan::new(dice.u16(2..5), dice.u8(1..4), policy);
        plan.pong_count = dice.u8(1..6);
        let mut cluster = Cluster::start(seed, plan);
        cluster.refuses = dice.bool();
        let mut changed = vec![cluster.now; usize::from(cluster.plan.hosts)];
        for _ in 0..400 {
            change_the_weather(&mut cluster, &mut dice);
            disturb(&mut cluster, &mut dice);
            let host = HostId::new(dice.u16(1..=cluster.plan.hosts));
            let since = cluster.now - changed[usize::from(host.get()) - 1];
            if cluster.is_running(host) && since > UPTIME && dice.u8(..) < 20 {
                cluster.stop_host(host);
                changed[usize::from(host.get()) - 1] = cluster.now;
            } else if !cluster.is_running(host) && since > DOWNTIME {
                cluster.start_host(host);
                changed[usize::from(host.get()) - 1] = cluster.now;
            }
            talk(&mut cluster, &mut dice);
        }
        for host in cluster.plan.host_ids() {
            if !cluster.is_running(host) {
                cluster.run_for(DOWNTIME);
                cluster.start_host(host);
            }
        }
        cluster.heal();
        // Packets that are too long for their path are lost silently.
        cluster.run_for(MTU_FOUND);
        let hosts: Vec<_> = cluster.plan.host_ids().collect();
        for from in hosts.iter().copied() {
            let id = cluster.send(from, Target::Everybody, 3000, 0).unwrap();
            cluster.run_for(Duration::from_secs(1));
            for to in hosts.iter().copied().filter(|&to| to != from) {
                assert!(cluster.ledger.has(cluster.life(to), id), "{id:?} did not reach {to}");
            }
        }
        cluster.finish();
    });
}

fn change_the_weather(cluster: &mut Cluster, dice: &mut fastrand::Rng) {
    let paths = cluster.plan.paths();
    let path = paths[dice.usize(0..paths.len())];
    let weather = match dice.u8(0..6) {
        0 | 1 => Weather::CUT,
        2 => Weather::STORM,
        3 => Weather { latency: Duration::from_millis(dice.u64(1..300)), ..Weather::CLEAR },
        _ => Weather::CLEAR,
    };
    let mtu = dice.bool().then(|| [1280, 1500, 9000, dice.u16(1280..)][dice.usize(0..4)]);
    let weather = Weather { mtu, ..weather };
    match dice.u8(0..20) {
        0 => cluster.set_weather(weather),
        _ => cluster.set_weather_of(path, weather),
    }
}

/// Lets an event loop stand still, a clock jump or the interfaces change, now and then.
fn disturb(cluster: &mut Cluster, dice: &mut fastrand::Rng) {
    if dice.u8(0..50) == 0 {
        cluster.set_interface([1500, 9000, MAX_ONWIRE][dice.usize(0..3)]);
    }
    let host = HostId::new(dice.u16(1..=cluster.plan.hosts));
    if dice.u8(0..10) > 0 || !cluster.is_running(host) {
        return;
    }
    if dice.bool() {
        cluster.stall(host, Duration::from_millis(dice.u64(1..5000)));
    } else {
        cluster.jump(host, Duration::from_millis(dice.u64(1..30_000)));
    }
}

/// A second or two in which hosts send a few messages.
fn talk(cluster: &mut Cluster, dice: &mut fastrand::Rng) {
    for _ in 0..dice.u8(1..8) {
        cluster.run_for(Duration::from_millis(dice.u64(1..400)));
        let from = HostId::new(dice.u16(1..=cluster.plan.hosts));
        if !cluster.is_running(from) {
            continue;
        }
        let to = HostId::new(dice.u16(1..=cluster.plan.hosts));
        let target = if dice.bool() { Target::Everybody } else { Target::Only(to) };
        let len = if dice.u8(0..8) == 0 { dice.usize(1000..20_000) } else { dice.usize(12..600) };
        cluster.send(from, target, len, dice.u8(0..32));
    }
}
