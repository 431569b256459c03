//! `cargo xtask lint`: is clippy content?

use anyhow::Result;
use xshell::cmd;

use crate::workspace::Workspace;

/// Runs clippy over libraries, programs, tests, examples and benches. Warnings are errors here and
/// in CI only, so that they do not get in the way of a change that is in progress.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let shell = workspace.shell();
    // Without their features the suites that need libknet or root would be left out.
    let features = ["--features", "knet-tests/interop,knet-tests/netns"];
    cmd!(shell, "cargo clippy --workspace --all-targets {features...} -- -D warnings").run()?;
    Ok(())
}
