//! `cargo xtask bench`: how fast is it, side by side with libknet and with the floor?
//!
//! Each arm of a scenario runs once per round, and each round begins with another arm, so that
//! other load on the machine affects all of them alike. Figures are medians over the rounds; ratios
//! are medians of the ratios within a round. Figures of different runs are never compared.

mod chart;
mod check;
mod document;
mod figures;
mod measure;
mod namespaces;
mod scenario;
mod syscalls;
mod table;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};

use self::document::Results;
use self::figures::{Figure, Round};
use self::measure::{Outcome, Programs};
use self::scenario::{Scenario, Subject};
use crate::libknet;
use crate::workspace::Workspace;

/// The arguments of `cargo xtask bench`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Measures only these scenarios, as named by `--list`.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    only: Vec<String>,
    /// The number of rounds.
    #[arg(long, value_name = "N", default_value = "5")]
    rounds: usize,
    /// Runs one round with a tenth of the messages, to see that it works.
    #[arg(long)]
    quick: bool,
    /// Lists the scenarios.
    #[arg(long)]
    list: bool,
    /// Counts system calls as well, with perf or strace.
    #[arg(long)]
    syscalls: bool,
    /// Writes the table and the chart into docs/. Also counts system calls.
    #[arg(long, conflicts_with_all = ["only", "quick"])]
    write: bool,
    /// Compares the instructions per message with the recorded counts (needs valgrind).
    #[arg(long, exclusive = true)]
    check: bool,
    /// Counts the instructions per message, and records the counts.
    #[arg(long, exclusive = true)]
    record: bool,
}

/// Fails if a message takes more instructions than recorded.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    check::run(workspace, false)
}

/// Measures and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.check || options.record {
        return check::run(workspace, options.record);
    }
    let scenarios = selected(&options.only)?;
    if options.list {
        for Scenario { name, title, .. } in scenarios {
            println!("{name:<10} {title}");
        }
        return Ok(());
    }
    let subjects = subjects(&scenarios);
    if subjects.contains(&Subject::Libknet) {
        libknet::prepare(workspace)?;
    }
    let machine = document::machine(workspace)?;
    let programs = Programs::build(workspace, &subjects)?;
    let rounds = if options.quick { 1 } else { options.rounds.max(1) };
    let divisor = if options.quick { 10 } else { 1 };
    let mut figures = Vec::new();
    for scenario in &scenarios {
        let rounds = measure_rounds(&programs, scenario, rounds, divisor)?;
        figures.extend(figures::figures(scenario, &rounds)?);
    }
    let count = options.syscalls || options.write;
    let counts = if count { syscalls::count(&programs, &scenarios)? } else { Vec::new() };
    let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let results = Results { figures, counts, rounds, command: format!("cargo xtask {command}") };
    show(workspace, &results, &machine)?;
    if options.write {
        document::write(workspace, &results, &machine)?;
    }
    Ok(())
}

/// Prints the table, and writes the results as JSON and as a chart into the target folder.
fn show(workspace: &Workspace, results: &Results, machine: &str) -> Result<()> {
    println!("\n{machine}\n\n{}", table::markdown(&results.figures));
    if !results.counts.is_empty() {
        println!("{}", syscalls::markdown(&results.counts));
    }
    let judged: Vec<bool> = results.figures.iter().filter_map(Figure::is_reached).collect();
    let reached = judged.iter().filter(|&&reached| reached).count();
    println!("{reached} of {} targets reached", judged.len());
    let folder = workspace.target()?.join("xtask");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("bench.json"), results.json(machine).to_string())?;
    fs::write(folder.join("bench.svg"), chart::svg(&results.figures))?;
    println!("also in {}: bench.json, bench.svg", folder.display());
    Ok(())
}

fn selected(only: &[String]) -> Result<Vec<Scenario>> {
    let all = scenario::all();
    for name in only {
        let known = all.iter().any(|scenario| scenario.name == name);
        ensure!(known, "unknown scenario {name}: --list shows all");
    }
    let wanted = |scenario: &Scenario| only.is_empty() || only.iter().any(|n| n == scenario.name);
    Ok(all.into_iter().filter(wanted).collect())
}

fn subjects(scenarios: &[Scenario]) -> Vec<Subject> {
    let used = |subject: &Subject| {
        scenarios.iter().any(|scenario| scenario.arms.iter().any(|arm| arm.subject == *subject))
    };
    [Subject::Ours, Subject::Libknet, Subject::Floor].into_iter().filter(used).collect()
}

fn measure_rounds(
    programs: &Programs,
    scenario: &Scenario,
    rounds: usize,
    divisor: u64,
) -> Result<Vec<Round>> {
    let mut measured = Vec::new();
    for round in 0..rounds {
        println!("{}: round {} of {rounds}", scenario.name, round + 1);
        let mut reports: Round = BTreeMap::new();
        for index in 0..scenario.arms.len() {
            let arm = &scenario.arms[(index + round) % scenario.arms.len()];
            let outcome = programs
                .measure(arm, arm.count.div_ceil(divisor))
                .with_context(|| format!("{}, {}", scenario.name, arm.label))?;
            if let Outcome::Loss(reason) = &outcome {
                println!("{}: {} lost messages: {reason}", scenario.name, arm.label);
            }
            reports.insert(arm.label, outcome);
        }
        measured.push(reports);
    }
    Ok(measured)
}
