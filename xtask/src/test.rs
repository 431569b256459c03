//! `cargo xtask test`: does everything work?
//!
//! Plain `cargo test` runs the tests themselves, so that Rust is all it takes. This command adds a
//! report of tests that did *not* run. A test that needs something the machine lacks calls
//! `knet_tests::skip`, which appends a line to the file named by the environment variable
//! [`SKIPS_FILE`]; printing is not enough, because the harness hides the output of passing tests.
//! The skips are listed at the end, and `--deny-skips`, which CI sets, makes them failures.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::harness::{Seen, watch};
use crate::workspace::Workspace;

/// The environment variable that names the file for skipped tests.
const SKIPS_FILE: &str = "KNET_SKIPS_FILE";

/// The arguments of `cargo xtask test`.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fails if a test was skipped or ignored.
    #[arg(long)]
    pub(crate) deny_skips: bool,
    /// Tests each crate alone, with only the features that it enables itself.
    #[arg(long)]
    pub(crate) each: bool,
}

/// Runs the tests of the whole workspace together, or of each crate of `crates/` on its own.
///
/// In a common build, cargo enables every feature of a dependency that any crate needs, which hides
/// a crate that does not enable a feature it needs.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let selections =
        if options.each { crates(workspace)? } else { vec![vec!["--workspace".to_owned()]] };
    run_selections(workspace, selections, options.deny_skips)
}

/// Runs `cargo test` with each of these lists of arguments in turn, and judges the total.
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
        if !watch(&mut command, &mut std::io::stdout(), &mut outcome.seen)? {
            outcome.failed.push(selection.join(" "));
        }
    }
    outcome.skips = fs::read_to_string(&skips_file)?.lines().map(str::to_owned).collect();
    outcome.report();
    outcome.judge(deny_skips)
}

/// Returns the arguments that select each package of `crates/`.
fn crates(workspace: &Workspace) -> Result<Vec<Vec<String>>> {
    let folder = workspace.root().join("crates");
    let packages = workspace.metadata()?.packages;
    Ok(packages
        .into_iter()
        .filter(|package| package.manifest_path.as_std_path().starts_with(&folder))
        .map(|package| vec!["--package".to_owned(), package.name])
        .collect())
}

/// The result of all tests.
#[derive(Debug, Default)]
struct Outcome {
    seen: Seen,
    /// The selections whose `cargo test` failed, also those that did not compile.
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
        let Seen { passed, failed, .. } = self.seen;
        println!("tests: {passed} passed, {failed} failed, {} skipped", self.skips.len());
    }

    /// Returns an error unless the result is good enough.
    fn judge(&self, deny_skips: bool) -> Result<()> {
        let Seen { passed, failed, ignored, failures } = &self.seen;
        let selections = self.failed.join(", ");
        ensure!(self.failed.is_empty(), "`cargo test` failed: {selections}{}", failures.text());
        ensure!(*failed == 0, "{failed} tests failed{}", failures.text());
        ensure!(*passed > 0, "no test ran");
        if deny_skips {
            let skips = self.skips.len();
            ensure!(skips == 0, "{skips} tests were skipped: install what they need");
            ensure!(
                *ignored == 0,
                "{ignored} tests are marked as ignored: let them run or delete them"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Outcome {
        Outcome { seen: Seen { passed: 3, ..Seen::default() }, ..Outcome::default() }
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
        outcome.seen.ignored = 1;
        assert!(outcome.judge(false).is_ok());
        assert!(outcome.judge(true).is_err());
    }
}
