//! `cargo xtask netns`: does it work on real networks?
//!
//! The suite makes network namespaces and interfaces, which needs root. So it is behind the feature
//! `netns` of its package, and plain `cargo test` does not run it. Nothing in it is ever skipped:
//! without namespaces this fails.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::harness::{Seen, watch};
use crate::workspace::Workspace;

/// The arguments of `cargo xtask netns`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Runs only the tests with this in their name.
    filter: Option<String>,
    /// Shows the output of the tests.
    #[arg(long)]
    verbose: bool,
}

/// Runs the suite. Tests wait most of the time, so more of them run at once than there are
/// processors.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    check_machine(workspace)?;
    let shell = workspace.shell();
    cmd!(shell, "cargo build --package knet-cli").run()?;
    let mut command = Command::new("cargo");
    command.current_dir(workspace.root());
    command.args(["test", "--package", "knet-tests", "--features", "netns", "--test", "netns"]);
    command.args(["--", "--test-threads", "4"]);
    command.args(options.verbose.then_some("--nocapture")).args(&options.filter);
    println!("$ {command:?}");
    let mut seen = Seen::default();
    let content = watch(&mut command, &mut std::io::stdout(), &mut seen)?;
    ensure!(content, "the suite failed{}", seen.failures.text());
    ensure!(seen.passed > 0, "no test ran");
    Ok(())
}

/// Reports missing requirements once, before every test fails for them.
fn check_machine(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    cmd!(shell, "unshare --net ip link show lo").quiet().ignore_stdout().run().context(
        "cannot make a network namespace: this needs root, unshare (util-linux) and ip (iproute2)",
    )?;
    let tun = Path::new("/dev/net/tun");
    ensure!(tun.exists(), "{} is missing: load the kernel module tun", tun.display());
    Ok(())
}
