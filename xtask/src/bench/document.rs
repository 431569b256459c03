//! The results of a run, and writing them into `docs/`.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xshell::cmd;

use super::chart;
use super::figures::Figure;
use super::syscalls::{self, Count};
use super::table;
use crate::workspace::Workspace;

/// The results of a run.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) figures: Vec<Figure>,
    pub(super) counts: Vec<Count>,
    pub(super) rounds: usize,
    /// The command line.
    pub(super) command: String,
}

impl Results {
    /// Returns the results for programs.
    pub(super) fn json(&self, machine: &str) -> Value {
        let counts = self.counts.iter().map(|Count { title, arm, per_message }| {
            json!({ "title": title, "arm": arm, "system_calls_per_message": per_message })
        });
        json!({
            "command": self.command,
            "machine": machine,
            "rounds": self.rounds,
            "figures": table::json(&self.figures),
            "system_calls": counts.collect::<Value>(),
        })
    }

    /// Returns the results for the document.
    fn markdown(&self, machine: &str) -> String {
        let Self { figures, counts, rounds, command } = self;
        let mut text = format!("Machine: {machine}\n\nCommand: `{command}`, {rounds} rounds.\n\n");
        text += "![Each ratio and its target](performance.svg)\n\n";
        text += &table::markdown(figures);
        if !counts.is_empty() {
            text += "\n";
            text += &syscalls::markdown(counts);
        }
        text
    }
}

/// Replaces the table in `docs/performance.md`, the chart and the JSON beside it.
pub(super) fn write(workspace: &Workspace, results: &Results, machine: &str) -> Result<()> {
    let docs = workspace.root().join("docs");
    let page = docs.join("performance.md");
    let text = fs::read_to_string(&page).with_context(|| format!("reading {}", page.display()))?;
    let text = replace_between(&text, &results.markdown(machine))
        .with_context(|| format!("{} lacks the lines {BEGIN} and {END}", page.display()))?;
    fs::write(&page, text)?;
    fs::write(docs.join("performance.svg"), chart::svg(&results.figures))?;
    let json = serde_json::to_string_pretty(&results.json(machine))?;
    fs::write(docs.join("performance.json"), json + "\n")?;
    Ok(())
}

/// Describes this machine in a line.
pub(super) fn machine(workspace: &Workspace) -> Result<String> {
    let shell = workspace.shell();
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value_of(&cpus, "model name").unwrap_or("unknown CPU").to_owned();
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = cmd!(shell, "uname -sr").quiet().read()?;
    let rustc = cmd!(shell, "rustc --version").quiet().read()?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!("{model}, {count} CPUs, {kernel}, {rustc}; load at the start {load}"))
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

/// Returns the text with everything between the two marks replaced.
fn replace_between(text: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{new}\n{END}{after}"))
}

const BEGIN: &str = "<!-- cargo xtask bench --write: begin -->";
const END: &str = "<!-- cargo xtask bench --write: end -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let old = format!("# A\n{BEGIN}\nold\n{END}\nB\n");
        let new = replace_between(&old, "new\n").unwrap();
        assert_eq!(new, format!("# A\n{BEGIN}\n\nnew\n\n{END}\nB\n"));
        assert_eq!(replace_between(&new, "new\n"), Some(new.clone()));
        assert_eq!(replace_between("# A\n", "new\n"), None);
    }

    #[test]
    fn the_cpu_is_named() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\n";
        assert_eq!(value_of(text, "model name"), Some("Some CPU"));
    }
}
