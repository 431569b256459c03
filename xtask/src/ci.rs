//! `cargo xtask ci`: is this change ready to merge?

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{
    bench, consumers, deny, doc, fmt, fuzz, interop, lint, netns, package, soak, test, tidy,
};

/// How long each fuzz target runs here: long enough to find what the last change broke outright.
const FUZZ_SECONDS: u32 = 10;

/// A step's name and its function.
type Step = (&'static str, fn(&Workspace) -> Result<()>);

/// The steps, cheap ones first, so that a small mistake shows early.
const STEPS: &[Step] = &[
    ("fmt", fmt::run),
    ("tidy", tidy::run),
    ("deny", deny::run),
    ("lint", lint::run),
    ("test", |workspace| test::run(workspace, &test::Options { deny_skips: true, each: false })),
    ("interop", interop::run),
    ("netns", |workspace| netns::run(workspace, &netns::Options::default())),
    ("bench", bench::check),
    ("doc", doc::run),
    ("consumers", consumers::run),
    ("package", |workspace| package::run(workspace, &package::Options::default())),
    ("test --each", |workspace| {
        test::run(workspace, &test::Options { deny_skips: true, each: true })
    }),
    ("soak", |workspace| soak::run(workspace, &soak::Options::same_minute())),
    ("fuzz", |workspace| fuzz::run(workspace, &fuzz::Options::all_for(FUZZ_SECONDS))),
];

/// Runs every step, even after one has failed, then lists how long each took and what failed.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut results = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let start = Instant::now();
        let result = step(workspace);
        if let Err(error) = &result {
            println!("error: {error:#}");
        }
        results.push(Finished { name, took: start.elapsed(), result });
    }
    println!("\n{}", summary(&results));
    // The closing line proves that something ran.
    let failed = results.iter().filter(|finished| finished.result.is_err()).count();
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        bail!("not every step passed: `cargo xtask STEP` runs one alone");
    }
    Ok(())
}

/// A finished step.
#[derive(Debug)]
struct Finished {
    name: &'static str,
    took: Duration,
    result: Result<()>,
}

/// Returns one line per step, then the failures.
fn summary(results: &[Finished]) -> String {
    let total: Duration = results.iter().map(|finished| finished.took).sum();
    let mut lines: Vec<String> = results
        .iter()
        .map(|Finished { name, took, result }| {
            let verdict = if result.is_ok() { "ok" } else { "FAILED" };
            format!("{name:<12} {:>6.1} s  {verdict}", took.as_secs_f64())
        })
        .collect();
    lines.push(format!("{:<12} {:>6.1} s", "total", total.as_secs_f64()));
    for Finished { name, result, .. } in results {
        if let Err(error) = result {
            lines.push(format!("{name} failed: {error:#}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_each_step_and_explains_each_failure() {
        let results = [
            Finished { name: "fmt", took: Duration::from_millis(400), result: Ok(()) },
            Finished {
                name: "tidy",
                took: Duration::from_secs(2),
                result: Err(anyhow::anyhow!("2 findings")),
            },
        ];
        let summary = summary(&results);
        let lines: Vec<_> = summary.lines().collect();
        assert_eq!(
            lines,
            [
                "fmt             0.4 s  ok",
                "tidy            2.0 s  FAILED",
                "total           2.4 s",
                "tidy failed: 2 findings",
            ]
        );
    }
}
