//! The list of scenarios.

use super::{Arm, Place, Quantity, Row, Scenario, Subject, Target};
use Subject::{Floor, Libknet, Ours};
use Target::{AtLeast, AtMost};

/// Returns every scenario, in the order of the table.
pub(crate) fn all() -> Vec<Scenario> {
    vec![
        throughput("tput-64", 64, 64, 400_000, &SMALL),
        throughput("tput-1024", 1024, 64, 400_000, &SMALL),
        throughput("tput-8k", 8192, 16, 100_000, &Limits::large(1.4)),
        throughput("tput-64k", 65536, 16, 20_000, &Limits::large(1.2)),
        veth(),
        round_trip("rtt-64", 64, "datafd", 0.7, Some(0.7)),
        round_trip("rtt-1024", 1024, "datafd", 0.7, Some(0.7)),
        round_trip("send-64", 64, "send", 0.55, None),
        round_trip("send-1024", 1024, "send", 0.55, None),
        active(),
        hosts(),
        channels(),
        memory(),
        create(),
        idle(),
    ]
}

/// Returns the target of the throughput of a size.
struct Limits {
    rate_to_libknet: f64,
    rate_to_floor: f64,
    cpu_to_libknet: Target,
    cpu_to_floor: Target,
}

const SMALL: Limits = Limits {
    rate_to_libknet: 3.0,
    rate_to_floor: 0.85,
    cpu_to_libknet: AtMost(0.35),
    cpu_to_floor: AtMost(1.25),
};

impl Limits {
    /// Copies dominate.
    fn large(rate_to_libknet: f64) -> Self {
        let (cpu_to_libknet, cpu_to_floor) = (Target::None, Target::None);
        Self { rate_to_libknet, rate_to_floor: 0.9, cpu_to_libknet, cpu_to_floor }
    }
}

fn throughput(name: &'static str, size: u32, window: u32, count: u64, limits: &Limits) -> Scenario {
    let plan = format!("--size {size} --window {window}");
    let arms = [("ours", Ours), ("libknet", Libknet), ("floor", Floor)];
    Scenario {
        name,
        title: format!("throughput, {size} B, window {window}"),
        arms: arms.map(|(label, subject)| arm(label, subject, count, &plan)).into(),
        rows: vec![
            ratio(rate("ours"), rate("libknet"), AtLeast(limits.rate_to_libknet)),
            ratio(rate("ours"), rate("floor"), AtLeast(limits.rate_to_floor)),
            ratio(cpu("ours"), cpu("libknet"), limits.cpu_to_libknet),
            ratio(cpu("ours"), cpu("floor"), limits.cpu_to_floor),
        ],
    }
}

fn veth() -> Scenario {
    let arms = [("ours", Ours), ("libknet", Libknet)].map(|(label, subject)| {
        let arm = arm(label, subject, 10_000, "--size 65536 --window 16");
        Arm { place: Place::TwoNamespaces, ..arm }
    });
    let payload = |arm| quantity(arm, "/megabytes_per_second", 1.0, "MB/s");
    Scenario {
        name: "veth-64k",
        title: "throughput, 65536 B, window 16, veth pair with MTU 1500".to_owned(),
        arms: arms.into(),
        rows: vec![
            ratio(payload("ours"), payload("libknet"), AtLeast(3.0)),
            ratio(cpu("ours"), cpu("libknet"), Target::None),
        ],
    }
}

fn round_trip(name: &'static str, size: u32, via: &str, median: f64, p99: Option<f64>) -> Scenario {
    let plan = format!("--mode latency --size {size} --via {via}");
    let arms = [("ours", Ours), ("libknet", Libknet)];
    let time = |arm, pointer| quantity(arm, pointer, 1.0, "µs");
    let [p50, p99_of] = ["/latency/median", "/latency/p99"]
        .map(|pointer| [time("ours", pointer), time("libknet", pointer)]);
    Scenario {
        name,
        title: format!("round trip, {size} B, via {via}"),
        arms: arms.map(|(label, subject)| arm(label, subject, 20_000, &plan)).into(),
        rows: vec![
            Row { what: "median", ..ratio(p50[0], p50[1], AtMost(median)) },
            Row { what: "p99", ..ratio(p99_of[0], p99_of[1], p99.map_or(Target::None, AtMost)) },
        ],
    }
}

fn active() -> Scenario {
    let plan = "--size 1024 --window 64 --links 2 --policy active";
    Scenario {
        name: "active",
        title: "throughput, 1024 B, window 64, active policy over 2 links".to_owned(),
        arms: [("ours", Ours), ("libknet", Libknet)]
            .map(|(label, subject)| arm(label, subject, 200_000, plan))
            .into(),
        rows: vec![
            ratio(rate("ours"), rate("libknet"), AtLeast(2.0)),
            ratio(cpu("ours"), cpu("libknet"), Target::None),
        ],
    }
}

