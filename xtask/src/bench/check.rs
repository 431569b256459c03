//! `cargo xtask bench --check`: does a message, or an event in a large cluster, take more instructions than it
//! did?
//!
//! Durations are useless for that on a busy machine; instructions, counted by callgrind, hardly
//! depend on it. `tests/counts` sends messages one at a time, so that every thread does the same
//! work for each, and the difference between a longer and a shorter run is the cost of the messages
//! alone. The benchmark `cluster_events` of knet-engine does events in a large cluster; one that looked at all
//! 16000 links would take a hundred times as many instructions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use xshell::cmd;

use crate::workspace::Workspace;

/// The messages that are counted: each path through all layers.
const MESSAGES: &[Work] = &[
    Work { name: "datafd", few: 200, many: 1200 },
    Work { name: "send", few: 200, many: 1200 },
    Work { name: "fragments", few: 20, many: 120 },
];

/// The events in a large cluster that are counted.
const EVENTS: &[Work] = &[
    // Hosts with eight links each.
    Work { name: "add-link", few: 1000, many: 2000 },
    Work { name: "icmp-error", few: 100, many: 1100 },
    Work { name: "mtu-suggestion", few: 100, many: 1100 },
    Work { name: "link-change", few: 100, many: 1100 },
];

/// The file of the recorded counts.
const FILE: &str = "tests/counts/counts.json";

/// The tolerance. Of eight runs of one program on a busy machine, none differed from the
/// first by more than 0.5 %.
const TOLERANCE: f64 = 0.05;
/// The tolerance for another compiler: rustc 1.85 takes 12 to 19 % more than rustc 1.95 for the
/// same sources.
const TOLERANCE_OF_COMPILERS: f64 = 0.25;

/// glibc uses other instructions on other CPUs; this restricts it to those of every x86-64.
const PLAIN_CPU: &str =
    "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load";

struct Work {
    name: &'static str,
    few: u64,
    many: u64,
}

/// Instructions per repetition, by the name of the work.
type Counts = BTreeMap<String, u64>;

/// Counts, and compares with the recorded counts or records new ones.
pub(super) fn run(workspace: &Workspace, record: bool) -> Result<()> {
    let shell = workspace.shell();
    cmd!(shell, "cargo build --release --locked --package knet-counts").run()?;
    let messages = workspace.target()?.join("release/knet-counts");
    let bench = ["bench", "--package", "knet-engine", "--bench", "cluster_events"];
    let events = workspace.executable(&bench)?;
    let compiler = compiler(&cmd!(shell, "rustc --version").quiet().read()?)?;
    let mut counts = count(&messages, MESSAGES)?;
    counts.append(&mut count(&events, EVENTS)?);
    let file = workspace.root().join(FILE);
    if record {
        let kept = json!({ "rustc": compiler, "instructions": counts });
        fs::write(&file, serde_json::to_string_pretty(&kept)? + "\n")?;
        println!("{kept}");
        return Ok(());
    }
    let text = fs::read_to_string(&file).with_context(|| format!("reading {FILE}"))?;
    let kept: Value = serde_json::from_str(&text).with_context(|| format!("reading {FILE}"))?;
    let verdicts = compare(&kept, &compiler, &counts)?;
    for verdict in &verdicts {
        println!("{}", verdict.text);
    }
    ensure!(
        verdicts.iter().all(|verdict| verdict.good),
        "some work takes more instructions than it did: find out why, or if it is worth it, \
         `cargo xtask bench --record`"
    );
    Ok(())
}

fn count(program: &Path, works: &[Work]) -> Result<Counts> {
    let each = |work: &Work| {
        let more = instructions(program, work.name, work.many)?
            .checked_sub(instructions(program, work.name, work.few)?)
            .context("the longer run took fewer instructions")?;
        Ok((work.name.to_owned(), more / (work.many - work.few)))
    };
    works.iter().map(each).collect()
}

/// Returns the instructions that a run executes, in all of its threads.
fn instructions(program: &Path, work: &str, count: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).args([work, &count.to_string()]).env("GLIBC_TUNABLES", PLAIN_CPU);
    let output = command.output().context("failed to run valgrind: is it installed?")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    collected(&said).with_context(|| format!("valgrind printed no count: {said}"))
}

/// Reads the count from a line such as `==7== Collected : 9667624`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Returns the major and minor version of the compiler, such as `1.95`.
fn compiler(said: &str) -> Result<String> {
    let version = said.split(' ').nth(1).and_then(|version| version.rsplit_once('.'));
    Ok(version.context("rustc printed no version")?.0.to_owned())
}

/// The result for one kind of work.
#[derive(Debug)]
struct Verdict {
    good: bool,
    text: String,
}

fn compare(kept: &Value, compiler: &str, counts: &Counts) -> Result<Vec<Verdict>> {
    let kept_compiler =
        kept["rustc"].as_str().context("the recorded counts have no version of rustc")?;
    let kept_counts: &Map<String, Value> =
        kept["instructions"].as_object().context("there are no recorded counts")?;
    let tolerance = if kept_compiler == compiler { TOLERANCE } else { TOLERANCE_OF_COMPILERS };
    let known: Vec<&String> = kept_counts.keys().collect();
    if known != counts.keys().collect::<Vec<_>>() {
        bail!("the recorded counts are of other work: `cargo xtask bench --record`");
    }
    let judge = |(name, &now): (&String, &u64)| {
        let kept = kept_counts[name].as_u64().context("a recorded count is not a number")?;
        let change = now as f64 / kept as f64 - 1.0;
        let good = change <= tolerance;
        let hint = match (good, change < -tolerance) {
            (false, _) => "  TOO MANY",
            (true, true) => "  better: `cargo xtask bench --record` records it",
            (true, false) => "",
        };
        let (change, limit) = (change * 100.0, tolerance * 100.0);
        let text =
            format!("{name:<14} {now:>8} instructions, {change:+.1} % (limit +{limit} %){hint}");
        Ok(Verdict { good, text })
    };
    counts.iter().map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(compiler: &str, now: u64) -> Verdict {
        let kept = json!({ "rustc": "1.95", "instructions": { "send": 1000 } });
        let counts = BTreeMap::from([("send".to_owned(), now)]);
        compare(&kept, compiler, &counts).unwrap().remove(0)
    }

    #[test]
    fn more_than_the_tolerance_is_too_many() {
        assert!(verdict("1.95", 1049).good);
        let worse = verdict("1.95", 1051);
        assert!(!worse.good && worse.text.contains("TOO MANY"), "{}", worse.text);
    }

    #[test]
    fn another_compiler_may_take_more() {
        assert!(verdict("1.99", 1249).good);
        assert!(!verdict("1.99", 1251).good);
    }

    #[test]
    fn fewer_are_good_and_worth_recording() {
        let better = verdict("1.95", 900);
        assert!(better.good && better.text.contains("--record"), "{}", better.text);
    }

    #[test]
    fn work_without_a_recorded_count_is_found() {
        let kept = json!({ "rustc": "1.95", "instructions": {} });
        assert!(compare(&kept, "1.95", &BTreeMap::from([("send".to_owned(), 1)])).is_err());
    }

    #[test]
    fn the_output_of_valgrind_and_rustc_is_parsed() {
        let said = "==7== Events    : Ir\n==7== Collected : 9667624\n==7==\n";
        assert_eq!(collected(said), Some(9_667_624));
        assert_eq!(compiler("rustc 1.95.0 (59807616e 2026-04-14)").unwrap(), "1.95");
    }
}
