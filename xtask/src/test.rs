//! `cargo xtask test`: does everything work?
//!
//! The tests themselves are run by plain `cargo test`, so that a machine with nothing but Rust can. What
//! this adds is honesty about what did *not* run. A test that needs something the machine lacks calls
//! `knet_tests::skip`, which appends a line to the file named by the environment variable
//! [`SKIPS_FILE`]; printing would not do, because the harness hides what a passing test prints. The
//! skips are listed at the end, and `--deny-skips`, which CI sets, makes them failures.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// The environment variable that tells tests where to write down that they were skipped.
const SKIPS_FILE: &str = "KNET_SKIPS_FILE";

/// What `cargo xtask test` takes.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fails if a test was skipped or ignored.
    #[arg(long)]
    pub(crate) deny_skips: bool,
    /// Tests each crate alone, with only the features it asks for itself.
    #[arg(long)]
    pub(crate) each: bool,
}

/// Runs the tests of the whole workspace together, or of each crate of `crates/` on its own.
///
/// Together, cargo turns on every feature that any crate asks of a dependency, which hides a crate that
/// forgot to ask; alone, it can't.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let selections =
        if options.each { crates(workspace)? } else { vec![vec!["--workspace".to_owned()]] };
    run_selections(workspace, selections, options.deny_skips)
}

/// Runs `cargo test` with each of these lists of arguments in turn, and says what all of it came to.
pub(crate) fn run_selections(
    workspace: &Workspace,
    selections: Vec<Vec<String>>,
    deny_skips: bool,
) -> Result<()> {
    let skips_dir = workspace.target()?.join("xtask");
    let skips_file = skips_dir.join("skips.txt");
    fs::create_dir_all(&skips_dir)?;
    fs::write(&skips_file, "")?;

    let mut outcome = Outcome::default();
    for selection in selections {
        let mut command = Command::new("cargo");
        command.current_dir(workspace.root()).env(SKIPS_FILE, &skips_file);
        command.args(["test", "--no-fail-fast"]).args(&selection);
        println!("$ {command:?}");
        if !watch(&mut command, &mut std::io::stdout(), &mut outcome.tally)? {
            outcome.failed.push(selection.join(" "));
        }
    }
    outcome.skips = fs::read_to_string(&skips_file)?.lines().map(str::to_owned).collect();
    outcome.report();
    outcome.judge(deny_skips)
}

/// The arguments that select each package of `crates/`.
fn crates(workspace: &Workspace) -> Result<Vec<Vec<String>>> {
    let folder = workspace.root().join("crates");
    let packages = workspace.metadata()?.packages;
    Ok(packages
        .into_iter()
        .filter(|package| package.manifest_path.as_std_path().starts_with(&folder))
        .map(|package| vec!["--package".to_owned(), package.name])
        .collect())
}

/// Runs `cargo test`, shows its output as it comes and counts the results in it. Returns whether the
/// command was content.
pub(crate) fn watch(
    command: &mut Command,
    shown: &mut impl Write,
    tally: &mut Tally,
) -> Result<bool> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("failed to start cargo")?;
    // `Stdio::piped` above puts a pipe there; without one there is nothing to read.
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            shown.write_all(&line)?;
            shown.write_all(b"\n")?;
            tally.count(&String::from_utf8_lossy(&line));
        }
    }
    Ok(child.wait()?.success())
}

/// How many tests did what, summed over the closing lines of all test programs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds the line if it is a closing line, such as
    /// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out`.
    fn count(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// All that is known after the tests have run.
#[derive(Debug, Default)]
struct Outcome {
    tally: Tally,
    /// The selections whose `cargo test` failed; also when they did not compile.
    failed: Vec<String>,
    /// One line per skipped test.
    skips: Vec<String>,
}

impl Outcome {
    /// Prints the skips and the closing line.
    fn report(&self) {
        for skip in &self.skips {
            println!("SKIPPED: {skip}");
        }
        let Tally { passed, failed, .. } = self.tally;
        println!("tests: {passed} passed, {failed} failed, {} skipped", self.skips.len());
    }

    /// Says whether that is good enough.
    fn judge(&self, deny_skips: bool) -> Result<()> {
        ensure!(self.failed.is_empty(), "`cargo test` failed: {}", self.failed.join(", "));
        ensure!(self.tally.failed == 0, "{} tests failed", self.tally.failed);
        ensure!(self.tally.passed > 0, "no test ran");
        if deny_skips {
            let (skips, ignored) = (self.skips.len(), self.tally.ignored);
            ensure!(skips == 0, "{skips} tests were skipped: install what they need");
            ensure!(
                ignored == 0,
                "{ignored} tests are marked as ignored: let them run or delete them"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.count(line));
        tally
    }

    fn good() -> Outcome {
        Outcome { tally: Tally { passed: 3, failed: 0, ignored: 0 }, ..Outcome::default() }
    }

    #[test]
    fn results_of_all_programs_are_summed() {
        let output = "\
running 2 tests
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test a ... FAILED
test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s
";
        assert_eq!(tally(output), Tally { passed: 5, failed: 4, ignored: 1 });
    }

    #[test]
    fn lines_that_only_look_like_results_are_not_counted() {
        assert_eq!(tally("test result_of_join ... ok\n5 passed\ntest result: "), Tally::default());
    }

    #[test]
    fn a_failed_program_is_a_failure_even_if_no_test_failed() {
        let outcome = Outcome { failed: vec!["--package knet-fd".to_owned()], ..good() };
        let error = outcome.judge(false).unwrap_err();
        assert!(error.to_string().contains("knet-fd"), "{error}");
    }

    #[test]
    fn no_test_at_all_is_a_failure() {
        assert!(Outcome::default().judge(false).is_err());
        assert!(good().judge(true).is_ok());
    }

    #[test]
    fn skips_fail_only_where_they_are_denied() {
        let outcome = Outcome { skips: vec!["tun: no /dev/net/tun".to_owned()], ..good() };
        assert!(outcome.judge(false).is_ok());
        assert!(outcome.judge(true).is_err());
    }

    #[test]
    fn ignored_tests_fail_only_where_skips_are_denied() {
        let mut outcome = good();
        outcome.tally.ignored = 1;
        assert!(outcome.judge(false).is_ok());
        assert!(outcome.judge(true).is_err());
    }

    #[test]
    fn output_is_counted_while_it_is_shown_and_the_exit_code_kept() {
        let (mut shown, mut tally) = (Vec::new(), Tally::default());
        let output = "test result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        let mut command = Command::new("sh");
        command.args(["-c", &format!("printf '{output}'; exit 101")]);
        assert!(!watch(&mut command, &mut shown, &mut tally).unwrap());
        assert_eq!(shown, output.as_bytes());
        assert_eq!(tally, Tally { passed: 1, failed: 2, ignored: 0 });
    }
}