// Here and with channels no thread busy-polls: how often one does varies, and costs more or less
// than the quantity of interest.
fn hosts() -> Scenario {
    let arms = [("1 host", 1), ("10 hosts", 10), ("100 hosts", 100)];
    Scenario {
        name: "hosts",
        title: "throughput, 1024 B, to one host of many".to_owned(),
        arms: arms
            .map(|(label, hosts)| {
                arm(label, Ours, 400_000, &format!("--busy-poll 0 --hosts {hosts}"))
            })
            .into(),
        rows: vec![
            ratio(cpu("10 hosts"), cpu("1 host"), AtMost(1.05)),
            ratio(cpu("100 hosts"), cpu("1 host"), AtMost(1.05)),
        ],
    }
}

fn channels() -> Scenario {
    let arms = [("2 channels", 2), ("32 channels", 32)];
    Scenario {
        name: "channels",
        title: "throughput, 1024 B, on one channel of many".to_owned(),
        arms: arms
            .map(|(label, channels)| {
                arm(label, Ours, 400_000, &format!("--busy-poll 0 --channels {channels}"))
            })
            .into(),
        rows: vec![ratio(cpu("32 channels"), cpu("2 channels"), AtMost(1.05))],
    }
}

fn memory() -> Scenario {
    let idle = |label, subject, hosts| Arm {
        place: Place::TwoProcesses,
        ..arm(label, subject, 1, &format!("--mode idle --seconds 2 --hosts {hosts}"))
    };
    let resident = |arm, minus, scale, unit| {
        let pointer = "/resident_bytes";
        Quantity { minus, ..quantity(arm, pointer, scale, unit) }
    };
    let (mib, kib_each) = (1.0 / 1_048_576.0, 1.0 / 1024.0 / 100.0);
    Scenario {
        name: "memory",
        title: "resident memory of a process".to_owned(),
        arms: vec![
            idle("ours", Ours, 1),
            idle("101 hosts", Ours, 101),
            idle("libknet", Libknet, 1),
        ],
        rows: vec![
            alone("one idle link", resident("ours", None, mib, "MiB"), AtMost(6.0)),
            alone("the same, libknet", resident("libknet", None, mib, "MiB"), Target::None),
            alone(
                "each further host",
                resident("101 hosts", Some("ours"), kib_each, "KiB"),
                AtMost(32.0),
            ),
        ],
    }
}

fn create() -> Scenario {
    let time = |arm| quantity(arm, "/milliseconds_per_handle", 1.0, "ms");
    Scenario {
        name: "create",
        title: "a handle made and dropped".to_owned(),
        arms: vec![
            arm("ours", Ours, 100, "--mode create"),
            arm("libknet", Libknet, 3, "--mode create"),
        ],
        rows: vec![
            alone("each", time("ours"), AtMost(5.0)),
            alone("each, libknet", time("libknet"), Target::None),
        ],
    }
}

fn idle() -> Scenario {
    let idle = |label, subject, place| {
        let links = if place == Place::OneProcess { "--links 0" } else { "" };
        Arm { place, ..arm(label, subject, 1, &format!("--mode idle --seconds 10 {links}")) }
    };
    let wake_ups = |arm| quantity(arm, "/wake_ups_per_second", 1.0, "/s");
    Scenario {
        name: "idle",
        title: "wake-ups of an idle handle".to_owned(),
        arms: vec![
            idle("no link", Ours, Place::OneProcess),
            idle("one link", Ours, Place::TwoProcesses),
            idle("libknet, no link", Libknet, Place::OneProcess),
            idle("libknet, one link", Libknet, Place::TwoProcesses),
        ],
        rows: vec![
            alone("without links", wake_ups("no link"), AtMost(0.0)),
            alone("one link, default timers", wake_ups("one link"), AtMost(4.0)),
            alone("without links, libknet", wake_ups("libknet, no link"), Target::None),
            alone("one link, libknet", wake_ups("libknet, one link"), Target::None),
        ],
    }
}

fn arm(label: &'static str, subject: Subject, count: u64, plan: &str) -> Arm {
    Arm { label, subject, place: Place::OneProcess, count, plan: plan.to_owned() }
}

fn quantity(arm: &'static str, pointer: &'static str, scale: f64, unit: &'static str) -> Quantity {
    Quantity { arm, pointer, minus: None, scale, unit }
}

fn rate(arm: &'static str) -> Quantity {
    quantity(arm, "/messages_per_second", 1.0, "/s")
}

/// Seconds per million are microseconds per message.
fn cpu(arm: &'static str) -> Quantity {
    quantity(arm, "/cpu_seconds_per_million", 1.0, "µs")
}

fn ratio(of: Quantity, to: Quantity, target: Target) -> Row {
    let what = match of.pointer {
        "/cpu_seconds_per_million" => "CPU per message",
        "/megabytes_per_second" => "payload",
        _ => "messages",
    };
    Row { what, of, to: Some(to), target }
}

fn alone(what: &'static str, of: Quantity, target: Target) -> Row {
    Row { what, of, to: None, target }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_names_existing_arms() {
        for scenario in all() {
            let labels: Vec<_> = scenario.arms.iter().map(|arm| arm.label).collect();
            for row in &scenario.rows {
                let named = [Some(row.of.arm), row.of.minus, row.to.map(|to| to.arm)];
                for name in named.into_iter().flatten() {
                    assert!(labels.contains(&name), "{}: {name}", scenario.name);
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().iter().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
