//! A sender that is restarted at any moment, over links that delay, lose, duplicate and reorder:
//! what arrives of the process that runs is delivered exactly once (see [`crate::invariants`]).

use std::time::Duration;

use knet_engine::Policy;
use knet_wire::{HostId, LinkId};
use proptest::prelude::*;
use proptest::sample::select;

use crate::cluster::{Cluster, Plan};
use crate::network::{Path, Weather};
use crate::node::Target;

const ONE: HostId = HostId::new(1);
const TWO: HostId = HostId::new(2);

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// Host 1 sends messages, one each 100 µs.
    Send {
        count: u16,
        len: usize,
    },
    /// Host 2 sends a message, by which host 1 finds it again at once.
    Answer,
    Wait(Duration),
    /// A new process takes the place of host 1 after a while.
    Restart(Duration),
    /// Host 1 sends messages to others only, so host 2 learns of their numbers by pings.
    Skip(u16),
    Change {
        link: usize,
        weather: Weather,
    },
}

fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn weather() -> impl Strategy<Value = Weather> {
    let rare = || prop_oneof![3 => Just(0.0), 1 => 0.0..0.3];
    (milliseconds(1..MOST_LATENCY), milliseconds(0..MOST_JITTER), rare(), rare()).prop_map(
        |(latency, jitter, loss, duplicate)| Weather {
            latency,
            jitter,
            loss,
            duplicate,
            ..Weather::CLEAR
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..20u16, select(vec![20, 600, 3000]))
            .prop_map(|(count, len)| Step::Send { count, len }),
        1 => (1000..6000u16).prop_map(|count| Step::Send { count, len: 20 }),
        2 => Just(Step::Answer),
        4 => milliseconds(0..30).prop_map(Step::Wait),
        2 => milliseconds(0..3000).prop_map(Step::Wait),
        2 => milliseconds(0..1500).prop_map(Step::Restart),
        1 => (1..20_000u16).prop_map(Step::Skip),
        3 => (0..2usize, weather()).prop_map(|(link, weather)| Step::Change { link, weather }),
    ]
}

/// Waits until what is on its way on a link has arrived. Nothing there can show that a packet of an
/// ended process was overtaken by one of its successor, so a link becomes quicker only afterwards.
fn let_packets_arrive(cluster: &mut Cluster, link: LinkId) {
    let weather = cluster.network.weather(Path { from: ONE, to: TWO, link });
    cluster.run_for(weather.latency + weather.jitter);
}

fn run(policy: Policy, pong_count: u8, steps: Vec<Step>) {
    let plan = Plan { pong_count, ..Plan::new(2, 2, policy) };
    let mut cluster = Cluster::start_and_settle(1, plan);
    for step in steps {
        match step {
            Step::Send { count, len } => {
                for _ in 0..count {
                    cluster.send(ONE, Target::Everybody, len, 0);
                    cluster.run_for(Duration::from_micros(100));
                }
            }
            Step::Answer => {
                cluster.send(TWO, Target::Everybody, 20, 0);
            }
            Step::Wait(time) => cluster.run_for(time),
            Step::Restart(time) => {
                cluster.stop_host(ONE);
                // A packet of one process is not overtaken by one of the next on its own link, and
                // not on another one either before host 2 has heard that there were messages.
                let heard = cluster.ledger.deliveries(cluster.life(ONE), cluster.life(TWO)) > 0;
                let on_its_way = if heard { 0 } else { MOST_LATENCY } + MOST_JITTER;
                cluster.run_for(Duration::from_millis(on_its_way) + time);
                cluster.start_host(ONE);
            }
            Step::Skip(count) => {
                // Otherwise the first that host 2 hears of a process may be any number, such as one
                // that its predecessor had a moment ago.
                if cluster.node(ONE).routes.is_empty() {
                    continue;
                }
                for _ in 0..count {
                    cluster.next_number(ONE);
                    cluster.run_for(Duration::from_micros(20));
                }
            }
            Step::Change { link, weather } => {
                let link = LinkId::ALL[link];
                let_packets_arrive(&mut cluster, link);
                for (from, to) in [(ONE, TWO), (TWO, ONE)] {
                    cluster.set_weather_of(Path { from, to, link }, weather);
                }
            }
        }
    }
    for link in cluster.plan.link_ids() {
        let_packets_arrive(&mut cluster, link);
    }
    cluster.heal();
    let id = cluster.send(ONE, Target::Everybody, 3000, 0).unwrap();
    cluster.run_for(Duration::from_secs(1));
    assert!(cluster.ledger.has(cluster.life(TWO), id), "{id:?} did not arrive");
    cluster.finish();
}

/// The longest latency in milliseconds, one way. A packet may take [`MOST_JITTER`] more.
const MOST_LATENCY: u64 = 400;
const MOST_JITTER: u64 = 100;

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_arrives_of_the_process_that_runs_is_delivered_once(
        policy in select(vec![Policy::Passive, Policy::Active, Policy::RoundRobin]),
        pong_count in 1..3u8,
        steps in prop::collection::vec(step(), 1..40),
    ) {
        run(policy, pong_count, steps);
    }
}

#[test]
fn copies_that_a_slower_link_carries_after_a_restart_are_discarded() {
    let slow = Weather {
        latency: Duration::from_millis(344),
        jitter: Duration::from_millis(90),
        loss: 0.2,
        ..Weather::CLEAR
    };
    run(
        Policy::Active,
        1,
        vec![
            Step::Change { link: 0, weather: slow },
            Step::Send { count: 10, len: 3000 },
            Step::Wait(Duration::from_millis(2441)),
            Step::Send { count: 4, len: 20 },
            Step::Restart(Duration::ZERO),
        ],
    );
}
